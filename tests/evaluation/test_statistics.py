"""Intervals and p-values: against scipy, against theory, and the same for a seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from evaluation.measures.table import MEASURES
from evaluation.statistics import compare, measure_set

BY_NAME = {measure.name: measure for measure in MEASURES}
NDCG, AUROC = BY_NAME["nDCG@10"], BY_NAME["abstention AUROC"]


def rows(values):
    return [(float(value),) for value in values]


def test_an_interval_is_that_of_the_percentile_bootstrap() -> None:
    values = np.random.default_rng(3).random(200)
    found = measure_set(NDCG, rows(values), seed=1)
    wanted = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=5_000, rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(wanted.low, abs=0.005)
    assert found.high == pytest.approx(wanted.high, abs=0.005)
    assert found.n == 200
    assert found == measure_set(NDCG, rows(values), seed=1)
    assert found.low != measure_set(NDCG, rows(values), seed=2).low


def test_an_interval_of_figures_that_are_no_means() -> None:
    chooser = np.random.default_rng(4)
    true = chooser.random(150) < 0.5
    observed = [
        (float(one), float(is_true))
        for one, is_true in zip(chooser.random(150) + 0.6 * true, true, strict=True)
    ]
    found = measure_set(AUROC, observed, seed=1)
    n, m, a = true.sum(), (~true).sum(), found.value
    by_theory = math.sqrt(  # Hanley and McNeil, Radiology 143 (1982)
        (a * (1 - a) + (n - 1) * (a / (2 - a) - a**2) + (m - 1) * (2 * a**2 / (1 + a) - a**2))
        / (n * m)
    )
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(by_theory, rel=0.15)
    assert found.low < a < found.high


def test_one_question_has_no_interval_and_none_has_no_figure() -> None:
    alone = measure_set(NDCG, rows([0.5]), seed=1)
    assert (alone.value, alone.low, alone.high, alone.n) == (0.5, None, None, 1)
    nothing = measure_set(NDCG, [], seed=1)
    assert (nothing.value, nothing.low, nothing.n) == (None, None, 0)
    one_kind = measure_set(AUROC, [(0.5, 1.0), (0.6, 1.0)], seed=1)
    assert (one_kind.value, one_kind.low) == (None, None)


def test_a_p_value_is_that_of_the_paired_permutation_test() -> None:
    chooser = np.random.default_rng(5)
    first = chooser.random(40)
    second = first + chooser.normal(-0.05, 0.15, 40)
    found = compare(NDCG, rows(first), rows(second), seed=1)
    wanted = stats.permutation_test(
        (first, second),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(6),
    )
    assert found.difference == pytest.approx((first - second).mean())
    assert found.p == pytest.approx(wanted.pvalue, abs=0.01)
    assert found.low < found.difference < found.high


def test_runs_that_are_alike_do_not_differ_and_runs_that_are_not_do() -> None:
    values = np.random.default_rng(7).random(50)
    alike = compare(NDCG, rows(values), rows(values), seed=1)
    assert (alike.difference, alike.p, alike.low, alike.high) == (0, 1, 0, 0)
    apart = compare(NDCG, rows(values), rows(values - 0.2), seed=1)
    assert apart.difference == pytest.approx(0.2)
    assert apart.p < 0.001


def test_p_values_under_chance_alone_are_evenly_spread() -> None:
    chooser = np.random.default_rng(8)
    found = [
        compare(NDCG, rows(chooser.random(20)), rows(chooser.random(20)), seed=run).p
        for run in range(40)
    ]
    assert stats.kstest(found, "uniform").pvalue > 0.01


def test_figures_that_are_no_means_get_an_interval_and_no_p_value() -> None:
    first = [(0.9, 1.0), (0.8, 1.0), (0.2, 0.0), (0.1, 0.0)] * 5
    second = [(0.1, 1.0), (0.2, 1.0), (0.8, 0.0), (0.9, 0.0)] * 5
    found = compare(AUROC, first, second, seed=1)
    assert (found.value, found.other, found.difference) == (1, 0, 1)
    assert found.low == 1
    assert found.p is None
