"""The adapter of the Anthropic messages protocol, against a server that says what it is told to."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import anthropic
import httpx2
import pytest
from anthropic_server import AnthropicServer, Message, error_page, running_anthropic_server
from foreign_errors import all_of, foreign_error
from model_contract import (
    CallsRunning,
    ModelContract,
    end_of,
    make_model_call,
    read_all,
    text_of,
)
from openai_server import Page, Silence
from patience import FAR_S

from generation.providers.anthropic_chat import AnthropicModel, provider_error
from generation.providers.server import ModelServer
from rag.errors import (
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.types import Usage

KEY = "sk-ant-secret"


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with running_anthropic_server() as server:
        yield server


@pytest.fixture
async def model(server: AnthropicServer) -> AsyncIterator[AnthropicModel]:
    model = AnthropicModel(server.http.url, "claude", KEY, timeout_s=2.0)
    yield model
    await model.close()


class TestContract(ModelContract):
    gives_logprobs = False

    @pytest.fixture
    async def model(self, model: AnthropicModel) -> AnthropicModel:
        return model

    @pytest.fixture
    async def unknown_model(self, server: AnthropicServer) -> AsyncIterator[AnthropicModel]:
        model = AnthropicModel(server.http.url, "giant", KEY, timeout_s=2.0)
        yield model
        await model.close()

    @pytest.fixture
    def calls_running(self, server: AnthropicServer) -> CallsRunning:
        return server.http.count_running


async def test_the_prompt_is_sent_with_its_stable_part_marked_for_the_cache(
    server: AnthropicServer, model: AnthropicModel
) -> None:
    call = make_model_call("Where?", 7, "Be brief.")
    await read_all(model, call)
    body = server.messages[0].body
    cached = {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}
    assert body["system"] == [cached]
    assert body["messages"] == [{"role": "user", "content": "Where?"}]
    assert (body["model"], body["max_tokens"], body["temperature"]) == ("claude", 7, 0)


async def test_what_the_cache_took_and_gave_is_part_of_the_input(
    server: AnthropicServer, model: AnthropicModel
) -> None:
    start = {
        "input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation_input_tokens": 5,
        "output_tokens": 1,
    }
    end = {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 4}}
    server.replies.append(Message(start_usage=start, end_usage=end))
    told = end_of(await read_all(model, make_model_call()))
    assert told.usage == Usage(35, 20, 9, 5, 4)
    assert json.loads(told.reported) == start | end


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (None, None),
        ({"input_tokens": 10, "output_tokens": 0}, None),
        ({"input_tokens": -1, "output_tokens": 0}, {"output_tokens": 3}),
        ({"input_tokens": 10_000_000, "output_tokens": 0}, {"output_tokens": 3}),
        ({"input_tokens": 10, "output_tokens": 0}, {"output_tokens": 10_000}),
        ({"input_tokens": "ten", "output_tokens": 0}, {"output_tokens": 3}),
    ],
)
async def test_usage_that_is_missing_or_cannot_be_is_not_believed(
    server: AnthropicServer, model: AnthropicModel, start: object, end: object
) -> None:
    server.replies.append(Message(start_usage=start, end_usage=end))
    told = end_of(await read_all(model, make_model_call()))
    assert told.usage is None
    assert bool(told.reported) == bool(start)


@pytest.mark.parametrize(
    ("told", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refused"),
        ("something_new", "stop"),
    ],
)
async def test_every_way_to_finish_has_its_word(
    server: AnthropicServer, model: AnthropicModel, told: str, finish: str
) -> None:
    server.replies.append(Message(finish=told))
    assert end_of(await read_all(model, make_model_call())).finish == finish


async def test_thoughts_are_no_text_and_an_answer_may_be_empty(
    server: AnthropicServer, model: AnthropicModel
) -> None:
    server.replies += [Message(thinks="Hm. "), Message(pieces=[])]
    assert text_of(await read_all(model, make_model_call())) == "The tower."
    assert len(await read_all(model, make_model_call())) == 1


async def test_a_temperature_that_is_refused_is_left_out_from_then_on(
    server: AnthropicServer, model: AnthropicModel
) -> None:
    told = "`temperature` is deprecated for this model."
    server.replies.append(error_page(400, "invalid_request_error", told))
    await read_all(model, make_model_call())
    await read_all(model, make_model_call())
    assert ["temperature" in asked.body for asked in server.messages] == [True, False, False]


@pytest.mark.parametrize(
    ("status", "kind", "error"),
    [
        (400, "invalid_request_error", ProviderRefusedError),
        (402, "billing_error", ProviderRefusedError),
        (403, "permission_error", ProviderRefusedError),
        (413, "request_too_large", ProviderRefusedError),
        (429, "rate_limit_error", ProviderBusyError),
        (500, "api_error", ProviderUnavailableError),
        (504, "timeout_error", ProviderUnavailableError),
        (529, "overloaded_error", ProviderBusyError),
    ],
)
async def test_an_error_is_the_same_before_and_within_a_stream(
    server: AnthropicServer,
    model: AnthropicModel,
    status: int,
    kind: str,
    error: type[ProviderError],
) -> None:
    server.replies.append(error_page(status, kind, "so it is"))
    with pytest.raises(error, match="so it is") as before:
        await read_all(model, make_model_call())
    server.replies.append(Message(then={"type": kind, "message": "so it is"}))
    with pytest.raises(error, match="so it is") as within:
        await read_all(model, make_model_call())
    assert type(before.value) is type(within.value) is error


async def test_overload_says_after_how_long_to_come_back(
    server: AnthropicServer, model: AnthropicModel
) -> None:
    server.replies.append(error_page(529, "overloaded_error", "Overloaded", {"retry-after": "7"}))
    with pytest.raises(ProviderBusyError, match="come back after 7 s") as told:
        await read_all(model, make_model_call())
    assert told.value.retry_after_s == 7


async def test_a_wrong_key_is_told_without_the_key(
    server: AnthropicServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    model = AnthropicModel(server.http.url, "claude", "sk-ant-other", timeout_s=2.0)
    with pytest.raises(ProviderRefusedError, match="set the api_key of this tier") as told:
        await read_all(model, make_model_call())
    await model.close()
    assert "sk-ant-other" not in f"{told.value!r} {model!r} {caplog.text}"
    assert "[key]" in str(told.value), "the server told it"


async def test_an_unknown_model_is_refused_with_those_there_are(server: AnthropicServer) -> None:
    model = AnthropicModel(server.http.url + "/v1/", "giant", KEY, timeout_s=2.0)
    with pytest.raises(ProviderRefusedError, match="no model 'giant', but claude: set this tier's"):
        await read_all(model, make_model_call())
    await model.close()


@pytest.mark.parametrize(
    ("reply", "error", "message"),
    [
        (Message(breaks_after=1), ProviderUnavailableError, "broke off in the middle"),
        (Message(finish=None), ProviderUnavailableError, "broke off in the middle"),
        (Page(200, "<p>Hello", "text/html"), ProviderReplyError, "text/html.*check the address"),
        (Page(404, "<p>Lost", "text/html"), ProviderReplyError, "404 <p>Lost.*check the address"),
        (Page(502, "<p>Bad", "text/html"), ProviderUnavailableError, "502: <p>Bad"),
        (Page(200, "event: x\ndata: {\n\n", "text/event-stream"), ProviderReplyError, "answered {"),
        (Page(200, "event: x\ndata: []\n\n", "text/event-stream"), ProviderReplyError, r"\[\]"),
    ],
)
async def test_what_is_no_answer_is_told_apart(
    server: AnthropicServer,
    model: AnthropicModel,
    reply: Message | Page,
    error: type[ProviderError],
    message: str,
) -> None:
    server.replies.append(reply)
    with pytest.raises(error, match=message) as told:
        await read_all(model, make_model_call())
    assert server.http.url in str(told.value)
    assert "\n" not in str(told.value)


async def test_a_silent_server_is_left_after_the_limit(server: AnthropicServer) -> None:
    model = AnthropicModel(server.http.url, "claude", KEY, timeout_s=0.2)
    for reply in (Silence(), Message(hangs_after=1)):
        server.replies.append(reply)
        with pytest.raises(ProviderUnavailableError, match=r"silent for 0\.2 s, the limit"):
            await read_all(model, make_model_call())
        await asyncio.wait_for(server.messages[-1].client_left.wait(), FAR_S)
    await model.close()


async def test_every_foreign_error_is_mapped() -> None:
    server = ModelServer("http://127.0.0.1:1", KEY, 1.0)
    kinds = [
        *all_of(anthropic.AnthropicError),
        *all_of(httpx2.HTTPError),
        *all_of(httpx2.StreamError),
    ]
    assert len(kinds) > 50
    for kind in kinds:
        for has_begun in (False, True):
            error = foreign_error(kind, f"told {KEY}")
            mapped = provider_error(error, server, "claude", has_begun=has_begun)
            assert type(mapped) in ProviderError.__subclasses__(), kind
            assert KEY not in str(mapped)
