"""A plan as the command that starts vLLM, each option with its reason, and as settings of ours.

The options are those of vLLM 0.32.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from generation.serving.adapters import served_rank
from generation.serving.plan import MOST_SEQUENCES, USUAL_CONTEXT, Plan

HOST = "127.0.0.1"
PORT = 8_001
"""The service itself has port 8000."""

BITSANDBYTES_PLUGIN = "vllm-bnb-plugin"
"""Holds what vLLM has of bitsandbytes since 0.28 (https://github.com/vllm-project/vllm/pull/43529)."""

_IN_FLIGHT = {"fp8": "fp8_per_tensor", "bitsandbytes": "bitsandbytes"}
_GIGA = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Option:
    """One option of `vllm serve`; `value` is empty for a switch, `more` follow where there are."""

    name: str
    value: str
    why: str
    more: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """As the command line has it."""
        return [*filter(None, (self.name, self.value)), *self.more]


def options(plan: Plan) -> list[Option]:
    """Every option, in the order in which a person would want to read them."""
    return [
        Option("--host", HOST, "only this machine reaches it: it asks for no key"),
        Option("--port", str(PORT), "the service itself has 8000"),
        *_name(plan),
        *_precision(plan),
        *_batching(plan),
        *_reuse(plan),
        *_adapters(plan),
    ]


def served_name(plan: Plan) -> str:
    """What the server calls the model."""
    return Path(plan.rung.model).name if _is_folder(plan) else plan.rung.model


def arguments(plan: Plan) -> list[str]:
    """The command, word by word."""
    words = ["vllm", "serve", plan.rung.model]
    for option in options(plan):
        words += option.words
    return words


def command(plan: Plan) -> str:
    """The command for a shell, an option a line."""
    lines = [f"vllm serve {shlex.quote(plan.rung.model)}"]
    lines += [shlex.join(option.words) for option in options(plan)]
    return " \\\n  ".join(lines)


def settings(plan: Plan) -> dict[str, str]:
    """The settings that make the service use this server; those nobody can know are empty."""
    adapters = plan.wish.adapters
    watts = "" if plan.gpu.watts is None else f"{plan.gpu.watts * plan.wish.gpus:g}"
    return {
        "RAG_LOCAL__BASE_URL": f"http://{HOST}:{PORT}/v1",
        "RAG_LOCAL__MODEL": adapters[0].name if adapters else served_name(plan),
        "RAG_LOCAL__MAX_CONCURRENT": str(plan.sequences),
        "RAG_LOCAL__GPU_USD_PER_HOUR": "",
        "RAG_LOCAL__GPU_WATTS": watts,
    }


def arithmetic(plan: Plan) -> list[str]:
    """How the memory is shared out, line by line; of each GPU where there are several."""
    facts, memory, gpus = plan.facts, plan.memory, plan.wish.gpus
    each = " on each" if gpus > 1 else ""
    bytes_each = 1 if plan.cache == "fp8" else 2
    heads = max(1, facts.kv_heads // gpus)
    size = f"{facts.parameters / _GIGA:.2f} billion parameters, {plan.rung.quantization}"
    if facts.weight_bytes is not None:
        size = f"as they lie in the checkpoint, {plan.rung.quantization}"
    return [
        *(f"tried {line}" for line in plan.tried),
        f"{plan.gpu.name}: {_gb(plan.gpu.memory_bytes)}, of which vLLM may take "
        f"{plan.wish.utilization:.0%}: {_gb(memory.usable_bytes)}",
        f"weights, {size}: {_gb(memory.weight_bytes)}{each}",
        *_adapter_arithmetic(plan),
        f"reserve for activations, sampler and CUDA, estimated: {_gb(memory.reserve_bytes)}",
        f"left for the KV cache: {_gb(memory.kv_bytes)}{each}",
        f"one token: 2 x {facts.layers} layers x {heads} heads x {facts.head_dim} x {bytes_each} "
        f"bytes = {memory.kv_bytes_per_token:,} bytes, so the cache holds {memory.kv_tokens:,} "
        "tokens",
        f"one question: {plan.wish.prompt_tokens:,} tokens of prompt + {plan.wish.output_tokens:,} "
        f"of answer = {memory.question_tokens:,}, so {memory.questions:,} fit at once",
    ]


def notes(plan: Plan) -> Iterator[str]:
    """What a person should know besides."""
    if plan.memory.questions < plan.wish.concurrent:
        yield (
            f"{plan.memory.questions:,} questions fit at once, not the {plan.wish.concurrent:,} "
            "wanted: the others wait for a place"
        )
    if plan.rung.quantization == "bitsandbytes":
        yield f"vLLM needs a plugin for it: pip install {BITSANDBYTES_PLUGIN}"
    if plan.rung.model != plan.facts.name:
        yield f"the model becomes {plan.rung.model}, made from {plan.facts.name}"
    if plan.rung.quantization in ("fp8", "awq", "gptq", "bitsandbytes") or plan.cache == "fp8":
        yield "quantization costs some quality: run `rag evaluate` before and after"


def _name(plan: Plan) -> Iterator[Option]:
    if _is_folder(plan):
        yield Option("--served-model-name", served_name(plan), "what questions ask for")


def _precision(plan: Plan) -> Iterator[Option]:
    rung = plan.rung
    if plan.dtype == "half":
        yield Option("--dtype", "half", f"{plan.gpu.name} has no bfloat16")
    else:
        yield Option("--dtype", "auto", "the checkpoint's own")
    if rung.is_in_flight:
        value = _IN_FLIGHT[rung.quantization]
        yield Option("--quantization", value, f"so vLLM calls {rung.quantization} made on the way")
    why = "keys and values in 16 bits, as exact as the model"
    if plan.cache == "fp8":
        why = "keys and values in 8 bits take half the room"
    yield Option("--kv-cache-dtype", plan.cache, why)
    if plan.wish.gpus > 1:
        why = "each GPU holds a part of every layer"
        yield Option("--tensor-parallel-size", str(plan.wish.gpus), why)
    share = f"{plan.wish.utilization:g}"
    yield Option(
        "--gpu-memory-utilization", share, "of the GPU; lower it where others use the GPU too"
    )


def _batching(plan: Plan) -> Iterator[Option]:
    question = plan.memory.question_tokens
    why = f"a question and its answer take {question:,} tokens; room is taken only as it is used"
    if plan.context < USUAL_CONTEXT and plan.wish.context is None:
        why = f"the cache or the model holds no more; a question takes {question:,} tokens"
    yield Option("--max-model-len", str(plan.context), why)
    fitting = plan.memory.questions
    why = f"so many questions fit into the cache at once, up to {MOST_SEQUENCES}"
    if fitting > MOST_SEQUENCES:
        why = f"{fitting:,} would fit; more than {MOST_SEQUENCES} only make each other wait"
    yield Option("--max-num-seqs", str(plan.sequences), why)
    why = "a whole prompt in one step, and answers under way wait for no longer one"
    if plan.wish.prompt_tokens > plan.batched_tokens:
        why = "vLLM's own default here; longer prompts are read in several steps"
    yield Option("--max-num-batched-tokens", str(plan.batched_tokens), why)


def _reuse(plan: Plan) -> Iterator[Option]:
    why = "the prompt's stable part comes first, and is read once"
    yield Option("--enable-prefix-caching", "", why)
    why = "tells how many tokens came from that cache, so that they are booked"
    yield Option("--enable-prompt-tokens-details", "", why)
    if plan.facts.thinks:
        value = json.dumps({"enable_thinking": False})
        why = f"it would spend the {plan.wish.output_tokens:,} tokens of an answer on thinking"
        yield Option("--default-chat-template-kwargs", value, why)


def _adapters(plan: Plan) -> Iterator[Option]:
    adapters = plan.wish.adapters
    if not adapters:
        return
    names = " or ".join(adapter.name for adapter in adapters)
    yield Option("--enable-lora", "", "makes room for adapters")
    why = f"the least that vLLM takes for rank {max(adapter.rank for adapter in adapters)}"
    yield Option("--max-lora-rank", str(served_rank(adapters)), why)
    if len(adapters) > 1:
        yield Option("--max-loras", str(len(adapters)), "all of them may answer in one batch")
    first, *others = (f"{adapter.name}={adapter.folder}" for adapter in adapters)
    why = f"who asks for {names} gets that one, and who asks for {served_name(plan)} none"
    yield Option("--lora-modules", first, why, more=tuple(others))


def _adapter_arithmetic(plan: Plan) -> Iterator[str]:
    adapters = plan.wish.adapters
    if adapters:
        widest = max(adapter.width for adapter in adapters)
        yield (
            f"adapters: {len(adapters)} x rank {served_rank(adapters)} x {widest:,} inputs and "
            f"outputs x 2 bytes: {_gb(plan.memory.adapter_bytes)} on each GPU"
        )


def _is_folder(plan: Plan) -> bool:
    return plan.rung.model == plan.facts.name and Path(plan.rung.model).is_dir()


def _gb(count: int) -> str:
    return f"{count / _GIGA:.1f} GB"
