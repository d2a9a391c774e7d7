"""The protocol of OpenAI: POST /v1/chat/completions, GET /v1/models. A collection is a model.

A stream begins when the answer is sure, and then gives it in pieces: the protocol has no word for
taking back what was written, and until then a dearer tier may write anew, or a check remove a
marker. So errors have their status in a stream too.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from bisect import bisect_right
from dataclasses import replace

from fastapi import APIRouter, Request, Response

from api.assembly.tiers import check_tier
from api.http.access.caller import Caller, caller_of
from api.http.asking import ask, cost_headers, pieces_of
from api.http.limits.admission import while_client_waits
from api.http.openai_errors import OpenAIRoute, UnknownModelError
from api.http.service import Service, ServiceDep, json_response
from api.models.answers import AnswerOut
from api.models.chat import ChatIn
from api.models.completions import CompletionOut, FinishReason, ModelOut, ModelsOut
from api.models.output import OpenAIErrorOut
from api.setting_groups.group import ANY_COLLECTION_PATTERN
from compression.tokens import TiktokenCounter
from rag.errors import AccessError, NotFoundError
from rag.ports import TokenCounter
from rag.types import Answer

router = APIRouter(
    tags=["openai"],
    route_class=OpenAIRoute,
    responses={"default": {"model": OpenAIErrorOut, "description": "Error"}},
)


@router.post(
    "/v1/chat/completions",
    response_model=CompletionOut,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def complete_chat(asked: ChatIn, request: Request, service: ServiceDep) -> Response:
    """Answer the last message of a chat from the documents of a collection."""
    caller, settings = caller_of(request), service.application.settings
    check_tier(settings, asked.rag.tier)
    task = service.admission.start(_answer(asked, caller, service))
    given = answer = await while_client_waits(request, task)
    if asked.most_tokens is not None:
        given = await asyncio.to_thread(_cut, answer, asked.most_tokens, TiktokenCounter())
    finish: FinishReason = "stop" if given.text == answer.text else "length"
    shown = AnswerOut.of(given, settings.handoff)
    completion = CompletionOut.of(shown, asked.model, int(time.time()), finish)
    if not asked.stream:
        return json_response(completion, headers=cost_headers(answer))
    chunks = list(completion.chunks(pieces_of(given.text)))
    if asked.stream_options is not None and asked.stream_options.include_usage:
        chunks.append(completion.usage_chunk())
    events = [*map(json.dumps, chunks), "[DONE]"]
    return Response(
        "".join(f"data: {event}\n\n" for event in events),
        headers={**cost_headers(answer), "Cache-Control": "no-store"},
        media_type="text/event-stream",
    )


@router.get("/v1/models", response_model=ModelsOut)
async def list_models(request: Request, service: ServiceDep) -> Response:
    """The collections, as models."""
    names = await _models(request, service)
    return json_response(ModelsOut(data=[ModelOut(id=name) for name in names]))


@router.get("/v1/models/{model}", response_model=ModelOut)
async def get_model(model: str, request: Request, service: ServiceDep) -> Response:
    """One collection, as a model."""
    if model not in await _models(request, service):
        raise UnknownModelError(model)
    return json_response(ModelOut(id=model))


async def _models(request: Request, service: Service) -> list[str]:
    """The collections in the caller's reach, as it calls them."""
    reach = caller_of(request).reach
    names = await asyncio.to_thread(service.application.manifest.collections)
    return [reach.shown(name) for name in names if reach.has(name)]


async def _answer(asked: ChatIn, caller: Caller, service: Service) -> Answer:
    if not re.fullmatch(ANY_COLLECTION_PATTERN, asked.model):
        raise UnknownModelError(asked.model)
    try:
        return await ask(
            asked.to_question(service.application.settings.conversations.turns),
            caller,
            service,
            asked.rag.max_context_tokens,
        )
    except (NotFoundError, AccessError):
        raise UnknownModelError(asked.model) from None


def _cut(answer: Answer, max_tokens: int, counter: TokenCounter) -> Answer:
    """As many whole words of the answer as fit, with the citations whose markers are in them."""
    if counter.count(answer.text) <= max_tokens:
        return answer
    ends = [0, *(word.end() for word in re.finditer(r"\S+", answer.text))]
    fitting = bisect_right(ends, max_tokens, key=lambda end: counter.count(answer.text[:end]))
    text = answer.text[: ends[fitting - 1]]
    cited = [citation for citation in answer.citations if f"[{citation.marker}]" in text]
    return replace(answer, text=text, citations=tuple(cited))
