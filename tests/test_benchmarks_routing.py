"""The benchmark of routing: its measures, its splits, its peers, and a short run."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.routing import (
    OURS,
    OURS_IN_GROUPS,
    Outcomes,
    apgr,
    by_group,
    cpt,
    folds,
    measure,
    nearest,
    recovered,
)
from generation.deciding.asked import Asked


def outcomes(count: int) -> Outcomes:
    """Half of the questions, in a group of their own, are those where the strong model helps."""
    random = np.random.default_rng(0)
    hard = random.random(count) < 0.5
    vectors = random.normal(size=(count, 8)) + 2 * np.outer(hard, np.ones(8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Outcomes(
        tuple(
            Asked("Why?" if is_hard else "Why not?", vector.astype(np.float32), f"g{is_hard:d}")
            for vector, is_hard in zip(vectors, hard, strict=True)
        ),
        (random.random(count) < np.where(hard, 0.2, 0.9)).astype(float),
        (random.random(count) < 0.9).astype(float),
    )


def test_the_curve_counts_what_each_strong_call_adds() -> None:
    gains = np.array([1.0, 0.0, -1.0, 1.0, 1.0])
    curve = recovered(np.array([5.0, 4.0, 3.0, 2.0, 1.0]), gains)
    assert curve == pytest.approx([0, 0.5, 0.5, 0, 0.5, 1])
    assert cpt(np.array([5.0, 4.0, 3.0, 2.0, 1.0]), gains, 0.5) == pytest.approx(0.2)
    assert apgr(np.array([5.0, 4.0, 3.0, 2.0, 1.0]), gains) == pytest.approx(2 / 5)


def test_an_order_that_knows_nothing_is_the_diagonal() -> None:
    gains = np.array([1.0, 0.0, -1.0, 1.0, 1.0])
    assert recovered(np.zeros(5), gains) == pytest.approx(np.arange(6) / 5)
    assert apgr(np.zeros(5), gains) == pytest.approx(0.5)
    assert cpt(np.zeros(5), gains, 0.6) == pytest.approx(0.6)


def test_perfect_knowledge_passes_the_strong_model() -> None:
    gains = np.array([1.0, 0.0, -1.0, 1.0, 1.0])
    assert recovered(gains, gains).max() == pytest.approx(1.5)
    assert cpt(gains, gains, 1.0) == pytest.approx(2 / 5)


def test_the_order_of_the_questions_makes_no_difference() -> None:
    random = np.random.default_rng(1)
    scores, gains = random.integers(0, 4, 200).astype(float), random.integers(-1, 2, 200) + 0.0
    gains[:20] = 1
    turned = random.permutation(200)
    assert recovered(scores, gains) == pytest.approx(recovered(scores[turned], gains[turned]))


def test_nothing_is_measured_on_what_was_fitted_on() -> None:
    [(fitted, measured)] = folds(50, 20, seed=0)
    assert len(fitted) == 20
    assert sorted([*fitted, *measured]) == list(range(50))
    fifths = list(folds(53, None, seed=0))
    assert sorted(np.concatenate([measured for _, measured in fifths])) == list(range(53))
    for fitted, measured in fifths:
        assert sorted([*fitted, *measured]) == list(range(53))


def test_peers_find_the_group_that_gains() -> None:
    made = outcomes(400)
    fitted, measured = np.arange(200), np.arange(200, 400)
    for peer in (nearest, by_group):
        assert apgr(peer(made, fitted, measured), made.gains[measured]) > 0.65
    unknown = Outcomes(
        (*made.asked[:200], Asked("New?", made.asked[0].vector, "new")),
        made.weak[:201],
        made.strong[:201],
    )
    [score] = by_group(unknown, fitted, np.array([200]))
    assert score == pytest.approx(made.gains[:200].mean())


@pytest.mark.parametrize("labels", [250, None])
def test_a_short_run_reports_every_order(labels: int | None) -> None:
    told = measure(outcomes(500), labels)
    assert told["labels"] == labels or 400
    perfect, length = told["orders"]["perfect"], told["orders"]["length"]
    for name in (OURS, OURS_IN_GROUPS):
        order = told["orders"][name]
        assert length["apgr"] < order["apgr"] < perfect["apgr"]
        assert order["apgr"] == pytest.approx(np.mean(order["by_seed"]["apgr"]), abs=1e-3)
        assert len(order["by_seed"]["cpt50"]) == 5
        assert told["chances"][name]["calibration error, weak"] < 0.1
        assert told["chances"][name]["in range"] > 0.9
