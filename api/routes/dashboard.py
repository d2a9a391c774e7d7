"""GET /dashboard, its numbers at GET /v1/dashboard, and forgetting the questions that it shows."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from api.forgetting.questions import forget_questions
from api.http.access.caller import caller_of
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.dashboard import DashboardIn, DashboardOut, ForgottenQuestionsOut
from api.models.inputs import AnswerId
from api.reports.overview import LISTED, look_at_answers
from api.routes.page import STATIC

router = APIRouter(tags=["dashboard"])


@router.get("/dashboard", include_in_schema=False)
async def page() -> Response:
    """The page. Browsers ask again each time, so that an update shows at once."""
    return FileResponse(STATIC / "dashboard.html", headers={"Cache-Control": "no-cache"})


@router.get(
    "/v1/dashboard",
    response_model=DashboardOut,
    responses=problem_docs(401, 422, 429),
)
async def dashboard(
    asked: Annotated[DashboardIn, Query()], request: Request, service: ServiceDep
) -> Response:
    """Dollars, tiers, confidence and latency over time, and the answers that are worth a look."""
    reach = caller_of(request).reach
    jobs = [job.shown_to(reach) for job in await service.jobs.newest(LISTED, reach)]
    return json_response(await look_at_answers(service.application, asked, jobs, reach))


@router.delete(
    "/v1/questions",
    response_model=ForgottenQuestionsOut,
    responses=problem_docs(401, 422, 429),
)
async def delete_questions(
    request: Request,
    service: ServiceDep,
    answer_id: Annotated[
        list[AnswerId] | None, Query(max_length=100, description="Of these answers; unset: all.")
    ] = None,
) -> Response:
    """Delete the words of questions that are kept for the dashboard."""
    by = caller_of(request).by
    count = await asyncio.to_thread(forget_questions, service.application.state, answer_id, by)
    return json_response(ForgottenQuestionsOut(questions=count))
