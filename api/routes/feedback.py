"""POST /v1/feedback: whether an answer was right, and what became of it."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, BackgroundTasks, Request, Response
from sqlalchemy import Engine

from api.http.caller import caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.feedback import FeedbackIn, FeedbackOut
from generation.deciding.feedback import Feedback
from generation.reuse.verdicts import Verdicts

router = APIRouter(tags=["answers"])


@router.post(
    "/v1/feedback",
    response_model=FeedbackOut,
    responses=problem_docs(400, 401, 403, 404, 413, 415, 422, 429, 503),
)
async def give_feedback(
    told: FeedbackIn, request: Request, service: ServiceDep, afterwards: BackgroundTasks
) -> Response:
    """Say whether an answer was right, what became of it, or both.

    A wrong one is not given again, `rag calibrate` learns from both verdicts, and experiments
    compare their arms by all that is told.
    """
    await asyncio.to_thread(_keep, told, service.application.state, caller_of(request).reach.tenant)
    experimenting = service.application.experimenting
    if experimenting is not None:
        afterwards.add_task(experimenting.watch.look)
    return json_response(FeedbackOut(answer_id=told.answer_id, verdict=told.verdict, use=told.use))


def _keep(told: FeedbackIn, state: Engine, tenant: str | None) -> None:
    is_right = None if told.verdict is None else told.verdict == "right"
    Feedback(state).record(told.answer_id, is_right=is_right, use=told.use, tenant=tenant)
    if is_right is not None:
        Verdicts(state).observe(told.answer_id, is_right=is_right)
