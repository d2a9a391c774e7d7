"""LoRA adapters that vLLM serves beside a model: what must be known of one, and its memory.

An adapter is a folder in the format of peft: `adapter_config.json` and
`adapter_model.safetensors`. Only the heads of its files are read.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generation.serving.facts import ModelFacts, read_json
from rag.errors import InputError

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What `--max-lora-rank` takes (vllm/config/lora.py, 0.32)."""

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_BYTES = 2  # vLLM keeps adapters as it keeps activations, in 16 bits
_LONGEST_HEAD = 100_000_000
_NOT_SERVED = ("use_dora", "lora_bias", "modules_to_save", "layer_replication", "use_qalora")
_QUANTIZED = ("-awq", "-awq-int4", "-gptq", "-gptq-int4", "-gptq-int8", "-fp8", "-bnb-4bit")


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter as vLLM serves it, under a name of its own.

    `base` is the model that it was trained on. `width` is the inputs and outputs of all layers that
    it changes: it has that many parameters for each of its `rank`.
    """

    name: str
    folder: Path
    base: str
    rank: int
    width: int


def read_adapter(name: str, folder: Path) -> Adapter:
    """The adapter in `folder`. Raises InputError, in one line, for what vLLM would not serve."""
    folder = folder.expanduser().resolve()
    if "=" in name or "," in f"{name}{folder}":
        raise InputError(
            f"the adapter {name!r} in {folder} cannot be told to vLLM, which reads a comma as "
            "JSON: give it a name and a folder without"
        )
    file = folder / CONFIG
    if not file.is_file():
        raise InputError(
            f"{folder} holds no {CONFIG}, so it is no adapter: give the folder that the training "
            "wrote"
        )
    config = read_json(file)
    unserved = [option for option in _NOT_SERVED if config.get(option)]
    if config.get("peft_type") != "LORA" or config.get("bias", "none") != "none" or unserved:
        kind = ", ".join(unserved) or f"{config.get('peft_type')}, bias {config.get('bias')}"
        raise InputError(f"{file} is of a kind that vLLM does not serve ({kind}): train plain LoRA")
    patterns = config.get("rank_pattern")
    ranks = [config.get("r"), *(patterns.values() if isinstance(patterns, dict) else ())]
    if not all(isinstance(rank, int) and 1 <= rank <= RANKS[-1] for rank in ranks):
        raise InputError(f"{file} has rank {ranks}: vLLM serves 1 to {RANKS[-1]}")
    base = str(config.get("base_model_name_or_path") or "")
    return Adapter(name, folder, base, max(ranks), _width(folder / WEIGHTS))


def check_adapters(adapters: Sequence[Adapter], facts: ModelFacts) -> None:
    """Raises InputError for two of one name, or one that was trained on another model."""
    taken = {facts.name, Path(facts.name).name}
    for adapter in adapters:
        if adapter.name in taken:
            raise InputError(f"two are named {adapter.name!r}: give the adapter another name")
        taken.add(adapter.name)
        if _plain(adapter.base) != _plain(facts.name):
            raise InputError(
                f"the adapter {adapter.name!r} was trained on {adapter.base or 'nothing named'}, "
                f"and the model is {facts.name}: name that model, or, where both are the same, "
                f"correct base_model_name_or_path in {adapter.folder / CONFIG}"
            )


def served_rank(adapters: Sequence[Adapter]) -> int:
    """The least `--max-lora-rank` with which all of them are served."""
    most = max(adapter.rank for adapter in adapters)
    return next(rank for rank in RANKS if rank >= most)


def adapter_bytes(adapters: Sequence[Adapter]) -> int:
    """What they take of each GPU: vLLM gives each the room of the widest, at the served rank."""
    if not adapters:
        return 0
    widest = max(adapter.width for adapter in adapters)
    return len(adapters) * served_rank(adapters) * widest * _BYTES


def _plain(model: str) -> str:
    """A model's name without its maker or folder, and without what was done to its weights."""
    name = Path(model).name.lower()
    ending = max((end for end in _QUANTIZED if name.endswith(end)), key=len, default="")
    return name.removesuffix(ending)


def _width(file: Path) -> int:
    """Inputs and outputs of all layers, by the shapes that the file's head tells."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            head: dict[str, Any] = json.loads(opened.read(min(length, _LONGEST_HEAD)))
        shapes = {name: told["shape"] for name, told in head.items() if name != "__metadata__"}
        # lora_A is rank x inputs, lora_B outputs x rank
        width = sum(int(shape[1 if "lora_A" in name else 0]) for name, shape in shapes.items())
    except (OSError, ValueError, struct.error, LookupError, TypeError, AttributeError) as error:
        raise InputError(
            f"{file} cannot be read as safetensors ({type(error).__name__}): give the folder that "
            "the training wrote"
        ) from None
    if not width:
        raise InputError(f"{file} holds no weights: train the adapter again")
    return width
