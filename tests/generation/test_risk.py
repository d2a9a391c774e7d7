"""The threshold under a risk limit: kept as often as promised, and of use where it can be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, binom

from generation.confidence.risk import MIN_JUDGED, binomial_tail, limit_risk, rate_at_most
from rag.errors import InputError, RangeError

DELTA = 0.1


def drawn(count: int, seed: int) -> tuple[list[float], list[bool]]:
    """Confidences spread evenly, each the true chance to be right."""
    random = np.random.default_rng(seed)
    confidences = random.random(count)
    return confidences.tolist(), (random.random(count) < confidences).tolist()


def true_risk(threshold: float) -> float:
    """The share that is wrong in the long run of those from a threshold up."""
    return (1 - threshold) / 2


def test_the_promise_is_kept_in_the_long_run() -> None:
    broken = 0
    for seed in range(300):
        limit = limit_risk(*drawn(1000, seed), max_error=0.2, delta=DELTA)
        broken += limit.threshold is not None and true_risk(limit.threshold) > 0.2
    assert broken <= DELTA * 300


def test_it_answers_nearly_all_that_may_be() -> None:
    limit = limit_risk(*drawn(20_000, 0), max_error=0.2, delta=DELTA)
    assert limit.threshold == pytest.approx(0.6, abs=0.05)  # where the true risk is .2
    assert limit.answered == pytest.approx(0.4, abs=0.05)
    assert limit.wrong <= 0.2
    assert limit.reachable == 0.2


def test_nothing_is_given_where_no_threshold_holds_and_it_says_what_one_could() -> None:
    random = np.random.default_rng(0)
    confidences = random.random(1000).tolist()
    right = (random.random(1000) < 0.7).tolist()  # nothing tells them apart
    limit = limit_risk(confidences, right, max_error=0.05, delta=DELTA)
    assert limit.threshold is None
    assert limit.answered == 0
    assert limit.reachable is not None
    assert 0.3 <= limit.reachable <= 0.4
    held = limit_risk(confidences, right, limit.reachable, DELTA)
    assert held.threshold is not None
    lower = limit_risk(confidences, right, limit.reachable - 0.01, DELTA)
    assert lower.threshold is None


def test_all_wrong_reaches_nothing() -> None:
    limit = limit_risk([0.5] * 200, [False] * 200, 0.05, DELTA)
    assert (limit.threshold, limit.reachable) == (None, None)


def test_all_right_answers_everything() -> None:
    limit = limit_risk(np.linspace(0, 1, 200).tolist(), [True] * 200, 0.05, DELTA)
    assert (limit.threshold, limit.answered, limit.wrong) == (0.0, 1.0, 0.0)


def test_equal_confidences_are_given_together() -> None:
    confidences = [0.9] * 300 + [0.4] * 300
    right = [True] * 300 + [False] * 300
    limit = limit_risk(confidences, right, 0.05, DELTA)
    assert (limit.threshold, limit.answered) == (0.9, 0.5)


def test_the_order_of_the_answers_makes_no_difference() -> None:
    confidences, right = drawn(1000, 3)
    limit = limit_risk(confidences, right, 0.2, DELTA)
    assert limit == limit_risk(confidences[::-1], right[::-1], 0.2, DELTA)


def test_a_stricter_limit_or_promise_never_answers_more() -> None:
    judged = drawn(2000, 4)
    answered = [limit_risk(*judged, e, DELTA).answered for e in (0.05, 0.1, 0.2, 0.3, 0.6)]
    assert answered == sorted(answered)
    assert answered[-1] == 1
    surer = [limit_risk(*judged, 0.2, delta).answered for delta in (0.001, 0.01, 0.1)]
    assert surer == sorted(surer)


@pytest.mark.parametrize(("wrong", "given"), [(0, 10), (3, 100), (50, 100), (100, 100), (90, 3000)])
def test_the_tail_is_the_binomial_one(wrong: int, given: int) -> None:
    for rate in (0.01, 0.05, 0.5):
        assert binomial_tail(wrong, given, rate) == pytest.approx(binom.cdf(wrong, given, rate))


@pytest.mark.parametrize(("max_error", "delta"), [(0, 0.1), (1, 0.1), (0.1, 0), (0.1, 1.5)])
def test_limits_outside_their_range_are_refused(max_error: float, delta: float) -> None:
    with pytest.raises(RangeError, match="outside its range"):
        limit_risk(*drawn(200, 0), max_error, delta)


def test_too_few_verdicts_are_refused() -> None:
    with pytest.raises(InputError, match=f"99 judged answers .* at least {MIN_JUDGED}"):
        limit_risk(*drawn(99, 0), 0.05, DELTA)


@pytest.mark.parametrize(("wrong", "given"), [(0, 1), (0, 300), (1, 8), (3, 40), (250, 10_000)])
def test_a_rate_is_bounded_as_by_clopper_and_pearson(wrong: int, given: int) -> None:
    exact = float(beta.ppf(0.95, wrong + 1, given - wrong))
    assert rate_at_most(wrong, given, 0.05) == pytest.approx(exact, abs=1e-9)


def test_without_a_verdict_and_with_none_right_any_rate_may_be() -> None:
    assert rate_at_most(0, 0, 0.05) == 1
    assert rate_at_most(7, 7, 0.05) == 1
