"""Do answers still look like those that a confidence was fitted on? Watched signal by signal.

The population stability index compares the shares of a signal's bins, one bin for where it is
missing, with those kept at fitting: below .1 is called stable and above .25 drifted (Lewis, "An
Introduction to Credit Scoring", 1994). Of few answers it is large by chance alone, so it must
exceed what chance gives too: over (1 / answers seen + 1 / outcomes fitted) it is then distributed
as chi squared (Yurdakul and Naranjo, Journal of Risk Model Validation, 2020).

It sees each signal alone, and no change in how signals and right answers go together: verdicts do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from generation.confidence.calibration import Calibrator, FittedSignal

Level = Literal["stable", "moved", "drifted"]

MOVED, DRIFTED = 0.1, 0.25
"""The customary limits of the index."""

WINDOW = 1_000
"""The drift is that of the last 1,000 answers, give or take half of them."""

_LEAST_SHARE = 1e-4  # of a bin that was empty in fitting
_SURE = 3.09  # standard deviations: chance alone goes beyond once in a thousand


@dataclass(frozen=True, slots=True)
class SignalDrift:
    """How far a signal has moved: the index, 0 or more, and what `seen` answers let one say."""

    name: str
    index: float
    level: Level
    seen: int


class DriftWatch:
    """Counts the signals of the latest answers, in a fixed memory. Not for several threads."""

    def __init__(self, fitted: Calibrator, window: int = WINDOW) -> None:
        self._signals = dict(fitted.signals)
        self._fitted_rows = fitted.rows
        self._half = max(1, window // 2)
        self._seen = 0
        self._counts = self._zeros()
        self._before = self._zeros()

    def observe(self, signals: Mapping[str, float | None]) -> None:
        """Count the signals of one more answer."""
        if self._seen and self._seen % self._half == 0:
            self._before, self._counts = self._counts, self._zeros()
        self._seen += 1
        for name, fitted in self._signals.items():
            value = signals.get(name)
            place = -1 if value is None or math.isnan(value) else fitted.bin_of(value)
            self._counts[name][place] += 1

    def report(self) -> list[SignalDrift]:
        """All signals, the one that has moved most first; none before anything was seen."""
        drifts = [self._drift(name, fitted) for name, fitted in self._signals.items()]
        return sorted(filter(None, drifts), key=lambda drift: (-drift.index, drift.name))

    def _zeros(self) -> dict[str, list[int]]:
        return {name: [0] * (len(fitted.shares) + 1) for name, fitted in self._signals.items()}

    def _drift(self, name: str, fitted: FittedSignal) -> SignalDrift | None:
        counts = [a + b for a, b in zip(self._counts[name], self._before[name], strict=True)]
        seen = sum(counts)
        if not seen:
            return None
        index = population_stability([*fitted.shares, fitted.missing], counts)
        level = level_of(index, len(counts), seen, self._fitted_rows)
        return SignalDrift(name, index, level, seen)


def level_of(index: float, bins: int, seen: int, expected_from: int) -> Level:
    """What an index of so many bins says, where the shares expected are those of so many rows."""
    by_chance = _chi_squared(max(1, bins - 1)) * (1 / seen + 1 / expected_from)
    if index <= max(MOVED, by_chance):
        return "stable"
    return "drifted" if index > DRIFTED else "moved"


def population_stability(shares: list[float], counts: list[int]) -> float:
    """The index of counts against the shares that were to be expected, bin by bin."""
    seen = sum(counts)
    total = 0.0
    for share, count in zip(shares, counts, strict=True):
        expected = max(share, _LEAST_SHARE)
        actual = (count + expected) / (seen + 1)  # one answer as expected: no bin is empty
        total += (actual - expected) * math.log(actual / expected)
    return total


def _chi_squared(freedom: int) -> float:
    """What chi squared exceeds once in a thousand (Wilson and Hilferty, 1931)."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + _SURE * math.sqrt(spread)) ** 3)
