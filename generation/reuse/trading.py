"""Whether giving an answer again is worth its risk: by expected dollars, as any other action.

The answer itself is as right as it was, given again or made anew. So what is risked is the price of
an error times the chance that it answers another question; and what is saved is its bill, and the
time that it took.
"""

from __future__ import annotations

from dataclasses import dataclass

from generation.deciding.decision import Stakes
from generation.reuse.alike import Alike
from rag.types import Cost


@dataclass(frozen=True, slots=True)
class Trade:
    """Dollars that are risked by giving an answer again, and those that this saves."""

    risked_usd: float
    saved_usd: float

    @property
    def pays(self) -> bool:
        """Whether no more is risked than is saved."""
        return self.risked_usd <= self.saved_usd

    @property
    def told(self) -> str:
        """Both, in words."""
        return f"that risks ${self.risked_usd:.3g}, and making it anew took ${self.saved_usd:.3g}"


def trade_of(alike: Alike, stakes: Stakes) -> Trade:
    """What giving a kept answer to other words comes to; an unknown cost counts as its most."""
    answer = alike.entry.answer
    risked = stakes.error_usd * answer.confidence * alike.decision.chance_wrong
    return Trade(risked, _spent_usd(answer.cost) + stakes.wait_usd_per_s * _seconds(answer.cost))


def _spent_usd(cost: Cost) -> float:
    return float(
        sum(line.at_most_usd or 0 if line.usd is None else line.usd for line in cost.lines)
    )


def _seconds(cost: Cost) -> float:
    return sum(line.ms for line in cost.lines) / 1000
