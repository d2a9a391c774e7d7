"""Whether confidence means something. Rows are of shape `[n, 2]`: confidence; 1 for true or 0."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.float64]
BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Answers of similar confidence, all between `low` and `high`: how many, and how many right."""

    low: float
    high: float
    confidence: float
    right: float
    n: int


@dataclass(frozen=True, slots=True)
class TradeOffPoint:
    """Refusing below `threshold` leaves a share answered, and a share of that right."""

    threshold: float
    answered: float
    right: float


def auroc(rows: Rows) -> float | None:
    """How often a true one has more confidence than a false one, ties half; None without both."""
    true, false = rows[rows[:, 1] > 0, 0], np.sort(rows[rows[:, 1] <= 0, 0])
    if not len(true) or not len(false):
        return None
    beaten = np.searchsorted(false, true, "left") + np.searchsorted(false, true, "right")
    return float(beaten.sum() / (2 * len(true) * len(false)))


def expected_calibration_error(rows: Rows) -> float | None:
    """The mean distance of confidence and share right, over bins of equal width (1706.04599)."""
    if not len(rows):
        return None
    bins = _bin_of(rows[:, 0])
    gaps = np.bincount(bins, weights=rows[:, 0] - rows[:, 1], minlength=BINS)
    return float(np.abs(gaps).sum() / len(rows))


def reliability(rows: Rows) -> list[ReliabilityBin]:
    """The bins that hold something, in order of confidence."""
    bins = _bin_of(rows[:, 0])
    return [
        ReliabilityBin(
            low=number / BINS,
            high=(number + 1) / BINS,
            confidence=float(rows[bins == number, 0].mean()),
            right=float(rows[bins == number, 1].mean()),
            n=int((bins == number).sum()),
        )
        for number in np.unique(bins)
    ]


def trade_off(rows: Rows, asked: int) -> list[TradeOffPoint]:
    """For every confidence as the threshold, lowest first; shares answered are of `asked`."""
    points: Sequence[float] = np.unique(rows[:, 0]).tolist()
    kept = [rows[rows[:, 0] >= threshold, 1] for threshold in points]
    return [
        TradeOffPoint(threshold, len(right) / asked, float(right.mean()))
        for threshold, right in zip(points, kept, strict=True)
    ]


def _bin_of(confidence: Rows) -> npt.NDArray[np.int64]:
    return np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
