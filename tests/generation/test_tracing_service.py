"""Traces as a collector gets them: a real service, model servers, and a receiver on loopback."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
from openai_server import Stream, error_page
from otlp_receiver import ROOT, Receiver, receiving
from test_answers_with_models import QUESTION, TRUE, VAGUE, made, model, said

from api.setting_groups.traces import TracingSettings

__all__ = ["made", "model"]  # fixtures

INTERNAL, SERVER, CLIENT = 1, 2, 3
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KEY = "sk-a-secret-of-this-test"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


def traced(receiver: Receiver, **more: Any) -> dict[str, Any]:
    return {"tracing": TracingSettings(endpoint=receiver.url, **more)}


async def escalated(made: Any, receiver: Receiver, **headers: str) -> Any:
    """An answer for which the local model was asked, and then the premium one."""
    service = await made(**traced(receiver))
    service.local.replies.append(said(VAGUE))
    service.premium.replies.append(said(TRUE))
    response = await service.client.post(
        "/v1/answers", json={"question": QUESTION}, headers=headers
    )
    await service.application.tracing.close()
    assert response.json()["tier"] == "premium"
    return response


async def test_an_answer_is_a_tree_of_spans(made: Any, receiver: Receiver) -> None:
    response = await escalated(made, receiver)
    request = receiver.one("POST /v1/answers")
    answer = receiver.one("answer")
    assert (request.parent, request.kind, answer.kind) == (ROOT, SERVER, INTERNAL)
    assert receiver.below(request) == ["answer"]
    assert receiver.below(answer) == ["retrieve", "compress", "decide", "chat", "chat big"]
    assert {span.trace for span in receiver.spans} == {request.trace}
    assert not [span.name for span in receiver.spans if span.is_error]
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/answers",
        "http.response.status_code": 200,
        "rag.request_id": response.headers["x-request-id"],
    }
    told, bill = response.json(), response.json()["cost"]
    assert answer.attributes == {
        "rag.collection": "default",
        "rag.answer_id": told["id"],
        "rag.status": "answered",
        "rag.tier": "premium",
        "rag.confidence": pytest.approx(told["confidence"], abs=1e-4),
        "rag.context_tokens": told["usage"]["context_tokens"],
        "rag.citations": len(told["citations"]),
        "rag.cost_usd": pytest.approx(float(bill["total_usd"]), abs=1e-6),
        "rag.saved_usd": pytest.approx(float(bill["saved_usd"]), abs=1e-6),
    }
    assert receiver.resource["service.name"] == "thrifty-rag"


async def test_calls_of_models_follow_the_genai_conventions(made: Any, receiver: Receiver) -> None:
    response = await escalated(made, receiver)
    local, premium = receiver.one("chat"), receiver.one("chat big")
    assert local.attributes["gen_ai.provider.name"] == "local"
    assert local.attributes["gen_ai.response.model"] == "small"
    assert local.attributes["rag.tier"] == "local"
    assert premium.kind == CLIENT
    assert premium.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "big",
        "gen_ai.request.max_tokens": 600,
        "gen_ai.response.model": "big",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 300,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "rag.answer_id": response.json()["id"],
        "rag.cost_usd": 0.0008,
        "rag.escalated_from": "local",
        "rag.stage": "generate",
        "rag.tier": "premium",
    }


async def test_the_stages_follow_one_another_and_the_last_holds_the_calls(
    made: Any, receiver: Receiver
) -> None:
    await escalated(made, receiver)
    answer, decide = receiver.one("answer"), receiver.one("decide")
    retrieve, compress = receiver.one("retrieve"), receiver.one("compress")
    assert answer.began <= retrieve.began < retrieve.ended == compress.began
    assert compress.ended == decide.began < decide.ended <= answer.ended
    for call in (receiver.one("chat"), receiver.one("chat big")):
        assert decide.began <= call.began < call.ended <= decide.ended
    assert 0 < decide.attributes["rag.own_ms"] < (decide.ended - decide.began) / 1e6


async def test_no_words_of_anybody_are_in_a_trace(
    made: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await escalated(made, receiver, **{"X-Rag-Key": "widget", "Authorization": f"Bearer {KEY}"})
    sent = b"".join(receiver.raw)
    assert b"POST /v1/answers" in sent
    for words in (QUESTION, "money", TRUE, "business days", VAGUE, "refunds.md", "widget", KEY):
        assert words.encode() not in sent


async def test_the_trace_of_a_caller_goes_on(made: Any, receiver: Receiver) -> None:
    await escalated(made, receiver, traceparent=f"00-{TRACE}-{CALLER}-01")
    request = receiver.one("POST /v1/answers")
    assert (request.trace, request.parent) == (TRACE, CALLER)


async def test_a_caller_that_traces_nothing_is_not_traced(made: Any, receiver: Receiver) -> None:
    await escalated(made, receiver, traceparent=f"00-{TRACE}-{CALLER}-00")
    assert receiver.spans == []


async def test_a_share_of_nothing_traces_nothing(made: Any, receiver: Receiver) -> None:
    service = await made(**traced(receiver, share=0.0))
    service.local.replies.append(said(TRUE))
    await service.ask()
    await service.application.tracing.close()
    assert receiver.spans == []


async def test_a_quote_has_its_stages_and_no_call(made: Any, receiver: Receiver) -> None:
    service = await made(**traced(receiver))
    await service.ask(tier="extractive")
    await service.application.tracing.close()
    assert receiver.below(receiver.one("answer")) == ["retrieve", "compress", "generate"]


async def test_an_answer_that_is_given_again_is_one_short_stage(
    made: Any, receiver: Receiver
) -> None:
    service = await made(reuse={"min_confidence": 0.0}, **traced(receiver))
    service.local.replies.append(said(TRUE))
    tiers = [(await service.ask())["tier"] for _ in range(2)]
    await service.application.tracing.close()
    assert tiers == ["local", "cache"]
    first, again = sorted(receiver.named("answer"), key=lambda span: span.began)
    assert receiver.below(first)[0] == "reuse"
    assert receiver.below(again) == ["reuse"]


async def test_a_call_that_fails_tells_the_class_of_its_error_alone(
    made: Any, receiver: Receiver
) -> None:
    service = await made(**traced(receiver))
    service.local.replies.append(error_page(400, f"what is {QUESTION}"))
    service.premium.replies.append(Stream(["A ", "refund "], breaks_after=1))
    answer = await service.ask()
    await service.application.tracing.close()
    assert (answer["status"], answer["tier"]) == ("degraded", "extractive")
    refused, broken = receiver.one("chat"), receiver.one("chat big")
    assert (refused.is_error, refused.attributes["error.type"]) == (True, "ProviderRefusedError")
    assert (broken.is_error, broken.events) == (True, 0)
    assert broken.attributes["error.type"].startswith("Provider")
    assert "status" not in refused.attributes
    assert not receiver.one("answer").is_error
    assert QUESTION.encode() not in b"".join(receiver.raw)


async def test_a_request_that_fails_is_an_error_in_its_trace(made: Any, receiver: Receiver) -> None:
    service = await made(**traced(receiver))
    refused = await service.client.post("/v1/answers", json={"question": " "})
    with service.application.state.begin() as connection:
        connection.exec_driver_sql("DROP TABLE jobs")
    failed = await service.client.get("/v1/jobs")
    await service.application.tracing.close()
    assert (refused.status_code, failed.status_code) == (422, 500)
    request, listing = receiver.one("POST /v1/answers"), receiver.one("GET /v1/jobs")
    assert (request.is_error, listing.is_error) == (False, True)
    answer = receiver.one("answer")
    assert (answer.is_error, answer.attributes["error.type"]) == (True, "QuestionError")
    assert listing.attributes["error.type"] == "500"


async def test_a_stream_is_one_request_until_its_last_event(made: Any, receiver: Receiver) -> None:
    service = await made(**traced(receiver))
    service.local.replies.append(said(TRUE))
    body = {"question": QUESTION, "stream": True}
    async with service.client.stream("POST", "/v1/answers", json=body) as response:
        assert "event: answer" in (await response.aread()).decode()
    await service.application.tracing.close()
    request, answer = receiver.one("POST /v1/answers"), receiver.one("answer")
    assert answer.parent == request.span
    assert answer.ended <= request.ended


async def test_what_monitors_ask_is_not_traced(made: Any, receiver: Receiver) -> None:
    service = await made(**traced(receiver))
    for path in ("/", "/health", "/ready", "/metrics", "/static/app.js"):
        assert (await service.client.get(path)).status_code == 200
    await service.application.tracing.close()
    assert receiver.spans == []


async def test_a_collector_that_is_away_costs_no_answer_and_little_of_the_end(made: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        service = await made(tracing=TracingSettings(endpoint=url))
        service.local.replies.append(said(TRUE))
        answer = await service.ask()
        began = time.monotonic()
        await service.application.tracing.close()
        taken_s = time.monotonic() - began
    assert answer["status"] == "answered"
    assert taken_s < 9


async def test_without_a_collector_nothing_is_traced_and_nothing_wrapped(made: Any) -> None:
    service = await made()
    assert service.application.tracing is None
    assert type(service.application.pipeline._answerer).__name__ == "QuestionPipeline"
