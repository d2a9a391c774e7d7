"""Small copies of the vectors: what the setting `quantization` means, in every Qdrant store.

The copies lie in memory and are searched; the whole vectors lie on the disk and score what was
found, so that no score depends on the setting. How much is found too little is measured by
`benchmarks/vectors.py`, from which the default was chosen.
"""

from __future__ import annotations

from typing import Literal

Quantization = Literal["none", "turbo", "int8", "binary"]
"""Bits for a number of 32: 32, 4 (TurboQuant, 2504.19874), 8 and 1."""

DEFAULT_QUANTIZATION: Quantization = "turbo"

OVERSAMPLING = {"turbo": 2.0, "int8": 2.0, "binary": 3.0}
"""How many times as many are scored as are wanted, as Qdrant's guide to quantization advises."""
