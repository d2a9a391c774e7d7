"""Our client of the OpenAI protocol against the real vLLM server."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from time import monotonic

import pytest
from model_contract import (
    CallsRunning,
    ModelContract,
    assert_idle_within,
    end_of,
    make_model_call,
    read_all,
    text_of,
)

from benchmarks.vllm_server import (
    BLOCK_TOKENS,
    LONG_OUTPUT_TOKENS,
    LONGEST_TOKENS,
    VllmServer,
)
from generation.providers.openai_chat import OpenAIChatModel
from rag.calls import TextDelta
from rag.errors import ProviderError, ProviderRefusedError, ProviderUnavailableError

CONTEXT = "The tower stands in the old town, and it has three hundred steps. " * 20


class TestContract(ModelContract):
    """What every model keeps."""

    long_output_tokens = LONG_OUTPUT_TOKENS

    @pytest.fixture
    def model(self, vllm_model: OpenAIChatModel) -> OpenAIChatModel:
        return vllm_model

    @pytest.fixture
    async def unknown_model(self, vllm: VllmServer) -> AsyncIterator[OpenAIChatModel]:
        model = OpenAIChatModel(vllm.url, "no-such-model", None, provider="vllm")
        yield model
        await model.close()

    @pytest.fixture
    def calls_running(self, calls_in_server: CallsRunning) -> CallsRunning:
        return calls_in_server


async def test_the_first_words_come_long_before_the_last(vllm_model: OpenAIChatModel) -> None:
    began = monotonic()
    times = []
    async with aclosing(vllm_model.stream(make_model_call(max_output_tokens=3_000))) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                times.append(monotonic() - began)
    assert len(times) > 100
    assert times[0] < times[-1] / 2


async def test_every_token_has_its_log_probability(vllm_model: OpenAIChatModel) -> None:
    events = await read_all(vllm_model, make_model_call(max_output_tokens=200))
    logprobs = [x for event in events if isinstance(event, TextDelta) for x in event.logprobs]
    assert all(math.isfinite(x) and x <= 0 for x in logprobs)
    unfinished = 4  # tokens at the end that are part of a character that never was whole
    assert 200 - unfinished <= len(logprobs) <= 200


@pytest.mark.parametrize("text", ["Short?", CONTEXT, "Wie hoch ist der Turm, 塔, 🗼?"])
async def test_usage_is_what_the_tokenizer_counts(
    text: str, vllm: VllmServer, vllm_model: OpenAIChatModel
) -> None:
    call = make_model_call(text, max_output_tokens=7)
    usage = end_of(await read_all(vllm_model, call)).usage
    assert usage is not None
    assert usage.input_tokens == len(vllm.token_ids(call.prompt))
    assert usage.output_tokens == 7


async def test_what_prompts_share_at_the_beginning_is_read_once(
    vllm: VllmServer, vllm_model: OpenAIChatModel
) -> None:
    first = make_model_call(f"Context: {CONTEXT}\n\nHow old is it?", 2, "For this test alone.")
    second = make_model_call(f"Context: {CONTEXT}\n\nWho built it?", 2, "For this test alone.")
    cached = []
    for call in (first, second):
        usage = end_of(await read_all(vllm_model, call)).usage
        assert usage is not None
        cached.append(usage.cached_input_tokens)
    pairs = zip(vllm.token_ids(first.prompt), vllm.token_ids(second.prompt), strict=False)
    shared = next(n for n, (one, other) in enumerate(pairs) if one != other)
    assert cached == [0, shared // BLOCK_TOKENS * BLOCK_TOKENS]
    assert cached[1] > 100


async def test_no_token_is_made_after_the_caller_left(
    vllm: VllmServer, vllm_model: OpenAIChatModel, calls_in_server: CallsRunning
) -> None:
    async with aclosing(vllm_model.stream(make_model_call("Left?", LONG_OUTPUT_TOKENS))) as events:
        await anext(events)
    await assert_idle_within(calls_in_server, 1.0)
    made = vllm.metric("vllm:generation_tokens_total")
    await asyncio.sleep(0.5)  # the server's time, which no clock of ours can move
    assert vllm.metric("vllm:generation_tokens_total") == made


async def test_more_calls_than_run_at_once_are_all_answered(vllm_model: OpenAIChatModel) -> None:
    calls = [make_model_call(f"Question {n}?", 20) for n in range(30)]
    ends = [end_of(e) for e in await asyncio.gather(*(read_all(vllm_model, c) for c in calls))]
    assert [end.usage.output_tokens for end in ends if end.usage] == [20] * 30


async def test_calls_that_the_queue_does_not_take_are_told_so(
    vllm_model: OpenAIChatModel, calls_in_server: CallsRunning
) -> None:
    calls = [make_model_call(f"Question {n}?", 300) for n in range(120)]
    results = await asyncio.gather(
        *(read_all(vllm_model, call) for call in calls), return_exceptions=True
    )
    kinds = Counter(
        type(result) if isinstance(result, BaseException) else "answered" for result in results
    )
    assert set(kinds) == {"answered", ProviderUnavailableError}
    assert all(r.retryable for r in results if isinstance(r, ProviderError))
    await assert_idle_within(calls_in_server, 1.0)
    assert text_of(await read_all(vllm_model, make_model_call())), "and the next is answered"


async def test_a_prompt_that_does_not_fit_the_model_is_refused(vllm_model: OpenAIChatModel) -> None:
    with pytest.raises(ProviderRefusedError, match=str(LONGEST_TOKENS)):
        await read_all(vllm_model, make_model_call("tower " * LONGEST_TOKENS))


async def test_a_server_without_a_name_given_serves_its_first(vllm: VllmServer) -> None:
    model = OpenAIChatModel(vllm.url, None, None, provider="vllm")
    assert text_of(await read_all(model, make_model_call()))
    assert model.model == "made"
    await model.close()
