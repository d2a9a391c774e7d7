"""How much of a GPU's memory the weights take, and how many questions fit into the rest.

What vLLM keeps besides weights and KV cache is an estimate here: vLLM measures it when it starts,
and prints how many tokens its cache then holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from generation.serving.facts import ModelFacts

Quantization = Literal["none", "fp8", "awq", "gptq", "bitsandbytes"]
CacheType = Literal["auto", "fp8"]

BYTES_PER_PARAMETER = {
    "none": 2.0,
    "fp8": 1.0,
    # 4 bits, and for each 128 weights a scale of 16 bits and a zero point of 4
    "awq": 0.52,
    "gptq": 0.52,
    # 4 bits, and for each 64 weights a scale of 32 bits
    "bitsandbytes": 0.5625,
}

BLOCK_TOKENS = 16
"""vLLM gives out its KV cache in blocks of so many tokens (vllm/config/cache.py)."""

RESERVE_BYTES = 3 * 1024**3 // 2
"""CUDA's own memory, CUDA graphs and the sampler: an estimate, on the safe side."""

RESERVE_BYTES_PER_BATCHED_TOKEN = 256 * 1024
"""Activations of one token of a batch: an estimate, on the safe side."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What one of the GPUs holds, in bytes, and what that means in tokens.

    `usable_bytes` is the share that vLLM may take. `kv_tokens` is the size of the whole cache, and
    `questions` how many questions of `question_tokens`, prompt and answer, it holds at once.
    `adapter_bytes` are those of all adapters.
    """

    usable_bytes: int
    weight_bytes: int
    reserve_bytes: int
    kv_bytes_per_token: int
    kv_tokens: int
    question_tokens: int
    adapter_bytes: int = 0

    @property
    def kv_bytes(self) -> int:
        """Left for the KV cache; negative where not even weights and reserve fit."""
        return self.usable_bytes - self.weight_bytes - self.adapter_bytes - self.reserve_bytes

    @property
    def questions(self) -> int:
        """How many questions the cache holds at once."""
        return self.kv_tokens // self.question_tokens


def weight_bytes(facts: ModelFacts, quantization: str) -> int:
    """Bytes of all weights together, embeddings and output layer in 16 bits."""
    if facts.weight_bytes is not None:
        return facts.weight_bytes
    per_parameter = BYTES_PER_PARAMETER.get(quantization, 2.0)
    inner = facts.parameters - facts.embedding_parameters
    return 2 * facts.embedding_parameters + int(inner * per_parameter)


def kv_bytes_per_token(facts: ModelFacts, cache: CacheType, gpus: int) -> int:
    """Bytes of the keys and values of one token, in all layers, on each GPU.

    Layers with a sliding window are counted like the others: an upper bound.
    """
    heads = max(1, facts.kv_heads // gpus)
    return 2 * facts.layers * heads * facts.head_dim * (1 if cache == "fp8" else 2)


def share_out(
    facts: ModelFacts,
    quantization: str,
    cache: CacheType,
    gpus: int,
    *,
    usable_bytes: int,
    batched_tokens: int,
    question_tokens: int,
    adapter_bytes: int = 0,
) -> Memory:
    """What each of `gpus` holds when each may use `usable_bytes`."""
    weights = weight_bytes(facts, quantization) // gpus
    reserve = RESERVE_BYTES + RESERVE_BYTES_PER_BATCHED_TOKEN * batched_tokens
    per_token = kv_bytes_per_token(facts, cache, gpus)
    left = max(0, usable_bytes - weights - adapter_bytes - reserve)
    return Memory(
        usable_bytes=usable_bytes,
        weight_bytes=weights,
        reserve_bytes=reserve,
        kv_bytes_per_token=per_token,
        kv_tokens=left // (per_token * BLOCK_TOKENS) * BLOCK_TOKENS,
        question_tokens=question_tokens,
        adapter_bytes=adapter_bytes,
    )
