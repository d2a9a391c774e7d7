"""GET /dashboard, its numbers at GET /v1/dashboard, and forgetting the questions that it shows."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import FileResponse

from api.http.service import ServiceDep, json_response, problem_docs
from api.models.dashboard import DashboardIn, DashboardOut, ForgottenQuestionsOut
from api.overview import LISTED, look_at_answers
from api.routes.page import STATIC
from generation.overview.asked import AskedQuestions

router = APIRouter(tags=["dashboard"])


@router.get("/dashboard", include_in_schema=False)
async def page() -> Response:
    """The page. Browsers ask again each time, so that an update shows at once."""
    return FileResponse(STATIC / "dashboard.html", headers={"Cache-Control": "no-cache"})


@router.get("/v1/dashboard", response_model=DashboardOut, responses=problem_docs(422, 503))
async def dashboard(asked: Annotated[DashboardIn, Query()], service: ServiceDep) -> Response:
    """Dollars, tiers, confidence and latency over time, and the answers that are worth a look."""
    jobs = await service.jobs.newest(LISTED)
    return json_response(await look_at_answers(service.application, asked, jobs))


@router.delete(
    "/v1/questions", response_model=ForgottenQuestionsOut, responses=problem_docs(422, 503)
)
async def forget_questions(
    service: ServiceDep,
    answer_id: Annotated[
        list[str] | None, Query(max_length=1_000, description="Of these answers; unset: all.")
    ] = None,
) -> Response:
    """Delete the words of questions that are kept for the dashboard."""
    asked = AskedQuestions(service.application.state)
    count = await asyncio.to_thread(
        asked.forget_all if answer_id is None else lambda: asked.forget(answer_id)
    )
    return json_response(ForgottenQuestionsOut(questions=count))
