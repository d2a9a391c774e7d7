"""The official Python client of OpenAI, as it is, against the real service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

ASKED: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "How long can I return an item?"},
]
ANSWER = "You can return an item within 30 days of delivery."


@pytest.fixture
async def client(service_url: str) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{service_url}/v1", api_key="unused", max_retries=0
    ) as made:
        yield made


async def test_models(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["museum", "shop"]
    assert (await client.models.retrieve("shop")).owned_by == "thrifty-rag"
    with pytest.raises(openai.NotFoundError, match="there is no model 'garden'"):
        await client.models.retrieve("garden")


async def test_chat(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="shop", messages=ASKED, temperature=0.2, max_tokens=500
    )
    [choice] = completion.choices
    assert choice.message.role == "assistant"
    assert choice.message.content is not None
    assert ANSWER in choice.message.content
    assert (choice.finish_reason, completion.model) == ("stop", "shop")
    assert completion.usage is not None
    assert completion.usage.total_tokens == 0  # it was quoted
    assert completion.model_extra is not None
    rag: dict[str, Any] = completion.model_extra["rag"]
    assert rag["citations"][0]["quote"] in choice.message.content
    assert rag["cost"]["total_usd"] == "0.000000"


async def test_a_collection_is_answered_from_alone(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="museum", messages=ASKED)
    assert ANSWER not in (completion.choices[0].message.content or "")


async def test_options_beside_the_protocol(client: openai.AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="shop", messages=ASKED, extra_body={"rag": {"filters": {"title": "Nothing"}}}
    )
    assert completion.model_extra is not None
    assert completion.model_extra["rag"]["status"] == "abstained"


async def test_stream(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="shop", messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    assert ANSWER in text
    *_, last, usage = chunks
    assert last.choices[0].finish_reason == "stop"
    assert last.model_extra is not None
    assert last.model_extra["rag"]["citations"][0]["title"] == "Returns"
    assert usage.usage is not None


async def test_the_helper_for_streams_puts_the_same_together(client: openai.AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="shop", messages=ASKED) as stream:
        completion = await stream.get_final_completion()
    assert ANSWER in (completion.choices[0].message.content or "")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("more", "error", "code"),
    [
        ({"model": "garden"}, openai.NotFoundError, "model_not_found"),
        ({"messages": [{"role": "user", "content": ""}]}, openai.BadRequestError, "question"),
        (
            {"messages": [{"role": "user", "content": "x" * 4_001}]},
            openai.BadRequestError,
            "question",
        ),
        ({"n": 2}, openai.BadRequestError, "invalid"),
    ],
)
async def test_errors(
    client: openai.AsyncOpenAI,
    more: dict[str, Any],
    error: type[openai.APIStatusError],
    code: str,
    stream: bool,
) -> None:
    asked: dict[str, Any] = {"model": "shop", "messages": ASKED, "stream": stream} | more
    with pytest.raises(error) as caught:
        await client.chat.completions.create(**asked)
    assert caught.value.code == code
    assert caught.value.param == ("messages" if code == "question" else next(iter(more)))
