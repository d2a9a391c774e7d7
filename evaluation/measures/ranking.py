"""Where the gold documents stand in a ranking; a document is gold or not, without grades."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence


def ndcg(ranked: Sequence[str], gold: Collection[str], depth: int) -> float:
    """Discounted gain of the best `depth` over the best possible one, 0 to 1; `gold` has some."""
    ideal = sum(_discount(rank) for rank in range(1, min(len(gold), depth) + 1))
    gained = sum(_discount(rank) for rank, one in enumerate(ranked[:depth], 1) if one in gold)
    return gained / ideal


def recall(ranked: Sequence[str], gold: Collection[str], depth: int) -> float:
    """The share of `gold`, which has some, among the best `depth`."""
    return len(set(ranked[:depth]) & set(gold)) / len(gold)


def reciprocal_rank(ranked: Sequence[str], gold: Collection[str]) -> float:
    """1 over the rank of the first gold document; 0 where none was found."""
    return next((1 / rank for rank, one in enumerate(ranked, 1) if one in gold), 0.0)


def _discount(rank: int) -> float:
    return 1 / math.log2(rank + 1)
