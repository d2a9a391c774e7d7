"""Batches over the Anthropic protocol: what is sent, what is read, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from batch_server import BatchServer, batch_server
from scripted_model import model_call
from starlette.responses import JSONResponse, PlainTextResponse, Response

from generation.providers.anthropic_batches import AnthropicBatches
from generation.providers.batch import BatchAnswer, BatchEndpoint, BatchProgress
from rag.calls import CallEnd
from rag.errors import (
    ConflictError,
    NotFoundError,
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.types import Usage

KEY = "sk-ant-very-secret"
CALLS = {"a": model_call("First?"), "b": model_call("Second?")}
USAGE = {
    "input_tokens": 12,
    "cache_read_input_tokens": 6,
    "cache_creation_input_tokens": 2,
    "output_tokens": 5,
    "service_tier": "batch",
}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[BatchServer]:
    async with batch_server() as running:
        yield running


@pytest_asyncio.fixture
async def batches(server: BatchServer) -> AsyncIterator[AnthropicBatches]:
    endpoint = AnthropicBatches("large", KEY, base_url=server.url, timeout_s=5)
    yield endpoint
    await endpoint.close()


def answered(call_id: str, *texts: str, **changes: Any) -> dict[str, Any]:
    blocks = [{"type": "thinking", "thinking": "Hm."}] + [
        {"type": "text", "text": text} for text in texts
    ]
    message = {"model": "large-2025", "content": blocks, "stop_reason": "end_turn", "usage": USAGE}
    return {
        "custom_id": call_id,
        "result": {"type": "succeeded", "message": message | changes},
    }


def failed(call_id: str, kind: str) -> dict[str, Any]:
    error = {"type": "error", "error": {"type": kind, "message": "It says why."}}
    return {"custom_id": call_id, "result": {"type": "errored", "error": error}}


async def test_calls_go_up_together_each_under_its_id(
    server: BatchServer, batches: AnthropicBatches
) -> None:
    endpoint: BatchEndpoint = batches
    batch_id = await endpoint.submit(CALLS)
    assert (endpoint.provider, endpoint.model) == ("anthropic", "large")
    assert [line["custom_id"] for line in server.sent[batch_id]] == ["a", "b"]
    assert server.sent[batch_id][1]["params"] == {
        "model": "large",
        "max_tokens": 100,
        "system": CALLS["b"].prompt.system,
        "messages": [{"role": "user", "content": CALLS["b"].prompt.user}],
    }
    assert any(KEY in sent for sent in server.keys)


async def test_a_temperature_is_sent_where_one_is_given(server: BatchServer) -> None:
    batches = AnthropicBatches("large", KEY, base_url=server.url, temperature=0)
    batch_id = await batches.submit(CALLS)
    await batches.close()
    assert server.sent[batch_id][0]["params"]["temperature"] == 0


async def test_progress_is_told_and_results_only_when_it_has_ended(
    server: BatchServer, batches: AnthropicBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    assert await batches.progress(batch_id) == BatchProgress(False, 2, 0, 0)
    with pytest.raises(ConflictError, match=rf"{batch_id} still runs"):
        await batches.results(batch_id, CALLS)
    expired = {"custom_id": "b", "result": {"type": "expired"}}
    server.end_anthropic(batch_id, answered("a", "Yes."), expired)
    assert await batches.progress(batch_id) == BatchProgress(True, 2, 1, 1)


async def test_answers_are_read_whole_in_whatever_order_they_come(
    server: BatchServer, batches: AnthropicBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_anthropic(
        batch_id,
        answered("b", "cut", stop_reason="max_tokens"),
        answered("a", "Five days.\u2028", "Not more. [1]"),
        answered("somebody else's", "x"),
    )
    usage = Usage(20, 6, 5, 2, 0)
    text = "Five days.\u2028Not more. [1]"
    assert await batches.results(batch_id, CALLS) == {
        "a": BatchAnswer(text, CallEnd("stop", usage, json.dumps(USAGE), "large-2025")),
        "b": BatchAnswer("cut", CallEnd("length", usage, json.dumps(USAGE), "large-2025")),
    }


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [
        ("refusal", "refused"),
        ("model_context_window_exceeded", "length"),
        ("stop_sequence", "stop"),
    ],
)
async def test_refusals_and_empty_answers_are_answers(
    server: BatchServer, batches: AnthropicBatches, stop_reason: str, finish: str
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_anthropic(batch_id, answered("a", stop_reason=stop_reason))
    result = (await batches.results(batch_id, CALLS))["a"]
    assert isinstance(result, BatchAnswer)
    assert (result.text, result.end.finish) == ("", finish)
    assert result.end.usage == Usage(20, 6, 5, 2, 0)


@pytest.mark.parametrize("usage", [None, {"input_tokens": -1}, {**USAGE, "output_tokens": 10**9}])
async def test_usage_that_is_missing_or_cannot_be_is_unknown(
    server: BatchServer, batches: AnthropicBatches, usage: object
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_anthropic(batch_id, answered("a", "Yes.", usage=usage))
    result = (await batches.results(batch_id, CALLS))["a"]
    assert isinstance(result, BatchAnswer)
    assert result.end.usage is None
    assert result.end.reported == ("" if usage is None else json.dumps(usage))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ({"custom_id": "a", "result": {"type": "expired"}}, ProviderUnavailableError),
        ({"custom_id": "a", "result": {"type": "canceled"}}, ProviderUnavailableError),
        (failed("a", "api_error"), ProviderUnavailableError),
        (failed("a", "timeout_error"), ProviderUnavailableError),
        (failed("a", "something new"), ProviderUnavailableError),
        (failed("a", "overloaded_error"), ProviderBusyError),
        (failed("a", "rate_limit_error"), ProviderBusyError),
        (failed("a", "invalid_request_error"), ProviderRefusedError),
        (failed("a", "authentication_error"), ProviderRefusedError),
        (failed("a", "billing_error"), ProviderRefusedError),
        (answered("a", content="no list"), ProviderReplyError),
    ],
)
async def test_a_call_that_failed_tells_why_and_the_others_are_answered(
    server: BatchServer,
    batches: AnthropicBatches,
    line: dict[str, Any],
    error: type[ProviderError],
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_anthropic(batch_id, line, answered("b", "Yes."))
    results = await batches.results(batch_id, CALLS)
    assert type(results["a"]) is error
    assert isinstance(results["b"], BatchAnswer)


async def test_a_call_without_a_result_is_an_error(
    server: BatchServer, batches: AnthropicBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_anthropic(batch_id, answered("a", "Yes."))
    server.results[batch_id] += '{"custom_id": "b", "result": {"type": "unheard of"}}\n'
    assert isinstance((await batches.results(batch_id, CALLS))["b"], ProviderReplyError)
    server.end_anthropic(batch_id, answered("a", "Yes."))
    missing = (await batches.results(batch_id, CALLS))["b"]
    assert isinstance(missing, ProviderReplyError)
    assert "no result of this call" in str(missing)


def told(kind: str, message: str = "It says why.") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (JSONResponse(told("authentication_error", KEY), 401), ProviderRefusedError),
        (JSONResponse(told("invalid_request_error"), 400), ProviderRefusedError),
        (
            JSONResponse(told("rate_limit_error"), 429, {"retry-after": "7"}),
            ProviderBusyError,
        ),
        (JSONResponse(told("api_error"), 500), ProviderUnavailableError),
        (PlainTextResponse("<html>Hello</html>", media_type="text/html"), ProviderReplyError),
        (JSONResponse(["no", "object"]), ProviderReplyError),
        (JSONResponse({"id": 1}), ProviderReplyError),
    ],
)
async def test_a_server_that_fails_is_an_error_of_ours_without_the_key(
    server: BatchServer, batches: AnthropicBatches, reply: Response, error: type[ProviderError]
) -> None:
    batch_id = await batches.submit(CALLS)
    server.failing = reply
    for attempt in (
        batches.submit(CALLS),
        batches.progress(batch_id),
        batches.results(batch_id, CALLS),
    ):
        with pytest.raises(error) as caught:
            await attempt
        assert KEY not in str(caught.value)
        assert caught.value.retry_after_s == (7 if error is ProviderBusyError else None)


async def test_results_that_are_no_json_are_an_error(
    server: BatchServer, batches: AnthropicBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_anthropic(batch_id, answered("a", "Yes."))
    server.results[batch_id] = '{"custom_id": "a", '
    with pytest.raises(ProviderReplyError):
        await batches.results(batch_id, CALLS)


async def test_a_batch_that_is_not_there_and_a_server_that_is_not_there(
    batches: AnthropicBatches,
) -> None:
    with pytest.raises(NotFoundError, match="has no batch 'batch_9'"):
        await batches.progress("batch_9")
    nowhere = AnthropicBatches("large", KEY, base_url="http://127.0.0.1:9", timeout_s=1)
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        await nowhere.submit(CALLS)
    await nowhere.close()
