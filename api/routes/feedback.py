"""POST /v1/feedback: whether an answer was right."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response

from api.http.service import ServiceDep, json_response, problem_docs
from api.models.feedback import FeedbackIn, FeedbackOut
from generation.deciding.feedback import Feedback
from generation.reuse.verdicts import Verdicts

router = APIRouter(tags=["answers"])


@router.post(
    "/v1/feedback",
    response_model=FeedbackOut,
    responses=problem_docs(400, 404, 413, 415, 422, 503),
)
async def give_feedback(told: FeedbackIn, service: ServiceDep) -> Response:
    """Say whether an answer was right.

    A wrong one is not given again, and `rag calibrate` learns from both.
    """
    state, is_right = service.application.state, told.verdict == "right"
    await asyncio.to_thread(Feedback(state).record, told.answer_id, is_right=is_right)
    await asyncio.to_thread(Verdicts(state).observe, told.answer_id, is_right=is_right)
    return json_response(FeedbackOut(answer_id=told.answer_id, verdict=told.verdict))
