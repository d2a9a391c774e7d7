"""Open models that many people serve, by the numbers of their `config.json`.

The numbers are those that the makers publish at https://huggingface.co/<name>, noted in November
2026. Parameters follow from them; a test compares them with the counts that the makers state.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from typing import Any, NamedTuple

from generation.serving.facts import ModelFacts
from rag.errors import InputError

NOTED = "2026-11"

_QUANTIZED = {"-awq": "awq", "-gptq-int4": "gptq", "-fp8": "fp8"}
"""How the names of quantized checkpoints usually end."""


class _Shape(NamedTuple):
    """The numbers of a decoder with gated feed-forward layers."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    max_context: int
    head_dim: int = 128
    is_tied: bool = False


def _model(name: str, shape: _Shape, *, seeing: int = 0, **more: Any) -> ModelFacts:
    """The facts that follow; `seeing` are the parameters of an image tower."""
    attention = 2 * shape.hidden * shape.head_dim * (shape.heads + shape.kv_heads)
    embedding = shape.vocabulary * shape.hidden * (1 if shape.is_tied else 2)
    inner = shape.layers * (attention + 3 * shape.hidden * shape.intermediate)
    return ModelFacts(
        name=name,
        parameters=inner + embedding + seeing,
        embedding_parameters=embedding,
        layers=shape.layers,
        kv_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        source=f"the table of known models, noted {NOTED}",
        heads=shape.heads,
        max_context=shape.max_context,
        **more,
    )


def _qwen2_5(size: str, shape: _Shape) -> ModelFacts:
    name = f"Qwen/Qwen2.5-{size}-Instruct"
    return _model(name, shape, awq=f"{name}-AWQ", gptq=f"{name}-GPTQ-Int4")


def _qwen3(size: str, shape: _Shape, *, has_awq: bool = True) -> ModelFacts:
    name = f"Qwen/Qwen3-{size}"
    return _model(name, shape, thinks=True, awq=f"{name}-AWQ" if has_awq else "")


def _llama(size: str, shape: _Shape, awq: str = "") -> ModelFacts:
    return _model(f"meta-llama/Llama-{size}-Instruct", shape, awq=awq)


def _gemma(size: str, shape: _Shape, seeing: int = 0) -> ModelFacts:
    return _model(f"google/gemma-{size}-it", shape, seeing=seeing, needs_bfloat16=True)


_LLAMA_AWQ = "hugging-quants/Meta-Llama-3.1-{}B-Instruct-AWQ-INT4"
_SIGLIP = 417_000_000

KNOWN_MODELS = (
    _qwen2_5("0.5B", _Shape(24, 896, 4_864, 14, 2, 151_936, 32_768, 64, True)),
    _qwen2_5("1.5B", _Shape(28, 1_536, 8_960, 12, 2, 151_936, 32_768, 128, True)),
    _qwen2_5("3B", _Shape(36, 2_048, 11_008, 16, 2, 151_936, 32_768, 128, True)),
    _qwen2_5("7B", _Shape(28, 3_584, 18_944, 28, 4, 152_064, 32_768)),
    _qwen2_5("14B", _Shape(48, 5_120, 13_824, 40, 8, 152_064, 32_768)),
    _qwen2_5("32B", _Shape(64, 5_120, 27_648, 40, 8, 152_064, 32_768)),
    _qwen2_5("72B", _Shape(80, 8_192, 29_568, 64, 8, 152_064, 32_768)),
    _qwen3("0.6B", _Shape(28, 1_024, 3_072, 16, 8, 151_936, 40_960, 128, True), has_awq=False),
    _qwen3("1.7B", _Shape(28, 2_048, 6_144, 16, 8, 151_936, 40_960, 128, True), has_awq=False),
    _qwen3("4B", _Shape(36, 2_560, 9_728, 32, 8, 151_936, 40_960, 128, True)),
    _qwen3("8B", _Shape(36, 4_096, 12_288, 32, 8, 151_936, 40_960)),
    _qwen3("14B", _Shape(40, 5_120, 17_408, 40, 8, 151_936, 40_960)),
    _qwen3("32B", _Shape(64, 5_120, 25_600, 64, 8, 151_936, 40_960)),
    _model(
        "Qwen/Qwen3-4B-Instruct-2507",
        _Shape(36, 2_560, 9_728, 32, 8, 151_936, 262_144, 128, True),
    ),
    _llama("3.2-1B", _Shape(16, 2_048, 8_192, 32, 8, 128_256, 131_072, 64, True)),
    _llama("3.2-3B", _Shape(28, 3_072, 8_192, 24, 8, 128_256, 131_072, 128, True)),
    _llama("3.1-8B", _Shape(32, 4_096, 14_336, 32, 8, 128_256, 131_072), _LLAMA_AWQ.format(8)),
    _llama("3.1-70B", _Shape(80, 8_192, 28_672, 64, 8, 128_256, 131_072), _LLAMA_AWQ.format(70)),
    _llama("3.3-70B", _Shape(80, 8_192, 28_672, 64, 8, 128_256, 131_072)),
    _model("mistralai/Mistral-7B-Instruct-v0.3", _Shape(32, 4_096, 14_336, 32, 8, 32_768, 32_768)),
    _model(
        "mistralai/Mistral-Nemo-Instruct-2407", _Shape(40, 5_120, 14_336, 32, 8, 131_072, 131_072)
    ),
    _model(
        "mistralai/Mistral-Small-24B-Instruct-2501",
        _Shape(40, 5_120, 32_768, 32, 8, 131_072, 32_768),
    ),
    _gemma("2-9b", _Shape(42, 3_584, 14_336, 16, 8, 256_000, 8_192, 256, True)),
    _gemma("3-4b", _Shape(34, 2_560, 10_240, 8, 4, 262_208, 131_072, 256, True), _SIGLIP),
    _gemma("3-12b", _Shape(48, 3_840, 15_360, 16, 8, 262_208, 131_072, 256, True), _SIGLIP),
    _gemma("3-27b", _Shape(62, 5_376, 21_504, 32, 16, 262_208, 131_072, 128, True), _SIGLIP),
    _model(
        "microsoft/Phi-4-mini-instruct",
        _Shape(32, 3_072, 8_192, 24, 8, 200_064, 131_072, 128, True),
    ),
    _model("microsoft/phi-4", _Shape(40, 5_120, 17_920, 40, 10, 100_352, 16_384)),
)


def known_model(name: str) -> ModelFacts | None:
    """The facts of a model of the table, or of a quantized checkpoint of one; None for others.

    Case is no matter, and the maker may be left out.
    """
    wanted = name.lower()
    for facts in KNOWN_MODELS:
        for method, checkpoint in (("awq", facts.awq), ("gptq", facts.gptq)):
            if checkpoint and wanted in _names(checkpoint):
                return replace(facts, name=checkpoint, quantized_as=method)
    for ending, method in _QUANTIZED.items():
        if wanted.endswith(ending) and (plain := known_model(wanted.removesuffix(ending))):
            full = name if "/" in name else f"{plain.name.partition('/')[0]}/{name}"
            return replace(plain, name=full, quantized_as=method)
    found = [facts for facts in KNOWN_MODELS if wanted in _names(facts.name)]
    return found[0] if found else None


def nearest_models(name: str) -> list[str]:
    """Up to three names of the table that look like `name`."""
    short = {facts.name.partition("/")[2].lower(): facts.name for facts in KNOWN_MODELS}
    wanted = name.lower().rpartition("/")[2]
    return [short[near] for near in difflib.get_close_matches(wanted, short, n=3, cutoff=0.5)]


def _names(full: str) -> tuple[str, str]:
    """What one may call it."""
    return full.lower(), full.lower().partition("/")[2]


def unknown_model(name: str) -> InputError:
    """What to tell of a model that is not in the table."""
    near = nearest_models(name)
    told = f" (it knows {', '.join(near)})" if near else ""
    return InputError(
        f"the model {name!r} is not in the table of known models{told}: give the folder that holds "
        "its config.json, or --parameters, --layers, --kv-heads and --head-dim"
    )
