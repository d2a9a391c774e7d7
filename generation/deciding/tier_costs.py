"""What asking a tier costs and takes, learned from the calls themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag.types import CostLine, Tier

_WEIGHT = 0.05  # of a new answer: what is old fades over some dozens of them


@dataclass(frozen=True, slots=True)
class TierCost:
    """Dollars and seconds of one answer of a tier, all attempts included."""

    usd: float
    seconds: float


class TierCosts:
    """Running means by tier; before the first answer of a tier, what it is `taken_for`.

    A call of which nobody knows the cost counts as the most that it can be, where that is known.
    """

    def __init__(self, taken_for: Mapping[Tier, TierCost]) -> None:
        self._known = dict(taken_for)

    def of(self, tier: Tier) -> TierCost:
        """What an answer of this tier is expected to cost."""
        return self._known.get(tier, TierCost(0.0, 0.0))

    def learn(self, tier: Tier, lines: Sequence[CostLine]) -> None:
        """The bill of an answer."""
        if not lines:
            return
        usd = float(sum(line.at_most_usd or 0 if line.usd is None else line.usd for line in lines))
        seconds = sum(line.ms for line in lines) / 1000
        before = self._known.setdefault(tier, TierCost(usd, seconds))
        self._known[tier] = TierCost(
            before.usd + _WEIGHT * (usd - before.usd),
            before.seconds + _WEIGHT * (seconds - before.seconds),
        )
