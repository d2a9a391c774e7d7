"""How sure a figure is, and whether two runs differ by more than chance.

Intervals by the percentile bootstrap over questions, of any figure; p-values by the paired
randomisation test of Smucker, Allan and Carterette (CIKM 2007), of means only: for other figures a
swap can change more than the figure does. Both are the same for a seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.measures.confidence import Rows
from evaluation.measures.observing import Observation
from evaluation.measures.table import Better, Figure, Measure, Unit, as_rows, mean

BOOTSTRAPS = 1_000
RANDOMISATIONS = 5_000
_LEVEL = (0.025, 0.975)
_EQUAL = 1e-12


@dataclass(frozen=True, slots=True)
class Measurement:
    """A figure over `n` questions, with its 95% interval; None where they do not suffice."""

    name: str
    meaning: str
    unit: Unit
    value: float | None
    low: float | None
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Difference:
    """A run minus another on the same `n` questions, with its 95% interval; `p` for means only."""

    name: str
    unit: Unit
    better: Better
    value: float | None
    other: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def measure_set(measure: Measure, observed: Sequence[Observation], seed: int) -> Measurement:
    """The measure's figure of these observations."""
    rows = as_rows(observed)
    value = measure.figure(rows)
    told = (measure.name, measure.meaning, measure.unit)
    if value is None or len(rows) < 2:
        return Measurement(*told, value, None, None, len(rows))
    return Measurement(*told, value, *interval(measure.figure, rows, seed), len(rows))


def interval(figure: Figure, rows: Rows, seed: int) -> tuple[float | None, float | None]:
    """The 95% interval of a figure of these rows; None where it is not known."""
    chooser = np.random.default_rng(seed)
    return _quantiles([figure(rows[_chosen(chooser, len(rows))]) for _ in range(BOOTSTRAPS)])


def compare(
    measure: Measure, first: Sequence[Observation], second: Sequence[Observation], seed: int
) -> Difference:
    """`first` minus `second`: the same questions, in the same order."""
    a, b = as_rows(first), as_rows(second)
    one, other = measure.figure(a), measure.figure(b)
    told = (measure.name, measure.unit, measure.better)
    if one is None or other is None or len(a) < 2:
        return Difference(*told, one, other, None, None, None, None, len(a))
    chooser = np.random.default_rng(seed)
    samples = (_chosen(chooser, len(a)) for _ in range(BOOTSTRAPS))
    low, high = _quantiles([_minus(measure.figure, a[some], b[some]) for some in samples])
    p = _p_value(a, b, chooser) if measure.figure is mean else None
    return Difference(*told, one, other, one - other, low, high, p, len(a))


def _p_value(a: Rows, b: Rows, chooser: np.random.Generator) -> float:
    """How often swapping the runs of random questions makes the means differ as much."""
    differences = a[:, 0] - b[:, 0]
    signs = chooser.choice((-1.0, 1.0), (RANDOMISATIONS, len(a)))
    swapped = np.abs(signs @ differences)
    as_large = np.count_nonzero(swapped >= abs(differences.sum()) - _EQUAL)
    return (1 + int(as_large)) / (1 + RANDOMISATIONS)  # theirs is one of the possible swaps


def _minus(figure: Figure, a: Rows, b: Rows) -> float | None:
    one, other = figure(a), figure(b)
    return None if one is None or other is None else one - other


def _chosen(chooser: np.random.Generator, n: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return chooser.integers(0, n, n)


def _quantiles(figures: Sequence[float | None]) -> tuple[float | None, float | None]:
    known = [one for one in figures if one is not None]
    if not known:
        return None, None
    low, high = np.quantile(known, _LEVEL).tolist()
    return low, high
