"""A confidence fitted to outcomes: calibrated, exact to its record, and aware of its range."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.measures.confidence import auroc, expected_calibration_error
from generation.confidence.calibration import Calibrator
from generation.confidence.fitting import MIN_OF_EACH, MIN_OUTCOMES, Fit, Outcome, fit_calibrator
from rag.errors import InputError, ModelError


def chance(cosine: float, length: float) -> float:
    """The truth of the outcomes below: as a logistic regression would have it."""
    return 1 / (1 + math.exp(-(6 * cosine - 0.05 * length - 1)))


def outcomes(
    count: int, seed: int = 0, missing: float = 0.0, squash: bool = False
) -> list[Outcome]:
    """Made outcomes, whose `cosine` is missing in a share; `squash` makes the truth uneven."""
    random = np.random.default_rng(seed)
    made = []
    for cosine, length in zip(random.random(count), random.integers(1, 60, count), strict=True):
        truth = chance(cosine, length)
        truth = 0.3 + 0.4 * (truth > 0.5) if squash else truth
        known = None if random.random() < missing else float(cosine)
        made.append(
            Outcome({"cosine": known, "length": float(length)}, bool(random.random() < truth))
        )
    return made


def fit(made: list[Outcome], **named: Any) -> Fit:
    return fit_calibrator(made, "local", "made outcomes", seed=0, **named)


def judged(made: list[Outcome], probabilities: list[float]) -> np.ndarray:
    return np.column_stack([probabilities, [outcome.is_right for outcome in made]])


@pytest.fixture(scope="module")
def fitted() -> Fit:
    return fit(outcomes(4000))


class TestFitting:
    def test_probabilities_are_near_the_truth_on_other_outcomes(self, fitted: Fit) -> None:
        calibrator = Calibrator.from_record(fitted.record)
        others = outcomes(2000, seed=1)
        errors = [
            calibrator.estimate(outcome.signals).probability
            - chance(outcome.signals["cosine"] or 0, outcome.signals["length"] or 0)
            for outcome in others
        ]
        assert np.abs(errors).mean() < 0.02

    @pytest.mark.parametrize("squash", [False, True])
    def test_calibrated_on_what_was_left_out(self, squash: bool) -> None:
        made = outcomes(4000, squash=squash)
        error = expected_calibration_error(judged(made, fit(made).held_out))
        assert error is not None
        assert error < 0.03

    def test_a_curve_is_taken_where_a_line_does_not_fit(self, fitted: Fit) -> None:
        assert fitted.record["curve"] is None
        curve = fit(outcomes(4000, squash=True)).record["curve"]
        assert curve is not None
        assert curve["probabilities"] == sorted(curve["probabilities"])
        assert 0 < curve["probabilities"][0] < curve["probabilities"][-1] < 1

    def test_signals_without_meaning_give_the_share_that_is_right(self) -> None:
        random = np.random.default_rng(0)
        made = [Outcome({"noise": random.random()}, random.random() < 0.7) for _ in range(1000)]
        estimate = Calibrator.from_record(fit(made).record).estimate({"noise": 0.5})
        assert estimate.probability == pytest.approx(0.7, abs=0.04)

    def test_a_missing_signal_counts_as_the_outcomes_without_it_tell(self) -> None:
        made = outcomes(2000)
        failing = [
            Outcome({"cosine": None, "length": 30.0}, is_right=number % 10 == 0)
            for number in range(300)
        ]
        calibrator = Calibrator.from_record(fit([*made, *failing]).record)
        estimate = calibrator.estimate({"length": 30.0})
        assert estimate.probability == pytest.approx(0.1, abs=0.05)
        assert estimate.is_in_range

    def test_a_rising_signal_never_lowers_the_probability(self) -> None:
        made = outcomes(1000)
        turned = [Outcome({**o.signals, "against": -(o.signals["cosine"] or 0)}, o.is_right)
                  for o in made]  # fmt: skip
        assert fit(turned).record["signals"]["against"]["weight"] < 0
        risen = fit(turned, rising=["against"]).record["signals"]
        assert risen["against"]["weight"] == 0
        assert risen["cosine"]["weight"] > 1

    def test_signals_that_part_right_from_wrong_do_not_make_it_sure_for_ever(self) -> None:
        made = [Outcome({"mark": float(n)}, n >= 60) for n in range(MIN_OUTCOMES)]
        estimate = Calibrator.from_record(fit(made).record).estimate
        low, high = (estimate({"mark": at}).probability for at in (0.0, 99.0))
        assert low == pytest.approx(1 / 102)
        assert high == pytest.approx(101 / 102)

    def test_weights_count_as_repeated_outcomes(self) -> None:
        made = outcomes(400)
        twice = [Outcome(o.signals, o.is_right, weight=2.0 if o.is_right else 1.0) for o in made]
        plain, heavy = (Calibrator.from_record(fit(rows).record) for rows in (made, twice))
        at = made[0].signals
        assert heavy.estimate(at).probability > plain.estimate(at).probability + 0.05

    def test_the_same_seed_gives_the_same_record(self) -> None:
        first, second = (fit(outcomes(300)).record | {"fitted_at": ""} for _ in range(2))
        assert first == second

    def test_a_signal_that_never_varies_is_left_out(self) -> None:
        made = [Outcome({**o.signals, "still": 1.0}, o.is_right) for o in outcomes(200)]
        assert set(fit(made).record["signals"]) == {"cosine", "length"}

    def test_the_record_names_its_data(self, fitted: Fit) -> None:
        record = fitted.record
        assert (record["tier"], record["source"], record["rows"]) == (
            "local",
            "made outcomes",
            4000,
        )
        assert record["fitted_at"].endswith("+00:00")
        cosine = record["signals"]["cosine"]
        assert sum(cosine["shares"]) + cosine["missing"] == pytest.approx(1)
        assert len(cosine["edges"]) == len(cosine["shares"]) == 12


class TestRefusals:
    @pytest.mark.parametrize(
        ("made", "told"),
        [
            (outcomes(MIN_OUTCOMES - 1), "99 outcomes, at least 100"),
            ([Outcome({"a": 1.0}, True)] * MIN_OUTCOMES, "0 wrong answers, at least 10"),
            (
                [Outcome({"a": 1.0}, n < MIN_OF_EACH - 1) for n in range(MIN_OUTCOMES)],
                "9 right answers, at least 10",
            ),
            ([Outcome({"a": 1.0}, n % 2 == 0) for n in range(MIN_OUTCOMES)], "no signal"),
            ([Outcome({"a": math.inf}, n % 2 == 0) for n in range(MIN_OUTCOMES)], "a of outcome 1"),
        ],
    )
    def test_in_one_line(self, made: list[Outcome], told: str) -> None:
        with pytest.raises(InputError, match=told) as refused:
            fit(made)
        assert "\n" not in str(refused.value)

    @pytest.mark.parametrize(
        "record",
        [
            {},
            {"kind": "routing", "version": 1},
            {"kind": "calibration", "version": 2},
            {"kind": "calibration", "version": 1},
            {"kind": "calibration", "version": 1, "rows": 9, "intercept": 0, "curve": None,
             "signals": {"a": {"weight": 1}}},
        ],
    )  # fmt: skip
    def test_a_record_of_something_else(self, record: dict[str, Any]) -> None:
        with pytest.raises(ModelError, match="fit it again"):
            Calibrator.from_record(record)


class TestEstimate:
    def test_a_record_that_was_kept_as_json_says_the_same(self, fitted: Fit) -> None:
        kept = Calibrator.from_record(json.loads(json.dumps(fitted.record)))
        fresh = Calibrator.from_record(fitted.record)
        at = {"cosine": 0.4, "length": 12.0}
        assert kept.estimate(at) == fresh.estimate(at)

    def test_by_hand(self) -> None:
        record = {
            "kind": "calibration", "version": 1, "rows": 100, "intercept": -1.0,
            "signals": {
                "a": {"weight": 2.0, "when_missing": 0.5, "missing": 0.2,
                      "edges": [0.0], "high": 1.0, "shares": [0.8]},
            },
            "curve": {"margins": [-1.0, 0.0, 1.0], "probabilities": [0.1, 0.5, 0.6]},
        }  # fmt: skip
        estimate = Calibrator.from_record(record).estimate
        assert estimate({"a": 0.75}).probability == pytest.approx(0.55)
        assert estimate({"a": 0.0}).probability == pytest.approx(0.1)
        assert estimate({}).probability == pytest.approx(0.3)
        line = Calibrator.from_record(record | {"curve": None}).estimate
        assert line({"a": 0.5}).probability == pytest.approx(0.5)

    def test_outside_the_fitted_range_it_says_so_and_stays_at_the_edge(self, fitted: Fit) -> None:
        calibrator = Calibrator.from_record(fitted.record)
        far = calibrator.estimate({"cosine": 40.0, "length": 10.0})
        edge = calibrator.estimate({"cosine": calibrator.signals["cosine"].high, "length": 10.0})
        assert edge.is_in_range
        assert not edge.why
        assert not far.is_in_range
        assert far.why.startswith("cosine is 40, fitted on ")
        assert far.probability == edge.probability

    @pytest.mark.parametrize("absent", [None, math.nan])
    def test_a_signal_never_missing_in_fitting_is_missed(
        self, fitted: Fit, absent: float | None
    ) -> None:
        estimate = Calibrator.from_record(fitted.record).estimate(
            {"cosine": absent, "length": 10.0}
        )
        assert not estimate.is_in_range
        assert estimate.why == "cosine is missing"
        assert 0.3 < estimate.probability < 0.95

    @given(
        st.dictionaries(
            st.sampled_from(["cosine", "length", "other"]), st.none() | st.floats(allow_nan=True)
        )
    )
    def test_whatever_comes_it_is_a_probability(
        self, fitted: Fit, signals: dict[str, float | None]
    ) -> None:
        estimate = Calibrator.from_record(fitted.record).estimate(signals)
        assert 0 < estimate.probability < 1
        assert estimate.is_in_range == (not estimate.why)

    def test_it_ranks_as_well_as_the_truth_does(self, fitted: Fit) -> None:
        made = outcomes(4000)
        ours = auroc(judged(made, fitted.held_out))
        truth = auroc(
            judged(made, [chance(o.signals["cosine"] or 0, o.signals["length"] or 0) for o in made])
        )
        assert ours is not None
        assert truth is not None
        assert ours > truth - 0.005
