"""The benchmark of experiments counts verdicts and takes the z-test as it says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.experiments import Drawn, draw


def test_a_block_is_there_with_its_last_verdict() -> None:
    is_arm = np.array([True, False, False, True, True, False, False, False])
    is_right = np.array([True, True, False, False, True, True, True, False])
    outcomes, at = Drawn(is_arm, is_right, share=1 / 3).blocks()
    assert outcomes.tolist() == [0.75, 0.0]
    assert at.tolist() == [3, 7], "the fifth verdict of the control waits for a third of the arm"


def test_the_z_test_is_that_of_two_rates() -> None:
    drawn = draw(np.random.default_rng(2), 0.4, 0.5, 0.8, 300)
    arm, control = drawn.is_right[drawn.is_arm], drawn.is_right[~drawn.is_arm]
    rate = drawn.is_right.mean()
    error = np.sqrt(rate * (1 - rate) * (1 / len(arm) + 1 / len(control)))
    scores = drawn.z_scores()
    assert scores[-1] == pytest.approx((arm.mean() - control.mean()) / error)
    assert scores[:60].tolist() == [0.0] * 60, "not looked at before there are 30 of each"
