"""POST /v1/answers: the answer as JSON, or as server-sent events."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request, Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event

from api.http.admission import while_client_waits
from api.http.problems import internal_problem, problem_of
from api.http.service import Service, ServiceDep, json_response, problem_docs
from api.models.answers import AnswerOut
from api.models.inputs import AnswerIn
from rag.errors import InputError, RagError
from rag.types import Answer

KEEPALIVE_S = 15.0
LIVE_TIERS = ("extractive",)

router = APIRouter(tags=["answers"])
_log = logging.getLogger(__name__)
_PIECE = re.compile(r".*?(?:\[\d+\]\s*|\n+|$)", re.DOTALL)


@router.post(
    "/v1/answers",
    response_model=AnswerOut,
    responses=problem_docs(400, 404, 413, 415, 422, 503)
    | {200: {"content": {"text/event-stream": {}}}},
)
async def answer_question(asked: AnswerIn, request: Request, service: ServiceDep) -> Response:
    """Answer a question from the documents, with exact citations, confidence and cost."""
    _check_tier(asked)
    task = service.admission.start(_answer(asked, service))
    if asked.stream:
        return EventSourceResponse(_events(task), headers={"Cache-Control": "no-store"})
    return json_response(AnswerOut.of(await while_client_waits(request, task)))


def _check_tier(asked: AnswerIn) -> None:
    if asked.tier is not None and asked.tier not in LIVE_TIERS:
        raise InputError(
            f"tier {asked.tier!r} is not configured on this service: "
            f"leave it out, or give {' or '.join(LIVE_TIERS)}"
        )


async def _answer(asked: AnswerIn, service: Service) -> Answer:
    settings = service.application.settings
    if settings.log.questions:
        _log.info("question: %r", asked.question)
    answer = await service.application.pipeline.answer(
        asked.to_question(settings.collection),
        asked.max_context_tokens or settings.context.max_tokens,
    )
    service.metrics.count_answer(answer)
    return answer


async def _events(task: asyncio.Task[Answer]) -> AsyncIterator[bytes]:
    """`delta` events, then `answer` or `error`; the work ends with the stream."""
    try:
        while not (await asyncio.wait({task}, timeout=KEEPALIVE_S))[0]:
            yield KEEPALIVE_COMMENT
        answer = task.result()
        for piece in _PIECE.findall(answer.text):
            if piece:
                yield format_sse_event(event="delta", data_str=json.dumps({"text": piece}))
        yield format_sse_event(event="answer", data_str=AnswerOut.of(answer).model_dump_json())
    except RagError as error:
        yield format_sse_event(event="error", data_str=json.dumps(problem_of(error)))
    except Exception:
        _log.exception("unexpected error in a stream")
        yield format_sse_event(event="error", data_str=json.dumps(internal_problem()))
    finally:
        task.cancel()
