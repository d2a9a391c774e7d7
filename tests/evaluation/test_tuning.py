"""Tuning without a system: scores, the choice among them, the search, and the check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from evaluation_fakes import make_record, questions_of

from evaluation.measures.table import MEASURES
from evaluation.questions import EvaluationQuestion, Place
from evaluation.records import Record
from evaluation.tuning.choosing import choose, contradicts, front_of
from evaluation.tuning.outcome import Outcome, conclude
from evaluation.tuning.scoring import (
    AS_IT_IS,
    TUNED_BY,
    Changes,
    Goal,
    Score,
    in_halves,
    measure_named,
    name_of,
    score,
)
from evaluation.tuning.searching import Knob, search
from rag.errors import InputError

RETAINED = measure_named("answer retained", [])
GOAL = Goal(RETAINED, None, 0.01, 0)


def a_score(quality: float = 0.9, tokens: float = 1_000, ms: float = 10, **fields: Any) -> Score:
    """A score that is certain of itself; as it is, unless `changes` say otherwise."""
    changes = fields.pop("changes", {})
    gain = fields.pop("gain", 0.0)
    values: dict[str, Any] = {
        "name": name_of(changes),
        "changes": changes,
        "low": quality,
        "high": quality,
        "gain": gain,
        "gain_low": gain,
        "gain_high": gain,
        "n": 50,
        "is_good_enough": gain >= -0.01,
    }
    return Score(quality=quality, context_tokens=tokens, ms=ms, **(values | fields))


PRESENT = a_score()
SMALL = a_score(tokens=300, changes={"context.max_tokens": 300})


def test_the_fewest_tokens_win_among_those_that_are_good_enough() -> None:
    tiny = a_score(0.5, 100, changes={"context.max_tokens": 100}, gain=-0.4)
    middle = a_score(tokens=600, changes={"context.max_tokens": 600})
    assert choose([PRESENT, middle, tiny, SMALL]) is SMALL


def test_doing_nothing_wins_where_nothing_is_cheaper_for_certain() -> None:
    barely = a_score(tokens=980, ms=9, changes={"retrieval.chunks": 9})
    dearer = a_score(0.95, 1_100, changes={"retrieval.chunks": 15}, gain=0.05)
    assert choose([PRESENT, barely, dearer]) is PRESENT


def test_milliseconds_decide_among_equal_tokens() -> None:
    slow = a_score(tokens=300, ms=90, changes={"retrieval.reranker": "m", "context.max_tokens": 3})
    quick = replace(SMALL, ms=11.0)
    assert choose([PRESENT, slow, quick]) is quick


def test_what_is_better_for_certain_wins_at_equal_cost() -> None:
    better = a_score(0.95, 1_010, 10.5, changes={"retrieval.dense_share": 0.4}, gain=0.05)
    perhaps = replace(better, quality=0.96, gain_low=-0.005)
    assert choose([PRESENT, perhaps]) is PRESENT
    assert choose([PRESENT, perhaps, better]) is better


def test_the_best_is_taken_where_none_is_good_enough() -> None:
    scores = [
        a_score(quality, tokens, is_good_enough=False)
        for quality, tokens in ((0.5, 1_000), (0.6, 2_000), (0.4, 100))
    ]
    assert choose(scores) is scores[1]


def test_the_front_holds_what_nothing_beats() -> None:
    worse = a_score(0.8, 400)
    assert front_of([PRESENT, worse, SMALL, a_score(0.95, 1_500)]) == [SMALL, a_score(0.95, 1_500)]


def asked(kept: Sequence[bool], tokens: int = 1_000) -> list[Record]:
    """Records of the questions q0, q1, …, whose answer is in the context or not."""
    return [
        make_record(f"q{n}", context="14 days" if ok else "", context_tokens=tokens)
        for n, ok in enumerate(kept)
    ]


def questions(count: int) -> list[EvaluationQuestion]:
    return questions_of([f"q{n}" for n in range(count)], answers=("14 days",))


def test_a_loss_that_may_be_more_than_the_margin_is_not_good_enough() -> None:
    present = asked([True] * 40)
    one_lost = asked([True] * 39 + [False], 200)
    same = score({"a.b": 1}, questions(40), present, present, GOAL)
    assert (same.gain, same.gain_low, same.is_good_enough) == (0, 0, True)
    lost = score({"a.b": 1}, questions(40), one_lost, present, GOAL)
    assert lost.gain == pytest.approx(-0.025)
    assert lost.gain_low is not None
    assert lost.gain_low < -0.025
    assert not lost.is_good_enough
    assert (lost.context_tokens, lost.ms, lost.n) == (200, 3, 40)
    assert score(
        {"a.b": 1}, questions(40), one_lost, present, replace(GOAL, margin=0.1)
    ).is_good_enough
    wanted = replace(GOAL, wanted=0.97)
    assert score({"a.b": 1}, questions(40), one_lost, present, wanted).is_good_enough


def test_a_trial_that_gains_and_loses_alike_is_noise_and_not_good_enough() -> None:
    present = asked([n % 10 != 0 for n in range(40)])
    other = asked([n % 10 != 1 for n in range(40)], 200)
    noisy = score({"a.b": 1}, questions(40), other, present, GOAL)
    assert noisy.gain == pytest.approx(0)
    assert not noisy.is_good_enough


async def test_a_choice_holds_on_the_other_half_or_is_not_taken() -> None:
    worse = a_score(0.7, 300, changes=SMALL.changes, gain=-0.2)

    async def concluded(checked: Score) -> Outcome:
        async def check(chosen: Score) -> tuple[Score, Score]:
            assert chosen is SMALL
            return PRESENT, checked

        return await conclude([PRESENT, SMALL], GOAL, check)

    kept = await concluded(worse)
    assert kept.changes == {}
    assert kept.checked == (PRESENT, worse)
    assert "on the other questions answer retained is 0.700, and 0.900 as it is" in kept.verdict
    unsure = replace(worse, gain_high=0.1)
    taken = await concluded(unsure)
    assert taken.changes == SMALL.changes
    assert taken.verdict.endswith("or chance: more questions would tell")
    held = await concluded(SMALL)
    assert held.verdict.endswith(
        "300 tokens of context instead of 1,000, and answer retained 0.900 instead of 0.900"
    )
    assert contradicts(replace(unsure, high=0.8), replace(GOAL, wanted=0.85))
    assert not contradicts(replace(unsure, high=0.9), replace(GOAL, wanted=0.85))


async def test_what_nothing_reaches_is_told() -> None:
    async def check(chosen: Score) -> tuple[Score, Score]:
        raise AssertionError

    goal = replace(GOAL, wanted=0.99)
    low = [
        replace(PRESENT, is_good_enough=False),
        replace(SMALL, quality=0.95, is_good_enough=False),
    ]
    outcome = await conclude(low, goal, check)
    assert outcome.changes == {}
    assert outcome.checked is None
    assert outcome.verdict.endswith(
        "no trial reaches answer retained of 0.99; the best, with context.max_tokens=300, has 0.950"
    )
    outcome = await conclude([PRESENT], GOAL, check)
    assert (outcome.changes, outcome.checked) == ({}, None)
    assert "nothing that has answer retained at most 0.01 below" in outcome.verdict


class Surface:
    """Trials whose quality and tokens are known: .6 is the best share; 200 tokens are enough."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    async def ask(self, changes: Changes) -> Score | None:
        self.asked.append(dict(changes))
        if changes.get("share") == 1:
            return None
        share, tokens = changes.get("share", 0.5), changes.get("tokens", 1_000)
        assert isinstance(share, float)
        assert isinstance(tokens, int)
        quality = 0.9 - abs(share - 0.6) - max(0, 200 - tokens) / 1_000
        return a_score(quality, tokens, changes=dict(changes), gain=quality - 0.8)


async def test_settings_are_turned_one_after_the_other() -> None:
    surface = Surface()
    present = await surface.ask({})
    assert present is not None
    knobs = [Knob("share", (0.4, 0.6, 1), "quality"), Knob("tokens", (50, 100, 200, 400), "cost")]
    scores = await search(surface.ask, knobs, present)
    assert scores[0] == present
    assert choose(scores).changes == {"share": 0.6, "tokens": 100}, "what is gained is spent"
    assert {"share": 0.6, "tokens": 50} in surface.asked
    assert {"share": 0.4, "tokens": 100} in surface.asked, "the second pass"
    assert {"tokens": 100} in surface.asked, "each setting as it is, too"
    assert not any(one.changes.get("share") == 1 for one in scores)


def test_halves_share_out_the_gold_and_depend_on_the_seed_alone() -> None:
    gold = questions(11)
    others = questions_of([f"x{n}" for n in range(4)])
    chosen, checked = in_halves([*others, *gold], RETAINED, 1)
    assert [sum(bool(one.answers) for one in half) for half in (chosen, checked)] == [6, 5]
    assert [len(chosen), len(checked)] == [8, 7]
    assert not {one.question_id for one in chosen} & {one.question_id for one in checked}
    assert in_halves([*others, *gold], RETAINED, 1) == (chosen, checked)
    assert in_halves([*others, *gold], RETAINED, 2) != (chosen, checked)


def test_without_gold_there_is_nothing_to_tune_by() -> None:
    with pytest.raises(InputError, match="1 of the 3 questions have reference answers, and tuning"):
        in_halves([*questions(1), *questions_of(["a", "b"])], RETAINED, 0)


def test_the_measure_is_that_of_the_gold() -> None:
    span = questions_of(["s"], spans=(Place("d", 0, 5),))
    assert measure_named(None, questions(1)).name == "answer retained"
    assert measure_named(None, [*span, *span, *questions(1)]).name == "span recall"
    assert measure_named(None, questions_of(["d"], documents=("d",))).name == "nDCG@10"
    with pytest.raises(InputError, match="no tuning by 'cost': give one of answer retained, span"):
        measure_named("cost", [])


def test_every_measure_to_tune_by_is_a_mean_that_gold_alone_allows() -> None:
    by_name = {one.name: one for one in MEASURES}
    for name in TUNED_BY:
        assert by_name[name].better == "higher"
        assert by_name[name].needs in {"gold documents", "gold spans", "reference answers"}


def test_a_trial_goes_by_what_it_changes() -> None:
    assert name_of({}) == AS_IT_IS
    assert name_of({"b.c": 2, "a.d": 0.5}) == "a.d=0.5, b.c=2"
