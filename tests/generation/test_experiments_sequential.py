"""Tests that are looked at after every outcome: they are false no more often than they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from generation.experiments.sequential import (
    Moments,
    Outcomes,
    block_sizes,
    blocks_to_proof,
    cost_difference,
    cost_interval,
    evidence,
    in_blocks,
    interval,
    log_capital,
)

ERROR = 0.05


def drawn(seed: int, *rates: float, count: int) -> list[Outcomes]:
    """Verdicts, of each rate so many."""
    random = np.random.default_rng(seed)
    return [(random.random(count) < rate).astype(float) for rate in rates]


@pytest.mark.parametrize(
    ("arm", "control", "sizes"),
    [
        (0.5, 0.5, (1, 1)), (0.1, 0.9, (1, 9)), (0.9, 0.1, (9, 1)), (0.4, 0.6, (2, 3)),
        (0.3, 0.7, (2, 5)), (0.45, 0.55, (1, 1)), (0.2, 0.4, (1, 2)), (0.001, 0.999, (1, 20)),
    ],
)  # fmt: skip
def test_a_block_has_as_many_of_each_as_their_shares(
    arm: float, control: float, sizes: tuple[int, int]
) -> None:
    assert block_sizes(arm, control) == sizes


def test_blocks_pair_outcomes_in_the_order_in_which_they_came() -> None:
    arm, control = np.array([1.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0, 1.0])
    assert in_blocks(arm, control, (1, 2)).tolist() == [1.0, 0.25]
    assert in_blocks(arm, control, (1, 1)).tolist() == [1.0, 0.5]
    assert in_blocks(control, arm, (2, 1)).tolist() == [0.0, 0.75]
    assert in_blocks(arm, np.array([]), (1, 1)).size == 0


def test_the_capital_is_what_the_bets_make_of_the_outcomes() -> None:
    after_two_wins = sum((1 + bet) ** 2 for bet in np.geomspace(0.04, 0.9, 8)) / 8
    assert math.exp(log_capital(np.ones(2))[-1]) == pytest.approx(after_two_wins)
    assert evidence(np.ones(2)) == pytest.approx(after_two_wins)
    assert evidence(np.zeros(9)) == 1.0, "what was put in counts as the most that there was"
    assert evidence(np.array([])) == 1.0
    assert math.isfinite(evidence(np.ones(100_000)))


@pytest.mark.parametrize(("rate", "sizes"), [(0.6, (1, 1)), (0.8, (1, 9)), (0.95, (2, 3))])
def test_arms_that_are_the_same_are_seldom_said_to_differ(
    rate: float, sizes: tuple[int, int]
) -> None:
    experiments, blocks = 400, 600
    random = np.random.default_rng(7)
    arm, control = (
        (random.random((experiments, blocks, size)) < rate).mean(axis=-1) for size in sizes
    )
    outcomes = (1 + arm - control) / 2
    proof = math.log(2 / ERROR)
    is_false = [(log_capital(seen).max(axis=-1) >= proof) for seen in (outcomes, 1 - outcomes)]
    assert np.mean(is_false[0] | is_false[1]) <= ERROR
    assert log_capital(outcomes).mean() < 0, "without a difference the bets lose"


@pytest.mark.parametrize(("arm", "control"), [(0.7, 0.8), (0.85, 0.95)])
def test_an_arm_that_is_ten_points_worse_is_found_out(arm: float, control: float) -> None:
    found = []
    for seed in range(30):
        blocks = in_blocks(*drawn(seed, arm, control, count=1_000), (1, 1))
        assert evidence(blocks) < 2 / ERROR
        found.append(evidence(1 - blocks) >= 2 / ERROR)
    assert np.mean(found) >= 0.9


def test_the_interval_leaves_no_difference_out_just_when_one_is_proven() -> None:
    proven = 0
    for seed in range(40):
        blocks = in_blocks(*drawn(seed, 0.7, 0.8, count=300), (1, 1))
        low, high = interval(blocks, ERROR / 2)
        assert low < blocks.mean() < high
        assert (low > 0.5) == (evidence(blocks) >= 2 / ERROR)
        assert (high < 0.5) == (evidence(1 - blocks) >= 2 / ERROR)
        proven += high < 0.5
    assert 5 <= proven <= 35
    assert interval(np.array([]), ERROR) == (0.0, 1.0)


def test_the_interval_holds_the_true_difference_at_all_times() -> None:
    experiments, true_mean = 400, (1 + 0.7 - 0.8) / 2
    random = np.random.default_rng(3)
    arm, control = ((random.random((experiments, 800)) < rate) for rate in (0.7, 0.8))
    outcomes = (1 + arm.astype(float) - control) / 2
    below = log_capital(outcomes, true_mean).max(axis=-1) >= math.log(2 / ERROR)
    above = log_capital(1 - outcomes, 1 - true_mean).max(axis=-1) >= math.log(2 / ERROR)
    assert np.mean(below | above) <= ERROR


def test_how_many_more_prove_a_difference_is_about_right() -> None:
    ratios = []
    for seed in range(40):
        arm, control = drawn(seed, 0.65, 0.8, count=3_000)
        whole = in_blocks(arm, control, (1, 1))
        proof = int(np.argmax(log_capital(1 - whole) >= math.log(2 / ERROR))) + 1
        told = blocks_to_proof(whole[: proof // 2], ERROR / 2)
        ratios.append((told or math.inf) / (proof - proof // 2))
    assert 0.5 < np.median(ratios) < 2
    assert blocks_to_proof(np.array([]), ERROR) is None
    assert blocks_to_proof(np.array([0.0, 1.0]), ERROR) is None, "nothing is seen"


def test_costs_are_compared_from_a_hundred_answers_on() -> None:
    cheap, dear = Moments(100, 0.001, 1e-8), Moments(100, 0.002, 1e-8)
    found = cost_difference(dear, cheap, ERROR)
    assert found is not None
    assert 0 < found.low < found.value < found.high
    assert found.value == pytest.approx(0.001)
    assert cost_difference(Moments(99, 0.002, 1e-8), cheap, ERROR) is None
    twice = cost_difference(dear, cheap, ERROR, ratio=2.0)
    assert twice is not None
    assert twice.low < 0 < twice.high
    alone = cost_interval(cheap, ERROR)
    assert alone is not None
    assert alone.low < 0.001 < alone.high
    assert cost_interval(Moments(5_000, 0.0, 0.0), ERROR) is None, "nothing varies"


def test_costs_that_are_the_same_are_seldom_said_to_differ() -> None:
    """Nineteen answers of twenty are free, so that the sums are as skewed as those of a cascade."""
    random = np.random.default_rng(5)
    false = 0
    for _ in range(200):
        arm, control = 0.02 * (random.random((2, 2_000)) < 0.05)
        for count in range(100, 2_001, 50):
            found = cost_difference(
                *(
                    Moments(count, float(seen[:count].mean()), float(seen[:count].var(ddof=1)))
                    for seen in (arm, control)
                ),
                ERROR,
            )
            if found is not None and not found.low <= 0 <= found.high:
                false += 1
                break
    assert false / 200 <= ERROR
