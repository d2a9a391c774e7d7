"""The ways to load a model's weights, from the most exact to the smallest.

16 bits, then FP8, then 4 bits: from a checkpoint that was quantized with care, where one is known,
else quantized while it loads. Facts about vLLM are those of 0.32: from 7.5 on, a GPU runs FP8
weights, but only from 8.9 on does it calculate in FP8
(https://docs.vllm.ai/en/v0.32.0/features/quantization/llm_compressor/fp8/).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from generation.serving.adapters import Adapter
from generation.serving.facts import ModelFacts
from generation.serving.gpus import Gpu
from generation.serving.memory import CacheType, Quantization
from rag.errors import InputError

FP8_FROM = 8.9
"""Compute capability from which on a GPU calculates in FP8."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted of a server; None leaves a choice to the plan.

    `prompt_tokens` and `output_tokens` are those of one question at most. `concurrent` is how many
    questions there shall be room for at once. `utilization` is the share of a GPU's memory that
    vLLM may take, above 0 and at most 1. `adapters` are served beside the model.
    """

    prompt_tokens: int = 1_500
    output_tokens: int = 400
    concurrent: int = 16
    gpus: int = 1
    context: int | None = None
    quantization: Quantization | None = None
    cache: CacheType | None = None
    utilization: float = 0.92
    adapters: tuple[Adapter, ...] = ()

    @property
    def question_tokens(self) -> int:
        """Prompt and answer of one question."""
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Rung:
    """One way to load the weights. `quantization` is that of `Wish`, or of the checkpoint."""

    model: str
    quantization: str
    is_in_flight: bool
    why: str


def ladder(facts: ModelFacts, gpu: Gpu, wish: Wish) -> Iterator[tuple[Rung, CacheType]]:
    """The ways to load the model and to keep its cache, best first."""
    rungs = list(_rungs(facts, gpu, wish))
    yield from ((rung, wish.cache or "auto") for rung in rungs)
    if wish.cache is None and gpu.capability >= FP8_FROM:
        yield rungs[-1], "fp8"


def _rungs(facts: ModelFacts, gpu: Gpu, wish: Wish) -> Iterator[Rung]:
    wanted = wish.quantization
    if facts.quantized_as:
        if wanted not in (None, facts.quantized_as):
            raise InputError(
                f"{facts.name} is quantized already, by {facts.quantized_as}: leave --quantization "
                f"{wanted} out, or name the model that is not quantized"
            )
        yield Rung(facts.name, facts.quantized_as, False, "the checkpoint is quantized so")
        return
    if wanted in (None, "none"):
        yield Rung(facts.name, "none", False, "weights as they are, in 16 bits: nothing is lost")
    if wanted in (None, "fp8"):
        how = "calculates in FP8, too" if gpu.capability >= FP8_FROM else "unpacks them to work"
        why = f"weights in 8 bits, made while they load: {gpu.name} {how}"
        yield Rung(facts.name, "fp8", True, why)
    yield from _four_bits(facts, wanted)


def _four_bits(facts: ModelFacts, wanted: Quantization | None) -> Iterator[Rung]:
    """The wanted way to 4 bits, or else the best: a checkpoint, where one is known."""
    checkpoints = {"awq": facts.awq, "gptq": facts.gptq}
    if wanted in checkpoints and not checkpoints[wanted]:
        raise InputError(
            f"--quantization {wanted} needs a checkpoint that is quantized so, and none of "
            f"{facts.name} is known: give its name as MODEL (often it ends with -{wanted.upper()})"
            ", or take --quantization bitsandbytes, which quantizes while it loads"
        )
    for method, name in checkpoints.items():
        if name and wanted in (None, method):
            yield Rung(name, method, False, "weights in 4 bits, from a checkpoint made with care")
            return
    if wanted in (None, "bitsandbytes"):
        why = "weights in 4 bits, made while they load: no checkpoint with 4 is known"
        yield Rung(facts.name, "bitsandbytes", True, why)
