"""The bundled estimate: consistent with its signals, and moved by them in sensible directions."""

from __future__ import annotations

import dataclasses
import json
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.setting_groups.answers import AnswerSettings
from generation.confidence.quoted import LogisticConfidence, Signals

RECORD = json.loads(files("generation.confidence").joinpath("quoted.json").read_text())
NAMES = [field.name for field in dataclasses.fields(Signals)]
BUNDLED = LogisticConfidence.bundled()

RIGHT = Signals(
    quote_cosine=0.8,
    sparse_score=0.8,
)
UNRELATED = Signals(
    quote_cosine=0.1,
    sparse_score=0.0,
)
SHARES = st.floats(0, 1)
SIGNALS = st.builds(
    Signals,
    quote_cosine=st.floats(-1, 1),
    sparse_score=SHARES,
)


class TestRecord:
    def test_there_is_a_weight_for_each_signal_and_no_other(self) -> None:
        assert set(RECORD["weights"]) == set(NAMES)

    def test_it_says_what_it_was_fitted_on(self) -> None:
        assert RECORD["fitted_on"]
        assert RECORD["fitted_rows"] >= 100
        assert len(RECORD["labels"]) == len(RECORD["fitted_on"])
        assert set(RECORD["held_out"]) >= {"all", *RECORD["fitted_on"]}

    def test_it_was_measured_on_questions_left_out(self) -> None:
        measured = RECORD["held_out"]["all"]
        assert measured["auroc_right"] > 0.75
        assert measured["ece"] < 0.1

    def test_the_default_threshold_is_the_one_it_was_measured_with(self) -> None:
        assert AnswerSettings().abstain_below == RECORD["abstain_below"]


class TestEstimate:
    @settings(max_examples=100)
    @given(SIGNALS)
    def test_a_probability(self, signals: Signals) -> None:
        assert 0 < BUNDLED.estimate(signals) < 1

    def test_by_hand(self) -> None:
        estimate = LogisticConfidence(-1.0, {"quote_cosine": 2.0, "sparse_score": -1.0})
        signals = dataclasses.replace(UNRELATED, quote_cosine=0.75, sparse_score=0.5)
        assert estimate.estimate(signals) == pytest.approx(0.5)  # -1 + 1.5 - 0.5 = 0

    @pytest.mark.parametrize("intercept", [1e9, -1e9])
    def test_extremes_do_not_overflow(self, intercept: float) -> None:
        assert LogisticConfidence(intercept, {}).estimate(RIGHT) == pytest.approx(
            float(intercept > 0)
        )

    def test_an_answer_and_something_unrelated_are_told_apart(self) -> None:
        threshold = AnswerSettings().abstain_below
        assert BUNDLED.estimate(RIGHT) > 0.8
        assert BUNDLED.estimate(UNRELATED) < threshold / 3

    @pytest.mark.parametrize("name", NAMES)
    def test_more_of_each_signal_is_more_confidence(self, name: str) -> None:
        for signals in (RIGHT, UNRELATED):
            estimates = [
                BUNDLED.estimate(dataclasses.replace(signals, **{name: value}))
                for value in (0.0, 0.25, 0.5, 0.75, 1.0)
            ]
            assert estimates == sorted(estimates)
            assert estimates[0] < estimates[-1]
