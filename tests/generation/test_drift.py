"""Drift of the signals: seen when it is there, and not when there is but chance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from generation.confidence.calibration import Calibrator
from generation.confidence.drift import DriftWatch, SignalDrift, population_stability
from generation.confidence.fitting import Outcome, fit_calibrator

Signals = dict[str, float | None]


def usual(random: np.random.Generator) -> Signals:
    """As at fitting: a bell, a flag, and a number that a tenth of the answers lack."""
    return {
        "bell": float(random.normal()),
        "flag": float(random.random() < 0.2),
        "sparse": None if random.random() < 0.1 else float(random.random()),
    }


@pytest.fixture(scope="module")
def calibrator() -> Calibrator:
    random = np.random.default_rng(0)
    outcomes = [Outcome(usual(random), bool(random.random() < 0.6)) for _ in range(3000)]
    return Calibrator.from_record(fit_calibrator(outcomes, "local", "made", seed=0).record)


def watched(
    calibrator: Calibrator, draw: Callable[[np.random.Generator], Signals], count: int
) -> dict[str, SignalDrift]:
    watch, random = DriftWatch(calibrator), np.random.default_rng(1)
    for _ in range(count):
        watch.observe(draw(random))
    return {drift.name: drift for drift in watch.report()}


def test_nothing_seen_nothing_said(calibrator: Calibrator) -> None:
    assert DriftWatch(calibrator).report() == []


@pytest.mark.parametrize("count", [1, 10, 50, 200, 2000])
def test_chance_alone_is_no_drift(calibrator: Calibrator, count: int) -> None:
    drifts = watched(calibrator, usual, count)
    assert set(drifts) == {"bell", "flag", "sparse"}
    assert {drift.level for drift in drifts.values()} == {"stable"}


def test_a_shift_is_seen_in_the_signal_that_shifts_and_comes_first(calibrator: Calibrator) -> None:
    drifts = watched(calibrator, lambda random: {**usual(random), "bell": random.normal(1)}, 1000)
    assert next(iter(drifts)) == "bell"
    assert drifts["bell"].level == "drifted"
    assert drifts["bell"].index == pytest.approx(1.0, abs=0.2)  # that of two bells so far apart
    assert drifts["flag"].level == drifts["sparse"].level == "stable"


def test_a_small_shift_has_moved(calibrator: Calibrator) -> None:
    drifts = watched(calibrator, lambda random: {**usual(random), "bell": random.normal(0.4)}, 1000)
    assert drifts["bell"].level == "moved"


@pytest.mark.parametrize("absent", [None, math.nan])
def test_a_signal_that_goes_missing_has_drifted(
    calibrator: Calibrator, absent: float | None
) -> None:
    drifts = watched(calibrator, lambda random: {**usual(random), "bell": absent}, 300)
    assert drifts["bell"].level == "drifted"


def test_a_flag_that_is_set_oftener(calibrator: Calibrator) -> None:
    drifts = watched(
        calibrator, lambda random: {**usual(random), "flag": float(random.random() < 0.5)}, 500
    )
    assert drifts["flag"].level == "drifted"


def test_what_was_long_ago_is_forgotten(calibrator: Calibrator) -> None:
    watch, random = DriftWatch(calibrator, window=400), np.random.default_rng(2)
    for _ in range(1000):
        watch.observe({**usual(random), "bell": 3.0})
    assert watch.report()[0].level == "drifted"
    for _ in range(400):
        watch.observe(usual(random))
    assert {drift.level for drift in watch.report()} == {"stable"}
    assert 200 <= watch.report()[0].seen <= 400


def test_values_beyond_the_range_stand_in_the_outermost_bins(calibrator: Calibrator) -> None:
    drifts = watched(calibrator, lambda random: {**usual(random), "bell": 1e9}, 300)
    assert drifts["bell"].level == "drifted"


def test_the_index_by_hand() -> None:
    assert population_stability([0.5, 0.5], [50, 50]) == 0
    by_hand = 0.3 * math.log(0.8 / 0.5) - 0.3 * math.log(0.2 / 0.5)
    assert population_stability([0.5, 0.5], [8000, 2000]) == pytest.approx(by_hand, rel=1e-3)
    assert population_stability([1.0, 0.0], [99, 1]) < 0.1
