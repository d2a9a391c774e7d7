"""The price of an error, for people who do not think in dollars: from a floor or a budget.

A window of questions as they came stands for the traffic. A higher price of an error buys more
right answers for more money, never fewer for more, so the least price that reaches a floor of
quality, or the highest that keeps within a budget, is found by halving.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from generation.deciding.decision import Option, Stakes, plans

LEAST_ERROR_USD, MOST_ERROR_USD = 1e-7, 1e3
_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class Situation:
    """A question as it stood before its first call: its free answer's confidence, and the tiers."""

    confidence: float
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a question of the traffic costs in dollars, and the share of right answers, 0 to 1.

    The share is of all questions: one for which the service abstains is none.
    """

    usd: float
    quality: float


@dataclass(frozen=True, slots=True)
class Dialled:
    """The price of an error, and what is expected of it. `is_reached` tells whether it suffices."""

    error_usd: float
    expected: Expected
    is_reached: bool


def expected(traffic: Sequence[Situation], stakes: Stakes) -> Expected:
    """The averages over some questions, at least one."""
    best = [plans(one.confidence, one.options, stakes)[0] for one in traffic]
    count = len(best)
    return Expected(
        sum(plan.price_usd for plan in best) / count, sum(plan.chance for plan in best) / count
    )


def for_quality(traffic: Sequence[Situation], stakes: Stakes, floor: float) -> Dialled:
    """The least price of an error at which the quality is at least `floor`, 0 to 1.

    Where nothing reaches it, the highest price, and what can be reached.
    """
    return _least(traffic, stakes, lambda told: told.quality >= floor)


def for_budget(traffic: Sequence[Situation], stakes: Stakes, usd_per_question: float) -> Dialled:
    """The highest price of an error at which a question costs at most so much on average."""
    above = _least(traffic, stakes, lambda told: told.usd > usd_per_question)
    if not above.is_reached:  # the best of everything fits
        return replace(above, is_reached=True)
    error_usd = above.error_usd * (1 - 1e-6)
    told = expected(traffic, replace(stakes, error_usd=error_usd))
    return Dialled(error_usd, told, told.usd <= usd_per_question)


def _least(
    traffic: Sequence[Situation], stakes: Stakes, holds: Callable[[Expected], bool]
) -> Dialled:
    low, high = math.log(LEAST_ERROR_USD), math.log(MOST_ERROR_USD)
    told = expected(traffic, replace(stakes, error_usd=MOST_ERROR_USD))
    if not holds(told):
        return Dialled(MOST_ERROR_USD, told, is_reached=False)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        now = expected(traffic, replace(stakes, error_usd=math.exp(middle)))
        if holds(now):
            high, told = middle, now
        else:
            low = middle
    return Dialled(math.exp(high), told, is_reached=True)
