"""What each price of an error would have cost, and how often it would have been right.

Played over questions of which it is known what every tier answered: decided as the service decides,
from chances that were not fitted on the question, and paid and judged as it was. Beside it: one
tier for everything; that, mixed at random; and the perfect choice, which knows who is right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from generation.deciding.decision import Option, Stakes, after, plans
from rag.types import Tier

ERROR_USD = tuple(10 ** (power / 6) for power in range(-24, 7))
"""From a hundredth of a cent to ten dollars."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a tier answered: what it cost, how sure it was (None: nobody knows), and if rightly.

    One that `abstains` found no answer: then the answers before it are not given either.
    """

    usd: float
    confidence: float | None
    is_right: bool
    abstains: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """A question: what each tier answers, and the options as they stand before the first call.

    `abstaining_is_right` where it has no answer.
    """

    told: Mapping[Tier, Told]
    options: tuple[Option, ...]
    abstaining_is_right: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """Dollars a question and the share of right answers; `name` says of what."""

    name: str
    usd: float
    quality: float
    error_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Frontier:
    """The points of all prices of an error, and those to compare them with."""

    points: tuple[Point, ...]
    singles: tuple[Point, ...]
    perfect: Point

    def random_usd(self, quality: float) -> float | None:
        """What two single tiers mixed at random cost for a quality; None where none reach it."""
        costs = [one.usd for one in self.singles if one.quality >= quality]
        for low in self.singles:
            for high in self.singles:
                if low.quality < quality <= high.quality:
                    share = (quality - low.quality) / (high.quality - low.quality)
                    costs.append(low.usd + share * (high.usd - low.usd))
        return min(costs, default=None)


def frontier(questions: Sequence[Played], stakes: Stakes) -> Frontier:
    """Over some questions, at least one, that the same tiers have answered."""
    points = []
    for error_usd in ERROR_USD:
        played = [_play(one, replace(stakes, error_usd=error_usd)) for one in questions]
        points.append(_mean(f"${error_usd:.3g} an error", played, error_usd))
    tiers = list(questions[0].told)
    singles = [
        _mean(
            f"always {tier}", [(one.told[tier].usd, one.told[tier].is_right) for one in questions]
        )
        for tier in tiers
    ]
    return Frontier(
        tuple(points), tuple(singles), _mean("perfect", [_perfect(one) for one in questions])
    )


def _play(one: Played, stakes: Stakes) -> tuple[float, bool]:
    """Dollars, and whether the answer that is given in the end is right."""
    usd, confidence, is_right = 0.0, 0.0, False
    if "extractive" in one.told:
        free = one.told["extractive"]
        usd, confidence, is_right = free.usd, free.confidence or 0.0, free.is_right
    options = list(one.options)
    while True:
        best = plans(confidence, options, stakes)[0]
        if best.ask is None:
            return usd, one.abstaining_is_right if best.abstains else is_right
        told = one.told[best.ask.tier]
        sure = best.ask.chance if told.confidence is None else told.confidence
        usd += told.usd
        if told.abstains:
            sure = confidence = 0.0
        elif sure >= confidence:
            confidence, is_right = sure, told.is_right
        place = options.index(best.ask)
        options = [after(option, best.ask, sure) for option in options[place + 1 :]]


def _perfect(one: Played) -> tuple[float, bool]:
    right = [told.usd for told in one.told.values() if told.is_right]
    return (min(right), True) if right else (min(t.usd for t in one.told.values()), False)


def _mean(name: str, played: Sequence[tuple[float, bool]], error_usd: float | None = None) -> Point:
    count = len(played)
    usd = math.fsum(usd for usd, _ in played) / count
    return Point(name, usd, sum(is_right for _, is_right in played) / count, error_usd)
