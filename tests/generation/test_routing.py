"""Routing before the call: near the truth, exact to its record, and aware of its range."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.measures.confidence import auroc, expected_calibration_error
from generation.deciding.asked import Asked, measures
from generation.deciding.fitting_routes import (
    MIN_OF_EACH,
    MIN_OUTCOMES,
    RoutingExample,
    fit_router,
)
from generation.deciding.routing import Router
from rag.errors import InputError, MissingExtraError, ModelError
from rag.types import Vector

DIMENSION = 24
TOPICS = np.linalg.qr(np.random.default_rng(7).normal(size=(DIMENSION, DIMENSION)))[0][:4]


def made(count: int, seed: int = 0) -> tuple[list[RoutingExample], np.ndarray]:
    """Questions on four topics, and the true chances of `local` and `premium`, `[count, 2]`.

    The first topic is too hard for `local`, and so are long questions and those whose `score` is
    low; a group of the name "law" is harder for both.
    """
    random = np.random.default_rng(seed)
    examples, truth = [], []
    for _ in range(count):
        topic = int(random.integers(4))
        vector = TOPICS[topic] + 0.15 * random.normal(size=DIMENSION)
        score = float(random.random())
        length = int(random.integers(1, 6))
        group = str(random.choice(["law", "support", "sales"]))
        ease = 2.5 * (topic > 0) + 3 * score - 0.4 * length - (group == "law")
        odds = np.array([ease - 1.5, ease * 0.3 + 0.8])
        chances = 1 / (1 + np.exp(-odds))
        local, premium = (random.random(2) < chances).tolist()
        asked = Asked(
            "How is the form filled in" + ", and then sent on" * length + "?",
            (vector / np.linalg.norm(vector)).astype(np.float32),
            group,
            {"score": score, "margin": None if random.random() < 0.3 else score / 2},
        )
        examples.append(RoutingExample(asked, {"local": local, "premium": premium}))
        truth.append(chances)
    return examples, np.array(truth)


@pytest.fixture(scope="module")
def router() -> Router:
    return fit_router(made(1200)[0], seed=0, embedding="made", source="made questions")


def unit(values: list[float]) -> Vector:
    vector = np.array([*values, *[0.0] * (DIMENSION - len(values))])
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


class TestEstimating:
    def test_chances_are_near_the_truth_on_other_questions(self, router: Router) -> None:
        examples, truth = made(1500, seed=1)
        given = [router.chances(example.asked) for example in examples]
        for place, tier in enumerate(("local", "premium")):
            chances = np.array([one[tier] for one in given])
            right = np.array([example.right[tier] for example in examples], float)
            assert np.abs(chances - truth[:, place]).mean() < 0.08
            assert (expected_calibration_error(np.column_stack([chances, right])) or 0) < 0.07
        local = np.array([one["local"] for one in given])
        right = np.array([example.right["local"] for example in examples], float)
        best = auroc(np.column_stack([truth[:, 0], right])) or 0
        assert (auroc(np.column_stack([local, right])) or 0) > best - 0.03

    def test_each_thing_known_makes_a_difference(self, router: Router) -> None:
        asked = Asked(
            "How is the form filled in, and then sent on?",
            unit(TOPICS[1].tolist()),
            "support",
            {"score": 0.5, "margin": 0.25},
        )
        chance = router.chances(asked)["local"]
        harder = (
            replace(asked, vector=unit(TOPICS[0].tolist())),
            replace(asked, group="law"),
            replace(asked, signals={"score": 0.05, "margin": 0.02}),
            replace(asked, question=asked.question.replace("?", ", and then sent on" * 4 + "?")),
        )
        for other in harder:
            assert router.chances(other)["local"] < chance - 0.05

    def test_a_group_that_was_not_fitted_on_has_no_offset(self, router: Router) -> None:
        asked = made(1, seed=3)[0][0].asked
        chances = {g: router.chances(replace(asked, group=g))["local"] for g in ("law", "sales")}
        unknown = router.chances(replace(asked, group="never seen"))["local"]
        assert chances["law"] < unknown < chances["sales"]

    def test_a_record_gives_the_same_chances(self, router: Router) -> None:
        again = Router.from_record(json.loads(json.dumps(router.to_record(), allow_nan=False)))
        for example in made(50, seed=4)[0]:
            kept, read = router.estimate(example.asked), again.estimate(example.asked)
            assert read.chances == pytest.approx(kept.chances, abs=1e-4)
            assert read.is_in_range == kept.is_in_range
        assert again.embedding == "made"
        assert again.source == "made questions"
        assert again.tiers["local"].rows == 1200

    def test_fitting_again_gives_the_same_router(self) -> None:
        examples = made(200)[0]
        one, other = (fit_router(examples, seed=5).to_record() for _ in range(2))
        assert one == other

    @given(st.text(max_size=300))
    def test_any_text_has_chances(self, router: Router, question: str) -> None:
        estimate = router.estimate(replace(made(1)[0][0].asked, question=question))
        assert all(0 <= chance <= 1 for chance in estimate.chances.values())
        assert all(math.isfinite(value) for value in measures(question).values())

    def test_a_question_takes_less_than_a_millisecond(self, router: Router) -> None:
        asked = [example.asked for example in made(200, seed=6)[0]]
        times = []
        for one in asked:
            started = time.thread_time()
            router.chances(one)
            times.append(time.thread_time() - started)
        assert np.median(times) < 0.001


class TestRange:
    def test_questions_of_the_kind_fitted_on_are_in_range(self, router: Router) -> None:
        estimates = [router.estimate(example.asked) for example in made(500, seed=8)[0]]
        assert np.mean([estimate.is_in_range for estimate in estimates]) > 0.95

    @pytest.mark.parametrize(
        ("change", "why"),
        [
            ({"vector": -unit(TOPICS.sum(0).tolist())}, "unlike those fitted on (cosine"),
            ({"signals": {"margin": 0.2}}, "score is missing"),
            ({"signals": {"score": 7.0, "margin": 0.2}}, "score is 7, fitted on 0."),
            ({"question": "How? " + "So " * 5000}, "characters is"),
        ],
    )
    def test_what_is_unlike_the_fitted_says_so(
        self, router: Router, change: dict[str, Any], why: str
    ) -> None:
        asked = next(e.asked for e in made(50)[0] if router.estimate(e.asked).is_in_range)
        estimate = router.estimate(replace(asked, **change))
        assert not estimate.is_in_range
        assert why in estimate.why
        assert "\n" not in estimate.why

    def test_a_signal_that_was_often_missing_may_be_missing(self, router: Router) -> None:
        asked = next(e.asked for e in made(50)[0] if router.estimate(e.asked).is_in_range)
        assert router.estimate(replace(asked, signals={"score": 0.5})).is_in_range

    def test_a_signal_that_was_not_fitted_on_makes_no_difference(self, router: Router) -> None:
        asked = made(1)[0][0].asked
        more = replace(asked, signals={**asked.signals, "unknown": 1e9})
        assert router.estimate(more) == router.estimate(asked)


class TestFitting:
    def test_outcomes_of_one_tier_need_none_of_the_other(self) -> None:
        examples = [
            replace(example, right={tier: example.right[tier]})
            for place, example in enumerate(made(800)[0])
            for tier in [("local", "premium")[place % 2]]
        ]
        fitted = fit_router(examples, seed=0)
        assert {tier: facts.rows for tier, facts in fitted.tiers.items()} == {
            "local": 400,
            "premium": 400,
        }
        assert fitted.tiers["local"].log_loss < fitted.tiers["local"].base_log_loss

    def test_outcomes_of_pure_chance_give_about_their_share(self) -> None:
        random = np.random.default_rng(0)
        examples = [
            replace(example, right={"local": bool(random.random() < 0.7)})
            for example in made(600)[0]
        ]
        fitted = fit_router(examples, seed=0)
        chances = [fitted.chances(e.asked)["local"] for e in made(300, seed=9)[0]]
        assert np.abs(np.array(chances) - 0.7).mean() < 0.06

    def test_questions_that_differ_in_nothing_have_one_chance(self) -> None:
        asked = Asked("Why?", unit([1.0]))
        examples = [RoutingExample(asked, {"local": place % 4 > 0}) for place in range(120)]
        estimate = fit_router(examples, seed=0).estimate(asked)
        assert estimate.chances["local"] == pytest.approx(0.75, abs=0.02)

    @pytest.mark.parametrize(
        ("count", "wrong", "message"),
        [
            (MIN_OUTCOMES - 1, 50, f"has 99 outcomes, at least {MIN_OUTCOMES} are needed"),
            (200, 0, f"has 0 wrong answers, at least {MIN_OF_EACH} are needed"),
            (200, 200, f"has 0 right answers, at least {MIN_OF_EACH} are needed"),
        ],
    )
    def test_too_little_to_fit_on_is_refused(self, count: int, wrong: int, message: str) -> None:
        examples = [
            replace(example, right={"local": place >= wrong})
            for place, example in enumerate(made(count)[0])
        ]
        with pytest.raises(InputError, match=message) as caught:
            fit_router(examples, seed=0)
        assert "the tier local" in str(caught.value)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"vector": np.ones(3, np.float32)}, "the vector of question 6 is not 24 finite"),
            ({"vector": np.full(DIMENSION, np.nan, np.float32)}, "the vector of question 6"),
            ({"signals": {"score": math.inf}}, "score of question 6 is inf"),
        ],
    )
    def test_numbers_that_are_none_are_refused(self, change: dict[str, Any], message: str) -> None:
        examples = made(120)[0]
        examples[5] = replace(examples[5], asked=replace(examples[5].asked, **change))
        with pytest.raises(InputError, match=message):
            fit_router(examples, seed=0)

    def test_no_outcomes_at_all_are_refused(self) -> None:
        with pytest.raises(InputError, match="no outcomes to fit a router on"):
            fit_router([], seed=0)
        with pytest.raises(InputError, match="none of 3 questions has an outcome"):
            fit_router([replace(example, right={}) for example in made(3)[0]], seed=0)

    def test_without_the_extra_the_error_names_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)
        with pytest.raises(MissingExtraError, match=r"thrifty-rag\[evaluate\]"):
            fit_router(made(120)[0], seed=0)


class TestRecord:
    def test_a_vector_of_another_model_is_refused(self, router: Router) -> None:
        asked = replace(made(1)[0][0].asked, vector=np.ones(3, np.float32))
        with pytest.raises(ModelError, match="has 3 numbers, the router was fitted on 24"):
            router.estimate(asked)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"version": 99}, "of version 99, not 'router' of version 1"),
            ({"kind": "calibration"}, "this is 'calibration'"),
            ({"tiers": {"local": {}}}, "a router's record is damaged"),
            ({"known": "x"}, "a router's record is damaged"),
            ({"text": None}, "a router's record is damaged"),
        ],
    )
    def test_another_record_is_refused(
        self, router: Router, change: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ModelError, match=message):
            Router.from_record(router.to_record() | change)


class TestMeasures:
    def test_numbers_are_read_as_they_are_written(self) -> None:
        found = measures("Is 1,250 more than 3.5, or 1/2 of 40%?")
        assert found["numbers"] == pytest.approx(math.log1p(5))
        assert found["largest number"] == pytest.approx(math.log1p(1250))
        assert found["decimal numbers"] == pytest.approx(math.log1p(1))
        assert found["fractions"] == pytest.approx(math.log1p(2))
        assert found["comparisons"] == pytest.approx(math.log1p(2))

    @pytest.mark.parametrize("question", ["It isn't so?", "Which is NOT so?", "all except one"])
    def test_denials_are_counted(self, question: str) -> None:
        assert measures(question)["denials"] == pytest.approx(math.log1p(1))

    @pytest.mark.parametrize("number", ["1.2.3.4", "9" * 400, "٣", "1,2,3"])
    def test_strange_numbers_are_numbers(self, number: str) -> None:
        assert 0 < measures(f"What is {number}?")["largest number"] < 30
