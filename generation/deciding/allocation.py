"""Whom to ask each of many questions, under one budget: the most right answers that it buys.

Each question can be answered in several ways, each with a price and a chance to be right; one way
is chosen for each (a multiple-choice knapsack, as OptLLM states it for language models,
2405.15130). Of the ways of one question only those on the upper hull of chance over price can be
part of a best choice under a relaxed budget; their steps are bought in the order of what they gain
for a dollar (Sinha and Zoltners, "The multiple-choice knapsack problem", 1979). What is left over
is less than one step, so the choice is as good as any, but for a part of one answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_CENT = 1e-15


@dataclass(frozen=True, slots=True)
class Way:
    """A way to answer: its price in dollars, 0 or more, and its chance to be right, 0 to 1."""

    price_usd: float
    chance: float


@dataclass(frozen=True, slots=True)
class _Step:
    gain: float
    price_usd: float
    question: int
    way: int

    @property
    def efficiency(self) -> float:
        return self.gain / self.price_usd


def allocate(questions: Sequence[Sequence[Way]], budget_usd: float) -> list[int]:
    """For each question the place of the chosen one of its ways, of which it has at least one.

    The cheapest ways are chosen even where they alone cost more than the budget. Ties go to the
    question, and the way, that comes first.
    """
    chosen: list[int] = []
    steps: list[_Step] = []
    for number, ways in enumerate(questions):
        hull = _hull(ways)
        chosen.append(hull[0])
        for before, way in pairwise(hull):
            gain = ways[way].chance - ways[before].chance
            price = ways[way].price_usd - ways[before].price_usd
            steps.append(_Step(gain, max(price, _CENT), number, way))
    left = budget_usd - sum(
        ways[way].price_usd for ways, way in zip(questions, chosen, strict=True)
    )
    stopped: set[int] = set()
    for step in sorted(steps, key=lambda step: (-step.efficiency, step.question)):
        if step.question in stopped:
            continue
        if step.price_usd <= left + _CENT:
            left -= step.price_usd
            chosen[step.question] = step.way
        else:
            stopped.add(step.question)  # its later steps build on this one
    return chosen


def _hull(ways: Sequence[Way]) -> list[int]:
    """Ways by price, each with a better chance than the one before, for ever less gain a dollar."""
    order = sorted(range(len(ways)), key=lambda way: (ways[way].price_usd, -ways[way].chance, way))
    hull = [order[0]]
    for way in order[1:]:
        if ways[way].chance <= ways[hull[-1]].chance:
            continue
        while len(hull) > 1 and _slope(ways, hull[-2], hull[-1]) <= _slope(ways, hull[-1], way):
            hull.pop()
        hull.append(way)
    return hull


def _slope(ways: Sequence[Way], low: int, high: int) -> float:
    price = max(ways[high].price_usd - ways[low].price_usd, _CENT)
    return (ways[high].chance - ways[low].chance) / price
