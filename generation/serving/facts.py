"""What must be known of a model to plan its memory, and how it is read from a model's folder.

The folder is in the format of Hugging Face: `config.json`, and weights in safetensors or at least
their index. Nothing is fetched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rag.errors import InputError, RangeError

NEED_BFLOAT16 = ("gemma2", "gemma3", "gemma3_text", "glm4")
"""Types that vLLM refuses in float16 for numerical instability (vllm/config/model.py, 0.32)."""

USUAL_MAX_CONTEXT = 2_048
"""What vLLM takes where a config does not tell (vllm/config/model.py, 0.32)."""

_KNOWN_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_THINKS = "enable_thinking"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model, as far as its memory is concerned.

    `embedding_parameters` are those of the input embeddings and of the output layer: they keep 16
    bits where the rest is quantized. `heads` and `max_context` are 0 where unknown. `quantized_as`
    is the method of a checkpoint that is quantized already, and `weight_bytes` its size where that
    was measured. `awq` and `gptq` name checkpoints of it with 4 bits. `thinks` says that it thinks
    before it answers unless its chat template is told not to. `source` tells where all this stands.
    """

    name: str
    parameters: int
    embedding_parameters: int
    layers: int
    kv_heads: int
    head_dim: int
    source: str
    heads: int = 0
    max_context: int = 0
    needs_bfloat16: bool = False
    quantized_as: str = ""
    weight_bytes: int | None = None
    awq: str = ""
    gptq: str = ""
    thinks: bool = False


def facts_in_folder(folder: Path) -> ModelFacts:
    """The facts of the model in `folder`. Raises InputError, in one line, for one unfit to plan."""
    file = folder / "config.json"
    whole = read_json(file)
    config = {**whole, **_part(whole, "text_config")}
    _check_attention(folder, config)
    heads = _number(file, config, "num_attention_heads")
    hidden = _number(file, config, "hidden_size")
    size = _weight_bytes(folder)
    dtype = str(config.get("dtype") or config.get("torch_dtype") or "bfloat16")
    copies = 1 if config.get("tie_word_embeddings") else 2
    quantization = _part(whole, "quantization_config")
    if quantization and not quantization.get("quant_method"):
        raise InputError(
            f"{file} has a quantization_config without quant_method, which vLLM does not read: "
            "take another checkpoint of the model"
        )
    parameters = size // _BYTES.get(dtype, 2)
    embedding = copies * hidden * _number(file, config, "vocab_size")
    return ModelFacts(
        name=str(folder.resolve()),
        parameters=parameters,
        embedding_parameters=min(embedding, parameters),
        layers=_number(file, config, "num_hidden_layers"),
        kv_heads=_number(file, config, "num_key_value_heads", heads),
        head_dim=_number(file, config, "head_dim", hidden // heads),
        source=f"{file} and the size of its weights",
        heads=heads,
        max_context=_number(file, config, "max_position_embeddings", USUAL_MAX_CONTEXT),
        needs_bfloat16=config.get("model_type") in NEED_BFLOAT16,
        quantized_as=str(quantization.get("quant_method", "")),
        weight_bytes=size if quantization else None,
        thinks=_thinks(folder),
    )


def facts_as_told(
    name: str, *, parameters: float, layers: float, kv_heads: float, head_dim: float
) -> ModelFacts:
    """The facts that a person tells; `parameters` in billions. Raises RangeError.

    The embeddings, which nobody tells, are taken for a fifth of a small model and for 1.5 billion
    of a large one.
    """
    for option, value, high in (
        ("--parameters", parameters, 10_000),
        ("--layers", layers, 1_000),
        ("--kv-heads", kv_heads, 1_000),
        ("--head-dim", head_dim, 10_000),
    ):
        if not 0 < value <= high:
            raise RangeError(option, value, 0, high)
    count = int(parameters * 1_000_000_000)
    return ModelFacts(
        name=name,
        parameters=count,
        embedding_parameters=min(count // 5, 1_500_000_000),
        layers=int(layers),
        kv_heads=int(kv_heads),
        head_dim=int(head_dim),
        source="what you told",
    )


def read_json(file: Path) -> dict[str, Any]:
    """The object that a file holds. Raises InputError, in one line, where it holds none."""
    try:
        value = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{file} does not exist: give the folder of a model in the format of Hugging Face"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{file} cannot be read as JSON: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{file} holds {type(value).__name__}, not an object: take another copy")
    return value


def _check_attention(folder: Path, config: Mapping[str, Any]) -> None:
    kinds = {str(kind) for kind in config.get("layer_types") or ()} - _KNOWN_LAYERS
    if "kv_lora_rank" in config:
        kinds.add("multi-head latent attention")
    if kinds:
        raise InputError(
            f"{folder} has layers that this plan cannot calculate ({', '.join(sorted(kinds))}): "
            "start it with `vllm serve`, which measures for itself"
        )


def _part(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = config.get(name)
    return part if isinstance(part, dict) else {}


def _number(file: Path, config: Mapping[str, Any], name: str, otherwise: int | None = None) -> int:
    """A whole number of the config, `otherwise` where it is missing. Raises InputError."""
    value = config.get(name)
    if value is None:
        value = otherwise
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise InputError(f"{file} has {name} {value!r}: it must be a whole number above 0")
    return value


def _weight_bytes(folder: Path) -> int:
    """Bytes of the weights: of the files, or as their index tells where they are not there."""
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        size = max(size, _number(index, _part(read_json(index), "metadata"), "total_size"))
    if not size:
        raise InputError(
            f"{folder} has no *.safetensors and no index of them: vLLM would find no weights"
        )
    return size


def _thinks(folder: Path) -> bool:
    """Whether the chat template has the switch that Qwen3 brought up."""
    templates = (folder / "chat_template.jinja", folder / "tokenizer_config.json")
    return any(
        file.is_file() and _THINKS in file.read_text("utf-8", "replace") for file in templates
    )
