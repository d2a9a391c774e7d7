"""/v1/jobs: how ingestions are getting on; stopping them, and trying again what failed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from api.http.access.caller import caller_of
from api.http.openapi import link_docs
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.documents import JobOut, JobsOut

MAX_LISTED = 1_000
TAKERS_OF_JOBS = link_docs("job_id", "get_job", "cancel_job", "retry_job")
"""What OpenAPI says of who takes the id of a job."""

router = APIRouter(tags=["jobs"])


@router.get("/v1/jobs", response_model=JobsOut, responses=problem_docs(401, 422, 429))
async def list_jobs(
    request: Request,
    service: ServiceDep,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED, description="Jobs at most.")] = 20,
) -> Response:
    """The newest jobs, newest first, without their reports."""
    reach = caller_of(request).reach
    jobs = await service.jobs.newest(limit, reach)
    return json_response(JobsOut(jobs=[job.shown_to(reach) for job in jobs]))


@router.get("/v1/jobs/{job_id}", response_model=JobOut, responses=problem_docs(401, 404, 429))
async def get_job(job_id: str, request: Request, service: ServiceDep) -> Response:
    """State, progress and, once it is done, every item with its outcome and reason."""
    reach = caller_of(request).reach
    return json_response((await service.jobs.get(job_id, reach)).shown_to(reach))


@router.delete(
    "/v1/jobs/{job_id}",
    response_model=JobOut,
    status_code=202,
    responses=problem_docs(401, 404, 429),
)
async def cancel_job(job_id: str, request: Request, service: ServiceDep) -> Response:
    """Stop a job; what it has indexed stays."""
    reach = caller_of(request).reach
    return json_response((await service.jobs.cancel(job_id, reach)).shown_to(reach), 202)


@router.post(
    "/v1/jobs/{job_id}/retry",
    response_model=JobOut,
    status_code=202,
    responses=problem_docs(401, 404, 409, 429),
)
async def retry_job(job_id: str, request: Request, service: ServiceDep) -> Response:
    """Make a new job of what failed in a finished one: of all of it, if the job itself failed."""
    reach = caller_of(request).reach
    return accepted((await service.jobs.retry(job_id, reach)).shown_to(reach))


def accepted(job: JobOut) -> Response:
    """The answer that a job is in the queue, and where it can be asked for."""
    response = json_response(job, 202)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return response
