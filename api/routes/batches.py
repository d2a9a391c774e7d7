"""Batches: questions that can wait are sent together, and collected once they are answered."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.http.asker import asker_of
from api.http.openapi import link_docs
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.batches import BatchIn, BatchOut, BatchStateOut

router = APIRouter(tags=["batches"])


@router.post(
    "/v1/batches",
    response_model=BatchOut,
    status_code=202,
    responses=problem_docs(400, 404, 413, 415, 422, 502, 503)
    | {202: link_docs("batch_id", "batch")},
)
async def submit_batch(asked: BatchIn, request: Request, service: ServiceDep) -> Response:
    """Quote what can be quoted, and send the rest to the premium model as one batch.

    The same questions again are the batch that is there.
    """
    asker, application = asker_of(request), service.application
    questions = asked.to_questions(application.settings.collection, asker.tenant, asker.key)
    batch = await application.batching.batches.submit(questions, asked.max_cost_usd)
    return json_response(BatchOut.of(batch), 202)


@router.get(
    "/v1/batches/{batch_id}",
    response_model=BatchStateOut,
    responses=problem_docs(404, 409, 422, 502, 503),
)
async def batch(batch_id: str, request: Request, service: ServiceDep) -> Response:
    """How far a batch is; its answers, in the order of the questions, once it has ended."""
    asker, batches = asker_of(request), service.application.batching.batches
    return json_response(BatchStateOut.of(await batches.look(batch_id, asker.tenant, asker.key)))
