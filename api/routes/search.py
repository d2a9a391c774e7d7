"""POST /v1/search and /v1/context: the way to an answer, for people who go it themselves."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from api.http.access.caller import caller_of
from api.http.limits.admission import while_client_waits
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.answers import ContextOut, SearchOut
from api.models.inputs import ContextIn, SearchIn

router = APIRouter(tags=["search"], responses=problem_docs(401, 404, 415, 422, 429))


@router.post("/v1/search", response_model=SearchOut)
async def search(asked: SearchIn, request: Request, service: ServiceDep) -> Response:
    """The chunks that may answer, best first."""
    application = service.application
    caller = caller_of(request)
    usual = caller.default_collection(application.settings.collection)
    question = caller.asks(asked.to_question(usual))
    task = service.admission.start(application.pipeline.search(question, asked.k))
    return json_response(SearchOut.of(await while_client_waits(request, task)))


@router.post("/v1/context", response_model=ContextOut)
async def gather_context(asked: ContextIn, request: Request, service: ServiceDep) -> Response:
    """The compressed context alone, for a model of your own."""
    application = service.application
    caller = caller_of(request)
    usual = caller.default_collection(application.settings.collection)
    question = caller.asks(asked.to_question(usual))
    task = service.admission.start(application.pipeline.context(question, asked.max_context_tokens))
    return json_response(ContextOut.of(await while_client_waits(request, task)))
