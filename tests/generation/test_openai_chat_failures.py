"""What can go wrong with a server of the OpenAI chat protocol, and with the keys for it."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx2
import openai
import pytest
from foreign_errors import all_of, foreign_error
from model_contract import (
    assert_busy,
    make_model_call,
    read_all,
    text_of,
)
from openai_server import (
    OpenAIServer,
    Page,
    Reply,
    Silence,
    Stream,
    error_page,
    running_openai_server,
)
from patience import FAR_S

from generation.providers.openai_chat import OpenAIChatModel, provider_error
from generation.providers.server import ModelServer
from rag.errors import (
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
    SettingsError,
)

KEY = "sk-very-secret"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with running_openai_server() as server:
        yield server


@pytest.fixture
async def model(server: OpenAIServer) -> AsyncIterator[OpenAIChatModel]:
    model = OpenAIChatModel(server.base_url, "small", None, provider="vllm", timeout_s=2.0)
    yield model
    await model.close()


BROKEN = [
    Stream(breaks_after=0),
    Stream(breaks_after=1),
    Stream(finish=None),
    Stream(finish=None, done=False),
    Stream(finish="abort"),
    Stream(then={"error": {"message": "EngineDeadError", "code": 500}}),
    Stream(then={"error": "it is gone"}),
    Stream(then={"error": {"message": 5, "code": "9" * 5_000}}),
]


@pytest.mark.parametrize("reply", BROKEN)
async def test_half_a_stream_is_an_error(
    server: OpenAIServer, model: OpenAIChatModel, reply: Stream
) -> None:
    server.replies.append(reply)
    with pytest.raises(ProviderUnavailableError, match="broke off in the middle of an answer"):
        await read_all(model, make_model_call())
    assert text_of(await read_all(model, make_model_call())), "and the next call is answered"


@pytest.mark.parametrize(
    "reply",
    [
        Page(200, "<p>Hello", "text/html"),
        Page(200, '{"choices": []}'),
        Page(200, "", "text/plain"),
        Page(404, '{"detail":"Not Found"}'),
        Page(404, "<p>Lost", "text/html"),
        Stream(then="{broken"),
        Stream(then="[" * 100_000),
        Stream(then="1" * 5_000),
        Stream(then=[]),
        Stream(then="null"),
        Stream(then={"object": "chat.completion.chunk"}),
        Stream(then={"choices": "none"}),
    ],
)
async def test_another_protocol_is_told_with_the_address(
    server: OpenAIServer, model: OpenAIChatModel, reply: Reply
) -> None:
    server.replies.append(reply)
    with pytest.raises(ProviderReplyError, match="not the OpenAI chat protocol: check") as told:
        await read_all(model, make_model_call())
    assert server.base_url in str(told.value)
    assert len(str(told.value)) < 400


async def test_what_is_no_server_of_models_is_told_when_asked_for_its_models(
    server: OpenAIServer,
) -> None:
    model = OpenAIChatModel(server.http.url, None, None)
    with pytest.raises(ProviderReplyError, match="404 Not Found"):
        await model.models()
    await model.close()


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (400, "context_length_exceeded", ProviderRefusedError),
        (402, None, ProviderRefusedError),
        (413, None, ProviderRefusedError),
        (422, None, ProviderRefusedError),
        (429, "insufficient_quota", ProviderRefusedError),
        (429, "rate_limit_exceeded", ProviderBusyError),
        (408, None, ProviderUnavailableError),
        (409, None, ProviderUnavailableError),
        (500, None, ProviderUnavailableError),
        (503, None, ProviderUnavailableError),
        (529, None, ProviderBusyError),
    ],
)
async def test_every_status_has_its_error_with_the_words_of_the_server(
    server: OpenAIServer,
    model: OpenAIChatModel,
    status: int,
    code: str | None,
    error: type[ProviderError],
) -> None:
    server.replies.append(error_page(status, "so it is", {"Retry-After": "3"}, code=code))
    with pytest.raises(error, match="so it is") as told:
        await read_all(model, make_model_call())
    assert type(told.value) is error
    assert server.base_url in str(told.value)
    assert told.value.retry_after_s == (3 if told.value.retryable else None)


@pytest.mark.parametrize("body", ["", "[]", '"x"', '{"error": 5}', '{"error": [1]}', "{"])
async def test_an_error_in_no_known_shape_is_still_one(
    server: OpenAIServer, model: OpenAIChatModel, body: str
) -> None:
    server.replies += [Page(500, body), Page(400, body)]
    for error in (ProviderUnavailableError, ProviderRefusedError):
        with pytest.raises(error):
            await read_all(model, make_model_call())


async def test_a_page_instead_of_an_error_is_quoted_in_part(
    server: OpenAIServer, model: OpenAIChatModel
) -> None:
    server.replies.append(Page(502, "<html>\n<p>Bad gateway" + "x" * 10_000, "text/html"))
    with pytest.raises(ProviderUnavailableError, match="502: <html> <p>Bad gatewayxxx") as told:
        await read_all(model, make_model_call())
    assert len(str(told.value)) < 400


async def test_nobody_at_the_address_is_told_with_it() -> None:
    async with running_openai_server() as gone:
        address = gone.base_url
    model = OpenAIChatModel(address, "small", None)
    with pytest.raises(ProviderUnavailableError, match=f"{address} cannot be reached: see that"):
        await read_all(model, make_model_call())
    await model.close()


@pytest.mark.parametrize("reply", [Silence(), Stream(hangs_after=0), Stream(hangs_after=1)])
async def test_a_silent_server_is_left_after_the_limit(server: OpenAIServer, reply: Reply) -> None:
    model = OpenAIChatModel(server.base_url, "small", None, timeout_s=0.2)
    server.replies.append(reply)
    with pytest.raises(ProviderUnavailableError, match=r"silent for 0\.2 s, the limit"):
        await read_all(model, make_model_call())
    await asyncio.wait_for(server.chats[0].client_left.wait(), FAR_S)
    await model.close()


@pytest.mark.parametrize("reply", [Silence(), Stream(hangs_after=0), Stream(hangs_after=1)])
async def test_the_server_sees_at_once_that_a_cancelled_caller_left(
    server: OpenAIServer, model: OpenAIChatModel, reply: Reply
) -> None:
    server.replies.append(reply)
    reading = asyncio.create_task(read_all(model, make_model_call()))
    await assert_busy(server.http.count_running)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await asyncio.wait_for(server.chats[0].client_left.wait(), FAR_S)


async def test_every_foreign_error_is_mapped() -> None:
    server = ModelServer("http://127.0.0.1:1", KEY, 1.0)
    foreign = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError)
    kinds = [kind for root in foreign for kind in all_of(root)]
    assert len(kinds) > 30
    for kind in kinds:
        for has_begun in (False, True):
            error = foreign_error(kind, f"told {KEY}")
            mapped = provider_error(error, server, "small", has_begun=has_begun)
            assert type(mapped) in ProviderError.__subclasses__(), kind
            assert KEY not in str(mapped)


async def test_a_wrong_key_is_told_without_the_key(
    server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.api_key = "sk-right"
    model = OpenAIChatModel(server.base_url, "small", KEY)
    with pytest.raises(ProviderRefusedError, match="set the api_key of this tier") as told:
        await read_all(model, make_model_call())
    await model.close()
    assert server.chats[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in f"{told.value!r} {told.value.__cause__} {model!r} {caplog.text}"
    assert "[key]" in str(told.value), "the server told it"


async def test_no_key_is_taken_from_the_environment(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, KEY)
    server.api_key = "sk-right"
    model = OpenAIChatModel(server.base_url, "small", None)
    with pytest.raises(ProviderRefusedError, match=r"none is set .*: set the api_key of this tier"):
        await read_all(model, make_model_call())
    await model.close()
    assert KEY not in str(server.chats[0].headers)


async def test_a_server_on_this_machine_is_asked_past_any_proxy(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    model = OpenAIChatModel(server.base_url, "small", None)
    assert text_of(await read_all(model, make_model_call()))
    await model.close()


@pytest.mark.parametrize(
    ("url", "key", "message"),
    [
        ("localhost:8000/v1", None, "address of the model server is 'localhost:8000/v1': give one"),
        ("ftp://name:sk-very-secret@host/v1", None, "'ftp://host/v1'"),
        ("http://host:99999/v1", None, "'http://host:99999/v1'"),
        ("http://[::1/v1", None, "address"),
        ("http:///v1", None, "address"),
        ("http://a b/v1", None, "address"),
        ("", None, "address of the model server is ''"),
        ("http://host/v1", f"{KEY}\n", "the API key .* white space"),
        ("http://host/v1", "", "the API key is empty"),
        ("http://host/v1", f"“{KEY}”", "not ASCII"),
    ],
)
def test_an_address_or_key_that_cannot_be_is_a_wrong_setting(
    url: str, key: str | None, message: str
) -> None:
    with pytest.raises(SettingsError, match=message) as told:
        OpenAIChatModel(url, "small", key)
    assert KEY not in str(told.value)


@pytest.mark.parametrize(
    ("package", "made"),
    [
        ("openai", "openai_chat import OpenAIChatModel as Model"),
        ("anthropic", "anthropic_chat import AnthropicModel as Model"),
    ],
)
def test_a_client_that_is_not_installed_is_told_with_what_installs_it(
    package: str, made: str
) -> None:
    code = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"from generation.providers.{made}\nModel('http://host', 'small', 'key')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError" in done.stderr
    assert "pip install 'thrifty-rag[llm]'" in done.stderr
