"""POST /v1/feedback: whether an answer was right, what was better, and what became of it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, BackgroundTasks, Request, Response
from sqlalchemy import Engine

from api.http.access.caller import caller_of, not_for_visitors
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.feedback import FeedbackIn, FeedbackOut
from generation.deciding.feedback import Feedback
from generation.reuse.verdicts import Verdicts
from rag.errors import AccessError

router = APIRouter(tags=["answers"])


@router.post(
    "/v1/feedback",
    response_model=FeedbackOut,
    responses=problem_docs(401, 404, 415, 422, 429),
)
async def give_feedback(
    told: FeedbackIn, request: Request, service: ServiceDep, afterwards: BackgroundTasks
) -> Response:
    """Say whether an answer was right, what it should have been, and what became of it.

    A wrong one is not given again, `rag calibrate` learns from both verdicts, experiments compare
    their arms by all that is told, and a correction is what a model is trained on in its stead.
    """
    told, caller = told.completed(), caller_of(request)
    if told.correction is not None and caller.is_visitor:
        raise AccessError(not_for_visitors("correction"))  # which models are trained on
    await asyncio.to_thread(_keep, told, service.application.state, caller.reach.tenant)
    experimenting = service.application.experimenting
    if experimenting is not None:
        afterwards.add_task(experimenting.watch.look)
    return json_response(FeedbackOut(**told.model_dump()))


def _keep(told: FeedbackIn, state: Engine, tenant: str | None) -> None:
    is_right = None if told.verdict is None else told.verdict == "right"
    Feedback(state).record(
        told.answer_id,
        is_right=is_right,
        use=told.use,
        correction=told.correction,
        tenant=tenant,
    )
    if is_right is not None:
        Verdicts(state).observe(told.answer_id, is_right=is_right)
