"""/v1/jobs: how an ingestion is getting on."""

from __future__ import annotations

from fastapi import APIRouter, Response

from api.http.service import ServiceDep, json_response, problem_docs
from api.models.documents import JobOut

router = APIRouter(tags=["jobs"], responses=problem_docs(404))


@router.get("/v1/jobs/{job_id}", response_model=JobOut)
async def get_job(job_id: str, service: ServiceDep) -> Response:
    """State, progress and, once it is done, every item with its outcome and reason."""
    return json_response(service.jobs.get(job_id))


@router.delete("/v1/jobs/{job_id}", response_model=JobOut, status_code=202)
async def cancel_job(job_id: str, service: ServiceDep) -> Response:
    """Stop a job; what it has indexed stays."""
    return json_response(service.jobs.cancel(job_id), 202)
