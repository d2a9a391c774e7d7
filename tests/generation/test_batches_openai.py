"""Batches over the OpenAI protocol: what is sent, what is read, and every way to fail."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from batch_server import BatchServer, batch_server
from scripted_model import model_call
from starlette.responses import JSONResponse, PlainTextResponse

from generation.providers.batch import BatchAnswer, BatchEndpoint, BatchProgress
from generation.providers.openai_batches import OpenAIBatches
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

KEY = "sk-very-secret"
CALLS = {"a": model_call("First?"), "b": model_call("Second?")}
USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "total_tokens": 25,
    "prompt_tokens_details": {"cached_tokens": 8},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[BatchServer]:
    async with batch_server() as running:
        yield running


@pytest_asyncio.fixture
async def batches(server: BatchServer) -> AsyncIterator[OpenAIBatches]:
    endpoint = OpenAIBatches("big", KEY, base_url=f"{server.url}/v1", timeout_s=5)
    yield endpoint
    await endpoint.close()


def completion(text: str | None, **changes: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": changes.pop("refusal", None)}
    choice = {"index": 0, "message": message, "finish_reason": changes.pop("finish", "stop")}
    return {"model": "big-2025", "choices": [choice], "usage": USAGE} | changes


def answered(call_id: str, body: object, status: int = 200) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "l", "custom_id": call_id, "response": response, "error": None}


def not_answered(call_id: str, code: str) -> dict[str, Any]:
    error = {"code": code, "message": "It was not done in time."}
    return {"id": "l", "custom_id": call_id, "response": None, "error": error}


async def test_calls_go_up_in_a_file_each_under_its_id(
    server: BatchServer, batches: OpenAIBatches
) -> None:
    endpoint: BatchEndpoint = batches
    batch_id = await endpoint.submit(CALLS)
    assert (endpoint.provider, endpoint.model) == ("openai", "big")
    assert server.batches[batch_id]["endpoint"] == "/v1/chat/completions"
    assert server.batches[batch_id]["completion_window"] == "24h"
    assert [line["custom_id"] for line in server.sent[batch_id]] == ["a", "b"]
    assert server.sent[batch_id][1]["body"] == {
        "model": "big",
        "messages": [
            {"role": "system", "content": CALLS["b"].prompt.system},
            {"role": "user", "content": CALLS["b"].prompt.user},
        ],
        "max_completion_tokens": 100,
    }
    assert any(KEY in sent for sent in server.keys)


async def test_a_temperature_is_sent_where_one_is_given(server: BatchServer) -> None:
    batches = OpenAIBatches("big", KEY, base_url=f"{server.url}/v1", temperature=0)
    batch_id = await batches.submit(CALLS)
    await batches.close()
    assert server.sent[batch_id][0]["body"]["temperature"] == 0


async def test_progress_is_told_and_results_only_when_it_has_ended(
    server: BatchServer, batches: OpenAIBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    assert await batches.progress(batch_id) == BatchProgress(False, 2, 0, 0)
    server.batches[batch_id]["request_counts"]["completed"] = 1
    with pytest.raises(ConflictError, match=rf"{batch_id} still runs, 1 of 2 calls"):
        await batches.results(batch_id, CALLS)
    server.end_openai(batch_id, output=[answered("a", completion("Yes."))])
    assert await batches.progress(batch_id) == BatchProgress(True, 2, 1, 0)


async def test_answers_are_read_whole_in_whatever_order_they_come(
    server: BatchServer, batches: OpenAIBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    text = "Five days.\u2028Not more. [1]"
    server.end_openai(
        batch_id,
        output=[
            answered("b", completion("cut", finish="length")),
            answered("a", completion(text)),
            answered("somebody else's", completion("x")),
        ],
    )
    usage = Usage(20, 8, 5, 0, 2)
    assert await batches.results(batch_id, CALLS) == {
        "a": BatchAnswer(text, CallEnd("stop", usage, json.dumps(USAGE), "big-2025")),
        "b": BatchAnswer("cut", CallEnd("length", usage, json.dumps(USAGE), "big-2025")),
    }


@pytest.mark.parametrize(
    ("body", "finish"),
    [
        (completion(None, refusal="I cannot help with that."), "refused"),
        (completion("", finish="content_filter"), "refused"),
        (completion("", finish="length"), "length"),
    ],
)
async def test_refusals_and_empty_answers_are_answers(
    server: BatchServer, batches: OpenAIBatches, body: dict[str, Any], finish: str
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_openai(batch_id, output=[answered("a", body)])
    result = (await batches.results(batch_id, CALLS))["a"]
    assert isinstance(result, BatchAnswer)
    assert (result.text, result.end.finish) == ("", finish)
    assert result.end.usage == Usage(20, 8, 5, 0, 2)


@pytest.mark.parametrize(
    "usage", [None, {"prompt_tokens": -1}, {**USAGE, "completion_tokens": 9e9}]
)
async def test_usage_that_is_missing_or_cannot_be_is_unknown(
    server: BatchServer, batches: OpenAIBatches, usage: object
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_openai(batch_id, output=[answered("a", completion("Yes.", usage=usage))])
    result = (await batches.results(batch_id, CALLS))["a"]
    assert isinstance(result, BatchAnswer)
    assert result.end.usage is None
    assert result.end.reported == ("" if usage is None else json.dumps(usage))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (not_answered("a", "batch_expired"), ProviderUnavailableError),
        (not_answered("a", "batch_cancelled"), ProviderUnavailableError),
        (not_answered("a", "server_error"), ProviderUnavailableError),
        (answered("a", {"error": {"message": "too long"}}, 400), ProviderRefusedError),
        (answered("a", {"error": {"message": "slow down"}}, 429), ProviderBusyError),
        (answered("a", "oops", 500), ProviderUnavailableError),
        (answered("a", {"choices": []}), ProviderReplyError),
        (answered("a", "<html>"), ProviderReplyError),
        ({"custom_id": "a"}, ProviderReplyError),
    ],
)
async def test_a_call_that_failed_tells_why_and_the_others_are_answered(
    server: BatchServer,
    batches: OpenAIBatches,
    line: dict[str, Any],
    error: type[ProviderError],
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_openai(
        batch_id, "expired", output=[answered("b", completion("Yes."))], errors=[line]
    )
    results = await batches.results(batch_id, CALLS)
    assert type(results["a"]) is error
    assert isinstance(results["b"], BatchAnswer)


async def test_a_call_without_a_result_is_an_error(
    server: BatchServer, batches: OpenAIBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_openai(batch_id, output=[answered("a", completion("Yes."))])
    missing = (await batches.results(batch_id, CALLS))["b"]
    assert isinstance(missing, ProviderReplyError)
    assert "no result of this call" in str(missing)


async def test_a_batch_that_is_refused_tells_why_for_each_call(
    server: BatchServer, batches: OpenAIBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_openai(batch_id, "failed", refused=["Line 1: no such model 'big'"])
    results = await batches.results(batch_id, CALLS)
    assert list(results) == ["a", "b"]
    for result in results.values():
        assert isinstance(result, ProviderRefusedError)
        assert "no such model 'big'" in str(result)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (JSONResponse({"error": {"message": f"bad key {KEY}"}}, 401), ProviderRefusedError),
        (JSONResponse({"error": {"message": "no"}}, 400), ProviderRefusedError),
        (
            JSONResponse({"error": {"message": "slow"}}, 429, {"retry-after": "7"}),
            ProviderBusyError,
        ),
        (JSONResponse({"error": {"message": "oops"}}, 503), ProviderUnavailableError),
        (PlainTextResponse("<html>Hello</html>", media_type="text/html"), ProviderReplyError),
        (JSONResponse(["no", "object"]), ProviderReplyError),
        (JSONResponse({"id": 1}), ProviderReplyError),
    ],
)
async def test_a_server_that_fails_is_an_error_of_ours_without_the_key(
    server: BatchServer, batches: OpenAIBatches, reply: JSONResponse, error: type[ProviderError]
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
    server: BatchServer, batches: OpenAIBatches
) -> None:
    batch_id = await batches.submit(CALLS)
    server.end_openai(batch_id, output=[answered("a", completion("Yes."))])
    server.files[server.batches[batch_id]["output_file_id"]] = '{"custom_id": "a", '
    with pytest.raises(ProviderReplyError):
        await batches.results(batch_id, CALLS)


async def test_a_batch_that_is_not_there_and_a_server_that_is_not_there(
    batches: OpenAIBatches,
) -> None:
    with pytest.raises(NotFoundError, match="has no batch 'batch_9'"):
        await batches.progress("batch_9")
    nowhere = OpenAIBatches("big", KEY, base_url="http://127.0.0.1:9/v1", timeout_s=1)
    with pytest.raises(ProviderUnavailableError, match="cannot be reached"):
        await nowhere.submit(CALLS)
    await nowhere.close()
