"""POST /v1/answers: the answer as JSON, or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.assembly.tiers import check_tier
from api.http.access.caller import Caller, caller_of, not_for_visitors
from api.http.asking import ask, cost_headers, pieces_of
from api.http.limits.admission import while_client_waits
from api.http.problems import internal_problem, problem_told
from api.http.service import ServiceDep, json_response, problem_docs
from api.models.answers import AnswerOut
from api.models.inputs import AnswerIn
from api.settings import Settings
from rag.errors import AccessError, RagError
from rag.types import Answer, CostLine

KEEPALIVE_S = 15.0
_LINKS = {
    "give_feedback": {
        "operationId": "give_feedback",
        "requestBody": {"answer_id": "$response.body#/id", "verdict": "right"},
    }
}
OF_VISITORS = {"question", "collection", "conversation_id", "stream"}
"""What somebody on a web page may say; the rest would choose what it costs."""

router = APIRouter(tags=["answers"])
_log = logging.getLogger(__name__)


@router.post(
    "/v1/answers",
    response_model=AnswerOut,
    responses=problem_docs(401, 404, 415, 422, 429)
    | {200: {"content": {"text/event-stream": {}}, "links": _LINKS}},
)
async def answer_question(asked: AnswerIn, request: Request, service: ServiceDep) -> Response:
    """Answer a question from the documents, with exact citations, confidence and cost."""
    caller = caller_of(request)
    settings = service.application.settings
    if caller.is_visitor:
        _check_visitor(asked)
    check_tier(settings, asked.tier)
    question = asked.to_question(caller.default_collection(settings.collection))
    tokens = asked.max_context_tokens
    if asked.stream:
        told = _Told()
        task = service.admission.start(ask(question, caller, service, tokens, told))
        events = _events(task, told, request, settings)
        return EventSourceResponse(events, headers={"Cache-Control": "no-store"})
    task = service.admission.start(ask(question, caller, service, tokens))
    answer = await while_client_waits(request, task)
    return json_response(_shown(answer, caller, settings), headers=cost_headers(answer))


def _check_visitor(asked: AnswerIn) -> None:
    """Raises AccessError for what would let a visitor spend more, or look where he may not."""
    for name in sorted(asked.model_fields_set - OF_VISITORS):
        raise AccessError(not_for_visitors(name))


def _shown(answer: Answer, caller: Caller, settings: Settings) -> AnswerOut:
    shown = AnswerOut.of(answer, settings.handoff)
    return shown.for_visitors() if caller.is_visitor else shown


class _Told:
    """A Listener that keeps what it hears for a stream; None ends it."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.is_void = True

    def text(self, piece: str) -> None:
        self.is_void = False
        data = json.dumps({"text": piece})
        self.events.put_nowait(format_sse_event(event="delta", data_str=data))

    def restart(self) -> None:
        if not self.is_void:
            self.events.put_nowait(format_sse_event(event="restart", data_str="{}"))
        self.is_void = True

    def cost(self, line: CostLine) -> None:
        """Costs come with the answer."""


async def _events(
    task: asyncio.Task[Answer], told: _Told, request: Request, settings: Settings
) -> AsyncIterator[bytes]:
    """`delta` and `restart` events, then `answer` or `error`; the work ends with the stream."""
    task.add_done_callback(lambda _: told.events.put_nowait(None))
    try:
        while (event := await _next(told.events)) is not None:
            yield event
        answer = task.result()
        if told.is_void:  # nobody wrote it before our eyes, as a quote
            for piece in pieces_of(answer.text):
                yield format_sse_event(event="delta", data_str=json.dumps({"text": piece}))
        shown = _shown(answer, caller_of(request), settings)
        yield format_sse_event(event="answer", data_str=shown.model_dump_json())
    except RagError as error:
        yield format_sse_event(event="error", data_str=json.dumps(problem_told(request, error)))
    except Exception:
        _log.exception("unexpected error in a stream")
        yield format_sse_event(event="error", data_str=json.dumps(internal_problem()))
    finally:
        task.cancel()


async def _next(events: asyncio.Queue[bytes | None]) -> bytes | None:
    """The next event, or a sign of life when there is none for a while."""
    try:
        return await asyncio.wait_for(events.get(), KEEPALIVE_S)
    except TimeoutError:
        return KEEPALIVE_COMMENT
