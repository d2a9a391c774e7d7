"""Our client of the Anthropic protocol against the real vLLM server, which speaks it too."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from model_contract import CallsRunning, ModelContract, end_of, make_model_call, read_all

from benchmarks.vllm_server import BLOCK_TOKENS, LONG_OUTPUT_TOKENS, MODEL, VllmServer
from generation.providers.anthropic_chat import AnthropicModel

KEY = "not-looked-at"
CONTEXT = "The tower stands in the old town, and it has three hundred steps. " * 20


@pytest.fixture
async def anthropic_model(vllm: VllmServer) -> AsyncIterator[AnthropicModel]:
    model = AnthropicModel(vllm.url, MODEL, KEY, timeout_s=300)
    yield model
    await model.close()


class TestContract(ModelContract):
    """What every model keeps."""

    gives_logprobs = False
    long_output_tokens = LONG_OUTPUT_TOKENS

    @pytest.fixture
    def model(self, anthropic_model: AnthropicModel) -> AnthropicModel:
        return anthropic_model

    @pytest.fixture
    async def unknown_model(self, vllm: VllmServer) -> AsyncIterator[AnthropicModel]:
        model = AnthropicModel(vllm.url, "no-such-model", KEY)
        yield model
        await model.close()

    @pytest.fixture
    def calls_running(self, calls_in_server: CallsRunning) -> CallsRunning:
        return calls_in_server


async def test_cached_tokens_are_part_of_the_input(
    vllm: VllmServer, anthropic_model: AnthropicModel
) -> None:
    call = make_model_call(CONTEXT, 2, "For the test of this protocol alone.")
    usages = [end_of(await read_all(anthropic_model, call)).usage for _ in range(2)]
    tokens = len(vllm.token_ids(call.prompt))
    cached = (tokens - 1) // BLOCK_TOKENS * BLOCK_TOKENS  # the last token is always read anew
    assert [(usage.input_tokens, usage.cached_input_tokens) for usage in usages if usage] == [
        (tokens, 0),
        (tokens, cached),
    ]
