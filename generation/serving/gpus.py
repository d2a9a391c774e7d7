"""GPUs: a table of usual ones, and those that are in this machine.

Memory is what `nvidia-smi` reports, which is less than the name promises on some cards. Compute
capabilities are from https://developer.nvidia.com/cuda-gpus, watts are the board power of the
largest variant. Noted in November 2026.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from rag.errors import InputError

_MIB = 1024**2
_QUERY = (
    "nvidia-smi",
    "--query-gpu=name,memory.total,compute_cap,power.limit",
    "--format=csv,noheader,nounits",
)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `capability` is NVIDIA's compute capability; `watts` is None where unknown."""

    name: str
    memory_bytes: int
    capability: float
    watts: float | None = None


GPUS = tuple(
    Gpu(name, mib * _MIB, capability, watts)
    for name, mib, capability, watts in (
        ("T4", 15_360, 7.5, 70),
        ("A10", 23_028, 8.6, 150),
        ("A10G", 23_028, 8.6, 300),
        ("A40", 46_068, 8.6, 300),
        ("A100-40GB", 40_960, 8.0, 400),
        ("A100-80GB", 81_920, 8.0, 400),
        ("RTX A6000", 49_140, 8.6, 300),
        ("RTX 3090", 24_576, 8.6, 350),
        ("L4", 23_034, 8.9, 72),
        ("L40S", 46_068, 8.9, 350),
        ("RTX 4090", 24_564, 8.9, 450),
        ("H100", 81_559, 9.0, 700),
        ("H200", 143_771, 9.0, 700),
        ("RTX 5090", 32_607, 12.0, 575),
    )
)


def gpu_named(name: str) -> Gpu:
    """The GPU of the table that is called so, however it is spelled. Raises InputError."""
    wanted = _plain(name)
    found = [gpu for gpu in GPUS if wanted in (_plain(gpu.name), _plain(gpu.name, "rtx"))]
    if not found and wanted:
        found = [gpu for gpu in GPUS if re.match(rf"{wanted}\d+gb$", _plain(gpu.name))]
    if len(found) == 1:
        return found[0]
    if found:
        raise InputError(
            f"--gpu {name!r} comes in several sizes: give {' or '.join(gpu.name for gpu in found)}"
        )
    raise InputError(
        f"--gpu {name!r} is not in the table: give one of {', '.join(gpu.name for gpu in GPUS)}, "
        "or its memory with --memory-gb"
    )


def find_gpus() -> list[Gpu]:
    """The NVIDIA GPUs of this machine, as `nvidia-smi` tells; none where it is not there."""
    try:
        done = subprocess.run(_QUERY, capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    lines = done.stdout.splitlines() if done.returncode == 0 else []
    return [gpu for line in lines if (gpu := _read(line)) is not None]


def _read(line: str) -> Gpu | None:
    """One line of `nvidia-smi`; None for one that is not about a GPU with memory of its own."""
    try:
        name, memory, capability, power = (part.strip() for part in line.split(","))
        watts = float(power) if re.fullmatch(r"[\d.]+", power) else None
        return Gpu(name.removeprefix("NVIDIA "), int(memory) * _MIB, float(capability), watts)
    except ValueError:
        return None


def _plain(name: str, without: str = "") -> str:
    letters = re.sub(r"[^a-z0-9]", "", name.lower())
    return letters.removeprefix("nvidia").removeprefix("geforce").removeprefix(without)
