"""What answers are worth to those who get them: the expected net cost saving, ENCS.

An answer that is used saves its reader work, one that is edited saves some of it, and one that is
ignored has cost him the time to read it. What each of them is worth is the operator's to say; the
saving of an answer is the mean of that over the reported uses, less what the answer cost (after
Howell et al., "The economic trade-offs of large language models: a case study", 2306.07402).

It takes the answers whose use was reported for all of them. Its interval holds at all times for the
uses, and asymptotically for the costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generation.deciding.feedback import Use
from generation.experiments.records import ArmRecord
from generation.experiments.sequential import cost_interval, interval


@dataclass(frozen=True, slots=True)
class Worths:
    """Dollars that an answer of each use is worth; may be negative, and must not all be equal."""

    used_usd: float
    edited_usd: float
    ignored_usd: float

    @property
    def range_usd(self) -> tuple[float, float]:
        """The least and the most."""
        worths = (self.used_usd, self.edited_usd, self.ignored_usd)
        return min(worths), max(worths)

    def of(self, use: Use) -> float:
        """Dollars."""
        return {"used": self.used_usd, "edited": self.edited_usd, "ignored": self.ignored_usd}[use]

    def scaled(self, uses: Sequence[Use]) -> list[float]:
        """By use, its worth from 0, the least, to 1, the most."""
        low, high = self.range_usd
        share = {use: (self.of(use) - low) / (high - low) for use in ("used", "edited", "ignored")}
        return [share[use] for use in uses]


@dataclass(frozen=True, slots=True)
class Encs:
    """The expected net cost saving of an answer in dollars, and its interval where there is one."""

    usd: float
    low_usd: float | None
    high_usd: float | None


def encs(record: ArmRecord, worths: Worths, error: float) -> Encs | None:
    """That of an arm, its ends wrong with a chance of `error` together.

    None where no use was reported, or the cost of no answer is known. It has no interval while the
    costs have none.
    """
    if not record.uses or not record.cost.count:
        return None
    outcomes = np.array(worths.scaled(record.uses))
    least, most = worths.range_usd
    mean = least + float(outcomes.mean()) * (most - least) - record.cost.mean
    cost = cost_interval(record.cost, error / 2)
    if cost is None:
        return Encs(mean, None, None)
    low, high = interval(outcomes, error / 4)
    scale = most - least
    return Encs(mean, least + low * scale - cost.high, least + high * scale - cost.low)
