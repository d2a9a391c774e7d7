"""What a trial came to: its quality beside the present settings', its tokens, its milliseconds.

Knows no settings but by their names.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from pydantic import JsonValue

from evaluation.measures.observing import Observation
from evaluation.measures.table import MEASURES, Measure, observe
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record
from evaluation.statistics import compare, measure_set
from rag.errors import InputError

Changes = Mapping[str, JsonValue]
"""What differs from the present settings, by dotted names such as `context.max_tokens`."""

AS_IT_IS = "as it is"
OF_RANKING = ("nDCG@10", "recall@5", "recall@10", "MRR")
OF_CONTEXT = ("answer retained", "span recall")
OF_ANSWER = ("token F1", "exact match")
TUNED_BY = (*OF_CONTEXT, *OF_RANKING, *OF_ANSWER)
"""The measures to tune by: a mean over questions, higher for better, which gold alone decides on,
so that every trial is measured on the same questions."""


@dataclass(frozen=True, slots=True)
class Goal:
    """The quality that is wanted, 0 to 1, or (None) no more than `margin` below the present one.

    Intervals are drawn with `seed`.
    """

    measure: Measure
    wanted: float | None
    margin: float
    seed: int

    def __str__(self) -> str:
        if self.wanted is None:
            return f"{self.measure.name} at most {self.margin:g} below the present settings'"
        return f"{self.measure.name} of {self.wanted:g}"


@dataclass(frozen=True, slots=True)
class Score:
    """One trial over `n` questions that tell its quality.

    `low` and `high` bound the 95% interval of `quality`; `gain` is the quality minus the present
    settings' on the same questions, within `gain_low` and `gain_high`. `context_tokens` is a mean
    and `ms` a median over all questions asked. Bounds are None where one question is all there is.
    """

    name: str
    changes: dict[str, JsonValue]
    quality: float
    low: float | None
    high: float | None
    gain: float
    gain_low: float | None
    gain_high: float | None
    context_tokens: float
    ms: float
    n: int
    is_good_enough: bool


def measure_named(name: str | None, questions: Sequence[EvaluationQuestion]) -> Measure:
    """The measure to tune by; None takes the one that the gold of most questions allows.

    Raises InputError for a name that is not in TUNED_BY, and where gold is missing.
    """
    if name is None:
        answers = sum(bool(question.answers) for question in questions)
        spans = sum(bool(question.spans) for question in questions)
        name = "nDCG@10"
        if answers or spans:
            name = "answer retained" if answers >= spans else "span recall"
    if name not in TUNED_BY:
        raise InputError(f"there is no tuning by {name!r}: give one of {', '.join(TUNED_BY)}")
    [measure] = [one for one in MEASURES if one.name == name]
    return measure


def in_halves(
    questions: Sequence[EvaluationQuestion], measure: Measure, seed: int
) -> tuple[list[EvaluationQuestion], list[EvaluationQuestion]]:
    """The questions to choose by and those to check by, each with half of the gold.

    Raises InputError when fewer than two questions have gold for the measure.
    """
    chooser = random.Random(seed)  # noqa: S311 (no secret)
    with_gold = [one for one in questions if _has_gold(one, measure)]
    if len(with_gold) < 2:
        raise InputError(
            f"{len(with_gold)} of the {len(questions):,} questions have {measure.needs}, and "
            f"tuning by {measure.name!r} needs at least 2: add some, or give another measure "
            "with --measure"
        )
    others = [one for one in questions if not _has_gold(one, measure)]
    chosen: list[EvaluationQuestion] = []
    checked: list[EvaluationQuestion] = []
    for group in (with_gold, others):
        chooser.shuffle(group)
        half = (len(group) + 1) // 2
        chosen += group[:half]
        checked += group[half:]
    return chosen, checked


def gold_count(questions: Sequence[EvaluationQuestion], measure: Measure) -> int:
    """How many questions the measure can be observed of."""
    return sum(_has_gold(question, measure) for question in questions)


def score(
    changes: Changes,
    questions: Sequence[EvaluationQuestion],
    records: Sequence[Record],
    present: Sequence[Record],
    goal: Goal,
) -> Score:
    """The score of a trial; `records[i]` and `present[i]` are of `questions[i]`."""
    mine = list(observe(goal.measure, questions, records).values())
    theirs = list(observe(goal.measure, questions, present).values())
    figure = measure_set(goal.measure, mine, goal.seed)
    difference = compare(goal.measure, mine, theirs, goal.seed)
    quality = _mean(mine)
    gain = quality - _mean(theirs)
    gain_low = gain if difference.low is None else difference.low
    return Score(
        name=name_of(changes),
        changes=dict(changes),
        quality=quality,
        low=figure.low,
        high=figure.high,
        gain=gain,
        gain_low=difference.low,
        gain_high=difference.high,
        context_tokens=fmean(record.context_tokens for record in records),
        ms=median(sum(record.ms.values()) for record in records),
        n=len(mine),
        is_good_enough=gain_low >= -goal.margin if goal.wanted is None else quality >= goal.wanted,
    )


def name_of(changes: Changes) -> str:
    """What a trial is called: what it changes."""
    told: Iterable[str] = (f"{name}={changes[name]}" for name in sorted(changes))
    return ", ".join(told) or AS_IT_IS


def _has_gold(question: EvaluationQuestion, measure: Measure) -> bool:
    needed = {
        "gold documents": question.documents,
        "gold spans": question.spans,
        "reference answers": question.answers,
    }
    return bool(needed[measure.needs])


def _mean(observed: Sequence[Observation]) -> float:
    return fmean(row[0] for row in observed)
