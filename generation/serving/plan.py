"""Chooses how vLLM serves a model on given GPUs: precision, context length, batches, cache.

The most exact weights that leave room for the wanted questions at once win.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from generation.serving.adapters import adapter_bytes, check_adapters
from generation.serving.facts import ModelFacts
from generation.serving.gpus import Gpu
from generation.serving.known_models import KNOWN_MODELS
from generation.serving.ladder import FP8_FROM, Rung, Wish, ladder
from generation.serving.memory import CacheType, Memory, share_out
from rag.errors import InputError, RangeError

USUAL_CONTEXT = 4_096
MOST_SEQUENCES = 256
"""vLLM's own limit on most GPUs: more at once only make each other wait."""

_LOWEST_CAPABILITY = 7.5
_BFLOAT16_FROM = 8.0
_NEEDS_8_0 = ("mxfp4", "gpt_oss_mxfp4")
_LARGE_GPU_BYTES = 70 * 1024**3
_GIGA = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How to serve a model: what was chosen, and the memory that follows.

    `tried` tells, in a line each, of the better ways that leave too little room.
    """

    facts: ModelFacts
    gpu: Gpu
    wish: Wish
    rung: Rung
    dtype: str
    context: int
    cache: CacheType
    batched_tokens: int
    memory: Memory
    tried: tuple[str, ...] = ()

    @property
    def sequences(self) -> int:
        """Questions that the server works on at once; more of them wait."""
        return min(self.memory.questions, MOST_SEQUENCES)

    @property
    def missing_bytes(self) -> int:
        """What the cache of each GPU lacks to hold the longest sequence; 0 where it fits."""
        return max(0, self.context * self.memory.kv_bytes_per_token - self.memory.kv_bytes)

    @property
    def has_room(self) -> bool:
        """Whether the wanted questions fit at once."""
        return not self.missing_bytes and self.memory.questions >= self.wish.concurrent


def make_plan(facts: ModelFacts, gpu: Gpu, wish: Wish) -> Plan:
    """The plan that serves `facts` on GPUs like `gpu`.

    Raises InputError, in one line, where that cannot be: wishes that contradict each other, a GPU
    that lacks what the model needs, or too little memory, with what would help.
    """
    _check_wish(wish)
    _check_gpus(facts, gpu, wish)
    check_adapters(wish.adapters, facts)
    best = _best_plan(facts, gpu, wish)
    if best.missing_bytes:
        raise InputError(_too_small(best))
    return best


def _best_plan(facts: ModelFacts, gpu: Gpu, wish: Wish) -> Plan:
    """The first plan with room for the wanted questions, or else the roomiest."""
    plans: list[Plan] = []
    for rung, cache in ladder(facts, gpu, wish):
        plans.append(_fill_in(facts, gpu, wish, rung, cache))
        if plans[-1].has_room:
            break
    best = min(
        plans, key=lambda plan: (not plan.has_room, plan.missing_bytes, -plan.memory.questions)
    )
    tried = tuple(_outcome(plan) for plan in plans if plan is not best)
    return replace(best, tried=tried)


def _outcome(plan: Plan) -> str:
    cache = ", and a cache of 8 bits" if plan.cache == "fp8" else ""
    weights = (
        f"{plan.rung.quantization}{cache}: {plan.memory.weight_bytes / _GIGA:.1f} GB of weights"
    )
    if plan.missing_bytes:
        return f"{weights} are too many by {plan.missing_bytes / _GIGA:.1f} GB"
    return f"{weights} leave room for {plan.memory.questions:,} questions at once"


def _fill_in(facts: ModelFacts, gpu: Gpu, wish: Wish, rung: Rung, cache: CacheType) -> Plan:
    # vLLM's own defaults: large batches only pay on large GPUs of the H100's kind and newer
    large = gpu.memory_bytes >= _LARGE_GPU_BYTES and gpu.capability > _BFLOAT16_FROM
    batched = 8_192 if large else 2_048
    memory = share_out(
        facts,
        rung.quantization,
        cache,
        wish.gpus,
        usable_bytes=int(gpu.memory_bytes * wish.utilization),
        batched_tokens=batched,
        question_tokens=wish.question_tokens,
        adapter_bytes=adapter_bytes(wish.adapters),
    )
    return Plan(
        facts=facts,
        gpu=gpu,
        wish=wish,
        rung=rung,
        dtype="auto" if gpu.capability >= _BFLOAT16_FROM else "half",
        context=_context(facts, wish, memory.kv_tokens),
        cache=cache,
        batched_tokens=batched,
        memory=memory,
    )


def _context(facts: ModelFacts, wish: Wish, kv_tokens: int) -> int:
    """Tokens that a sequence may have: vLLM does not start with a cache that holds fewer.

    Raises InputError where no question fits in.
    """
    needed = wish.question_tokens
    if wish.context is not None and wish.context < needed:
        raise InputError(
            f"--context is {wish.context:,}, and one question takes {wish.prompt_tokens:,} tokens "
            f"of prompt and {wish.output_tokens:,} of answer: give {needed:,} or more"
        )
    if facts.max_context and facts.max_context < (wish.context or needed):
        raise InputError(
            f"{facts.name} reads {facts.max_context:,} tokens at most, and "
            f"{wish.context or needed:,} are needed: give a lower --context or another model"
        )
    if wish.context is not None:
        return wish.context
    usual = max(USUAL_CONTEXT, -(-needed // 1_024) * 1_024)
    return max(needed, min(usual, kv_tokens, facts.max_context or usual))


def _check_wish(wish: Wish) -> None:
    if not 0.1 <= wish.utilization <= 1:
        raise RangeError("--gpu-memory-utilization", wish.utilization, 0.1, 1)
    if not 1 <= wish.concurrent <= 10_000:
        raise RangeError("--concurrent", wish.concurrent, 1, 10_000)
    if not 1 <= wish.gpus <= 64:
        raise RangeError("--gpus", wish.gpus, 1, 64)
    if wish.context is not None and not 1 <= wish.context <= 10_000_000:
        raise RangeError("--context", wish.context, 1, 10_000_000)


def _check_gpus(facts: ModelFacts, gpu: Gpu, wish: Wish) -> None:
    if gpu.capability < _LOWEST_CAPABILITY:
        raise InputError(
            f"{gpu.name} has compute capability {gpu.capability}, and vLLM needs "
            f"{_LOWEST_CAPABILITY}: take a newer GPU, or llama.cpp"
        )
    if facts.needs_bfloat16 and gpu.capability < _BFLOAT16_FROM:
        raise InputError(
            f"{facts.name} needs bfloat16, which GPUs have from compute capability "
            f"{_BFLOAT16_FROM} on, and {gpu.name} has {gpu.capability}: take another model or GPU"
        )
    if facts.quantized_as in _NEEDS_8_0 and gpu.capability < _BFLOAT16_FROM:
        raise InputError(
            f"{facts.name} is quantized by {facts.quantized_as}, which needs compute capability "
            f"{_BFLOAT16_FROM}, and {gpu.name} has {gpu.capability}: take another model or GPU"
        )
    if wish.cache == "fp8" and gpu.capability < FP8_FROM:
        raise InputError(
            f"--kv-cache fp8 needs compute capability {FP8_FROM}, and {gpu.name} has "
            f"{gpu.capability}: take --kv-cache auto"
        )
    if wish.gpus == 1:
        return
    if facts.quantized_as == "bitsandbytes":
        raise InputError(
            f"{facts.name} is quantized by bitsandbytes, which vLLM does not share out over "
            f"{wish.gpus} GPUs: give --gpus 1, or a checkpoint of another kind"
        )
    if not _can_share(facts, wish.gpus):
        fitting = [str(gpus) for gpus in range(1, 17) if _can_share(facts, gpus)]
        raise InputError(
            f"{facts.name} has {facts.heads or facts.kv_heads} attention heads and "
            f"{facts.kv_heads} for keys and values, which {wish.gpus} GPUs cannot share: give "
            f"--gpus {', '.join(fitting)}"
        )


def _can_share(facts: ModelFacts, gpus: int) -> bool:
    """Whether vLLM can give each GPU as many heads as the others."""
    if facts.quantized_as == "bitsandbytes" and gpus > 1:
        return False
    whole = facts.kv_heads % gpus == 0 or gpus % facts.kv_heads == 0
    return whole and facts.heads % gpus == 0


def _too_small(plan: Plan) -> str:
    """What is missing, and what would help."""
    wish, missing = plan.wish, plan.missing_bytes
    usable = plan.memory.usable_bytes
    beside = ", adapters" if wish.adapters else ""
    smaller = [f"a smaller model such as {name}" for name in _smaller(plan)]
    helps = [*_more_gpus(plan), *smaller] or ["a larger GPU"]
    return (
        f"{plan.rung.model} does not fit on {wish.gpus} x {plan.gpu.name}: {plan.rung.quantization}"
        f" weights{beside}, reserve and a sequence of {plan.context:,} tokens need "
        f"{(usable + missing) / _GIGA:.1f} GB of each, and {usable / _GIGA:.1f} GB may be used, so "
        f"{missing / _GIGA:.1f} GB are missing: take {' or '.join(helps)}"
    )


def _more_gpus(plan: Plan) -> list[str]:
    """The fewest GPUs that together hold the model, if doubling them a few times helps."""
    for gpus in (plan.wish.gpus * times for times in (2, 4, 8)):
        if _can_share(plan.facts, gpus):
            more = _best_plan(plan.facts, plan.gpu, replace(plan.wish, gpus=gpus))
            if not more.missing_bytes:
                return [f"--gpus {gpus}"]
    return []


def _smaller(plan: Plan) -> list[str]:
    """The largest known model for which there is room, if any."""
    wish = replace(plan.wish, quantization=None, cache=None)
    by_size = sorted(KNOWN_MODELS, key=lambda facts: -facts.parameters)
    for facts in by_size:
        if facts.needs_bfloat16 and plan.gpu.capability < _BFLOAT16_FROM:
            continue
        if facts.max_context < plan.context or not _can_share(facts, wish.gpus):
            continue
        if _best_plan(facts, plan.gpu, wish).has_room:
            return [facts.name]
    return []
