"""The real vLLM server is killed while it answers, and started again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from model_contract import make_model_call, read_all, text_of

from benchmarks.vllm_server import LONG_OUTPUT_TOKENS, VllmServer
from generation.providers.openai_chat import OpenAIChatModel
from rag.calls import ModelCall, TextDelta
from rag.errors import ProviderError, ProviderUnavailableError

MANY = 20  # more than it works on at once
SECONDS_TO_NOTICE = 15.0


async def test_killed_with_many_calls_and_started_again(
    vllm: VllmServer, vllm_model: OpenAIChatModel
) -> None:
    call = make_model_call("Killed?", LONG_OUTPUT_TOKENS)
    async with aclosing(vllm_model.stream(call)) as events:
        assert isinstance(await anext(events), TextDelta)
        others = asyncio.gather(*(_ending(vllm_model, call) for _ in range(MANY)))
        try:
            for _ in range(200):  # in the time of which the others begin too
                await anext(events)
            await asyncio.to_thread(vllm.kill)
            async with asyncio.timeout(SECONDS_TO_NOTICE):
                with pytest.raises(ProviderUnavailableError, match="broke off"):
                    await _drain(events)
                assert await others == [ProviderUnavailableError] * MANY
                assert await _ending(vllm_model, call) is ProviderUnavailableError
        finally:
            await asyncio.to_thread(vllm.kill)  # where the test failed before it did
            await asyncio.to_thread(vllm.start)
    answers = await asyncio.gather(*(read_all(vllm_model, make_model_call()) for _ in range(MANY)))
    assert all(text_of(events) for events in answers), "the same client goes on"


async def _ending(model: OpenAIChatModel, call: ModelCall) -> type[ProviderError] | None:
    """The kind of error in which a call ends, None if in an answer."""
    try:
        await read_all(model, call)
    except ProviderError as error:
        return type(error)
    return None


async def _drain(events: AsyncIterator[object]) -> None:
    async for _ in events:
        pass
