"""Batches: questions that can wait are sent together, and collected once they are answered."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.http.access.caller import caller_of
from api.http.openapi import link_docs
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.batches import BatchIn, BatchOut, BatchStateOut

router = APIRouter(tags=["batches"])


@router.post(
    "/v1/batches",
    response_model=BatchOut,
    status_code=202,
    responses=problem_docs(401, 404, 415, 422, 429, 502) | {202: link_docs("batch_id", "batch")},
)
async def submit_batch(asked: BatchIn, request: Request, service: ServiceDep) -> Response:
    """Quote what can be quoted, and send the rest to the premium model as one batch.

    The same questions again are the batch that is there.
    """
    caller, application = caller_of(request), service.application
    usual = caller.default_collection(application.settings.collection)
    named = asked.to_questions(usual, caller.tenant, caller.key)
    questions = [(name, caller.asks(question)) for name, question in named]
    batch = await application.batching.batches.submit(questions, asked.max_cost_usd)
    return json_response(BatchOut.of(batch), 202)


@router.get(
    "/v1/batches/{batch_id}",
    response_model=BatchStateOut,
    responses=problem_docs(401, 404, 409, 422, 429, 502),
)
async def batch(batch_id: str, request: Request, service: ServiceDep) -> Response:
    """How far a batch is; its answers, in the order of the questions, once it has ended."""
    caller, batches = caller_of(request), service.application.batching.batches
    return json_response(BatchStateOut.of(await batches.look(batch_id, caller.tenant, caller.key)))
