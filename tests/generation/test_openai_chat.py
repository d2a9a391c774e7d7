"""The adapter of the OpenAI chat protocol, against a server that says what it is told to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from model_contract import (
    CallsRunning,
    ModelContract,
    end_of,
    make_model_call,
    read_all,
    text_of,
)
from openai_server import (
    LOGPROB,
    OpenAIServer,
    Stream,
    error_page,
    running_openai_server,
    usage,
)

from generation.providers.openai_chat import OpenAIChatModel
from rag.calls import TextDelta
from rag.errors import (
    ProviderRefusedError,
    ProviderReplyError,
)
from rag.types import Usage

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


class TestContract(ModelContract):
    @pytest.fixture
    async def model(self, model: OpenAIChatModel) -> OpenAIChatModel:
        return model

    @pytest.fixture
    async def unknown_model(self, server: OpenAIServer) -> AsyncIterator[OpenAIChatModel]:
        model = OpenAIChatModel(server.base_url, "giant", None, provider="vllm", timeout_s=2.0)
        yield model
        await model.close()

    @pytest.fixture
    def calls_running(self, server: OpenAIServer) -> CallsRunning:
        return server.http.count_running


# What is asked


async def test_the_call_is_sent_as_the_protocol_says(
    server: OpenAIServer, model: OpenAIChatModel
) -> None:
    await read_all(model, make_model_call("Where?", 7, "Be brief."))
    assert server.chats[0].body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "logprobs": True,
        "max_tokens": 7,
    }


@pytest.mark.parametrize(
    ("told", "settings", "name"),
    [
        ("openai", {}, "max_completion_tokens"),
        ("ollama", {}, "max_tokens"),
        ("azure", {"output_limit_name": "max_completion_tokens"}, "max_completion_tokens"),
    ],
)
async def test_the_most_tokens_are_named_as_the_provider_does(
    server: OpenAIServer, told: str, settings: dict[str, Any], name: str
) -> None:
    model = OpenAIChatModel(
        server.base_url, "small", KEY, provider=told, wants_logprobs=False, **settings
    )
    await read_all(model, make_model_call(max_output_tokens=3))
    await model.close()
    assert server.chats[0].body[name] == 3
    assert "logprobs" not in server.chats[0].body


@pytest.mark.parametrize(
    ("status", "message", "left_out"),
    [
        (
            400,
            "Unsupported value: 'temperature' does not support 0 with this model.",
            "temperature",
        ),
        (403, "You are not allowed to request logprobs from this model.", "logprobs"),
        (400, "Logprobs is not enabled for models/pro", "logprobs"),
        (422, "stream_options: Extra inputs are not permitted", "stream_options"),
        (400, "'max_tokens' is not supported. Use 'max_completion_tokens' instead.", "max_tokens"),
    ],
)
async def test_an_option_that_is_refused_is_left_out_from_then_on(
    server: OpenAIServer, model: OpenAIChatModel, status: int, message: str, left_out: str
) -> None:
    server.replies.append(error_page(status, message))
    for _ in range(2):
        assert text_of(await read_all(model, make_model_call(max_output_tokens=3)))
    assert [left_out in asked.body for asked in server.chats] == [True, False, False]
    assert len(server.chats[0].body) - len(server.chats[1].body) == (left_out != "max_tokens")


async def test_an_option_is_kept_where_leaving_it_out_did_not_help(
    server: OpenAIServer, model: OpenAIChatModel
) -> None:
    echoes_all = "what you sent: temperature, logprobs"
    server.replies += [error_page(400, echoes_all), error_page(400, echoes_all)]
    with pytest.raises(ProviderRefusedError, match="what you sent"):
        await read_all(model, make_model_call())
    await read_all(model, make_model_call())
    assert {"temperature", "logprobs"} <= set(server.chats[-1].body)


async def test_without_a_name_the_first_model_of_the_server_is_taken_and_asked_for_once(
    server: OpenAIServer,
) -> None:
    server.models = ["first", "second"]
    model = OpenAIChatModel(server.base_url, None, None, provider="llama.cpp")
    assert model.model == ""
    for _ in range(2):
        assert end_of(await read_all(model, make_model_call())).model == "first"
    assert model.model == "first"
    assert [asked.path for asked in server.http.asked].count("/v1/models") == 1
    await model.close()


async def test_a_server_that_comes_back_with_another_model_is_asked_anew(
    server: OpenAIServer,
) -> None:
    model = OpenAIChatModel(server.base_url, None, None)
    await read_all(model, make_model_call())
    server.models = ["new"]
    with pytest.raises(ProviderRefusedError, match="no model 'small', but new"):
        await read_all(model, make_model_call())
    assert end_of(await read_all(model, make_model_call())).model == "new"
    await model.close()


async def test_a_server_that_lists_no_model_is_told(server: OpenAIServer) -> None:
    server.models = []
    model = OpenAIChatModel(server.base_url, None, None)
    with pytest.raises(ProviderReplyError, match="lists no models: set the model of this tier"):
        await read_all(model, make_model_call())
    await model.close()


# What is answered


async def test_text_comes_with_the_log_probabilities_of_its_tokens(
    server: OpenAIServer, model: OpenAIChatModel
) -> None:
    server.replies.append(Stream(["The ", "", "tower."], usage(20, 3)))
    *pieces, end = await read_all(model, make_model_call())
    assert pieces == [TextDelta("The ", (LOGPROB,)), TextDelta("tower.", (LOGPROB, LOGPROB))]
    assert end_of([end]).usage == Usage(20, 0, 3)


@pytest.mark.parametrize(
    ("reported", "understood"),
    [
        (usage(20, 5), Usage(20, 0, 5)),
        (usage(20, 5, prompt_tokens_details={"cached_tokens": 16}), Usage(20, 16, 5)),
        (
            usage(
                20,
                9,
                prompt_tokens_details={"cached_tokens": 8, "cache_write_tokens": 4},
                completion_tokens_details={"reasoning_tokens": 6},
            ),
            Usage(20, 8, 9, 4, 6),
        ),
        # xAI and Google count what the model thought in the total alone.
        (
            usage(20, 5, total_tokens=32, completion_tokens_details={"reasoning_tokens": 7}),
            Usage(20, 0, 12, 0, 7),
        ),
        (usage(20, 5, prompt_cache_hit_tokens=12), Usage(20, 12, 5)),
        ({"prompt_tokens": 20, "completion_tokens": 5}, Usage(20, 0, 5)),
        # Absurd ones.
        ({}, None),
        ("many", None),
        (usage(0, 0), None),
        (usage(20, 0), None),
        (usage(-20, 5), None),
        (usage(20, -5), None),
        (usage(20, 5_000_000), None),
        (usage(20_000_000, 5), None),
        (usage(20, 5, prompt_tokens="20"), None),
        (usage(20, 5, prompt_tokens=True), None),
        (usage(20, 5, prompt_tokens_details={"cached_tokens": 21}), None),
        (usage(20, 5, prompt_tokens_details={"cached_tokens": -1}), None),
        (usage(20, 5, prompt_tokens_details=[1]), None),
        (usage(20, 5, completion_tokens_details={"reasoning_tokens": 6}), None),
    ],
)
async def test_usage_is_understood_or_not_believed_and_kept_as_it_was(
    server: OpenAIServer, model: OpenAIChatModel, reported: Any, understood: Usage | None
) -> None:
    server.replies.append(Stream(usage=reported))
    end = end_of(await read_all(model, make_model_call()))
    assert end.usage == understood
    assert end.reported == (json.dumps(reported) if reported else "")


async def test_usage_that_is_not_reported_is_not_made_up(
    server: OpenAIServer, model: OpenAIChatModel
) -> None:
    server.replies.append(Stream(usage=None))
    end = end_of(await read_all(model, make_model_call()))
    assert (end.usage, end.reported) == (None, "")


@pytest.mark.parametrize(
    ("reply", "finish"),
    [
        (Stream(finish="stop"), "stop"),
        (Stream(finish="length"), "length"),
        (Stream(finish="content_filter"), "refused"),
        (Stream([], refusal="I cannot help with that."), "refused"),
        (Stream(finish="tool_calls"), "stop"),
        (Stream(done=False), "stop"),
    ],
)
async def test_every_way_to_finish_has_its_word(
    server: OpenAIServer, model: OpenAIChatModel, reply: Stream, finish: str
) -> None:
    server.replies.append(reply)
    events = await read_all(model, make_model_call())
    assert end_of(events).finish == finish
    assert text_of(events) == "".join(reply.pieces), "a refusal is no answer"


async def test_an_empty_answer_is_no_error(server: OpenAIServer, model: OpenAIChatModel) -> None:
    server.replies.append(Stream([], usage(20, 0)))
    (end,) = await read_all(model, make_model_call())
    assert end_of([end]).usage == Usage(20, 0, 0)


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": [5]},
        {"choices": [{"index": 0}]},
        {"choices": [{"finish_reason": ["stop"]}]},
        {"choices": [{"delta": {"content": 7}}]},
        {"choices": [{"delta": {}, "logprobs": {"content": [1, {"logprob": "x"}]}}]},
        {"choices": [{"delta": {}, "logprobs": {"content": [{"logprob": 10**400}]}}]},
        {"choices": [{"delta": {}, "logprobs": [1]}]},
        {"choices": [], "model": None, "usage": [1]},
    ],
)
async def test_an_odd_chunk_does_no_harm(
    server: OpenAIServer, model: OpenAIChatModel, odd: object
) -> None:
    server.replies.append(Stream(then=odd))
    events = await read_all(model, make_model_call())
    assert text_of(events) == "The tower."
    assert (end_of(events).finish, end_of(events).usage) == ("stop", None)
