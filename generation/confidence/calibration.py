"""How likely an answer is right: named signals to one calibrated probability.

A logistic regression over whatever signals are there, its margin taken as it is (Platt scaling is
part of the weights) or through an isotonic step (Zadrozny and Elkan, KDD 2002). All of it stands
in a record that `fitting` writes and that says what it was fitted on; using it takes no library.

It knows what it does not know: a signal that is missing, or lies outside all that was seen in
fitting, still gives a number, but one that says that it is out of range. Whoever decides should
then fall back to a rule that is safe without it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rag.errors import ModelError

KIND = "calibration"
VERSION = 1
ENOUGH_MISSING = 10
"""So many outcomes without a signal must have been fitted on for its absence to be known."""

_AROUND = 0.25  # of the fitted range: values that far outside of it are still taken for its end


@dataclass(frozen=True, slots=True)
class Estimate:
    """A probability, 0 to 1; `is_in_range` when it rests on what was fitted; if not, `why`."""

    probability: float
    is_in_range: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class FittedSignal:
    """What is known of a signal, `weight` in margin per unit of it.

    `when_missing` is what it adds to the margin where it is missing; `missing` the share of
    outcomes that lacked it. `edges` are where its bins begin, from its lowest value up; the last
    one ends at `high`. `shares` are those of the outcomes in each bin, and sum to 1 with `missing`.
    """

    weight: float
    when_missing: float
    missing: float
    edges: tuple[float, ...]
    high: float
    shares: tuple[float, ...]

    def bin_of(self, value: float) -> int:
        """The bin that holds a value; what lies outside goes to the first or last."""
        return max(bisect_right(self.edges, value) - 1, 0)


@dataclass(frozen=True, slots=True)
class _Curve:
    """Probabilities over margins, straight between its points."""

    margins: tuple[float, ...]
    probabilities: tuple[float, ...]

    def at(self, margin: float) -> float:
        place = bisect_right(self.margins, margin)
        if place == 0:
            return self.probabilities[0]
        if place == len(self.margins):
            return self.probabilities[-1]
        left, right = self.margins[place - 1 : place + 1]
        low, high = self.probabilities[place - 1 : place + 1]
        return low + (high - low) * (margin - left) / (right - left)


class Calibrator:
    """Turns the signals of an answer into the probability that it is right."""

    def __init__(
        self,
        rows: int,
        intercept: float,
        signals: Mapping[str, FittedSignal],
        curve: tuple[Sequence[float], Sequence[float]] | None,
    ) -> None:
        self._rows = rows
        self._intercept = intercept
        self._signals = dict(signals)
        self._curve = _Curve(*map(tuple, curve)) if curve else None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Calibrator:
        """What `fitting.fit_calibrator` has written. Raises ModelError for anything else."""
        if (record.get("kind"), record.get("version")) != (KIND, VERSION):
            raise ModelError(
                f"this is {record.get('kind')!r} of version {record.get('version')!r}, not "
                f"{KIND!r} of version {VERSION}: fit it again"
            )
        try:
            curve = record["curve"]
            return cls(
                record["rows"],
                record["intercept"],
                {
                    name: FittedSignal(
                        facts["weight"],
                        facts["when_missing"],
                        facts["missing"],
                        tuple(facts["edges"]),
                        facts["high"],
                        tuple(facts["shares"]),
                    )
                    for name, facts in record["signals"].items()
                },
                (curve["margins"], curve["probabilities"]) if curve else None,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"a calibration record is damaged ({error!r}): fit it again"
            ) from error

    @property
    def rows(self) -> int:
        """How many outcomes it was fitted on."""
        return self._rows

    @property
    def signals(self) -> Mapping[str, FittedSignal]:
        """The signals that it uses, by name."""
        return self._signals

    def estimate(self, signals: Mapping[str, float | None]) -> Estimate:
        """The probability for these signals; those that it was not fitted on make no difference.

        A value outside the fitted range counts as its nearest end; one far outside is doubted.
        """
        margin = self._intercept
        doubts: list[str] = []
        for name, fitted in self._signals.items():
            value = signals.get(name)
            if value is None or math.isnan(value):
                margin += fitted.when_missing
                if fitted.missing * self._rows < ENOUGH_MISSING:
                    doubts.append(f"{name} is missing")
                continue
            low, high = fitted.edges[0], fitted.high
            around = _AROUND * (high - low)
            if not low - around <= value <= high + around:
                doubts.append(f"{name} is {value:.3g}, fitted on {low:.3g} to {high:.3g}")
            value = min(max(value, low), high)
            margin += fitted.weight * value
        return Estimate(self._probability(margin), not doubts, "; ".join(doubts))

    def _probability(self, margin: float) -> float:
        if self._curve is not None:
            probability = self._curve.at(margin)
        else:
            probability = 1 / (1 + math.exp(-max(-30.0, min(30.0, margin))))
        least = 1 / (self._rows + 2)  # no surer than so many outcomes allow (Laplace)
        return min(max(probability, least), 1 - least)
