"""Which lessons are worth training on: judged, sure, said once, and not too many abstentions.

What a person wrote in the stead of a wrong answer is taught instead of it, and counts as right.
Two lessons teach the same when two of these three agree: the question (normalised), the context,
and the answer. Of abstentions the question must be one of the two, since all of them answer alike.
The best of those that teach the same is taken: one that was found right or corrected before one
that nobody judged, then the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from generation.distilling.lessons import JudgedLesson
from generation.reuse.normal import normalised

Reason = Literal[
    "another answer was given",
    "judged wrong",
    "corrected without a citation",
    "not judged right",
    "below the confidence",
    "duplicate",
    "abstentions above their share",
]


@dataclass(frozen=True, slots=True)
class Rules:
    """What is taken.

    `min_confidence` (0 to 1) is asked of answers that nobody judged; with `verified_only` none of
    these is taken. Abstentions are at most `max_abstentions` (0 to .9) of all; they have no
    confidence of their own.
    """

    min_confidence: float = 0.7
    verified_only: bool = False
    max_abstentions: float = 0.2


@dataclass(frozen=True, slots=True)
class Choice:
    """The lessons to train on, oldest first, and how many were left out for each reason."""

    lessons: tuple[JudgedLesson, ...]
    left_out: dict[Reason, int]


def choose(lessons: Sequence[JudgedLesson], rules: Rules) -> Choice:
    """The lessons that are worth training on; the same for the same lessons in any order."""
    left_out: dict[Reason, int] = {}
    taken: list[JudgedLesson] = []
    seen: set[tuple[str, ...]] = set()
    for lesson in sorted(lessons, key=_rank, reverse=True):
        reason, keys = _refused(lesson, rules), set(_keys(lesson))
        if reason is None and keys & seen:
            reason = "duplicate"
        if reason is None:
            seen |= keys
            taken.append(lesson)
        else:
            left_out[reason] = left_out.get(reason, 0) + 1
    answers = [one for one in taken if not one.is_abstained]
    abstentions = [one for one in taken if one.is_abstained]
    most = _most_abstentions(len(answers), rules.max_abstentions)
    if len(abstentions) > most:
        left_out["abstentions above their share"] = len(abstentions) - most
    chosen = sorted([*answers, *abstentions[:most]], key=lambda one: (one.at, one.answer_id))
    return Choice(tuple(chosen), left_out)


def _rank(lesson: JudgedLesson) -> tuple[bool, str, float, str]:
    is_verified = lesson.is_right is True or bool(lesson.correction)
    return is_verified, lesson.at, lesson.confidence, lesson.answer_id


def _refused(lesson: JudgedLesson, rules: Rules) -> Reason | None:
    if not lesson.was_given:
        return "another answer was given"
    if lesson.correction is not None:
        return None if lesson.correction else "corrected without a citation"
    if lesson.is_right is False:
        return "judged wrong"
    if lesson.is_right:
        return None
    if rules.verified_only:
        return "not judged right"
    is_sure = lesson.is_abstained or lesson.confidence >= rules.min_confidence
    return None if is_sure else "below the confidence"


def _keys(lesson: JudgedLesson) -> Iterator[tuple[str, ...]]:
    """Two lessons that share one of these teach the same."""
    question = normalised(lesson.question)
    yield "question and context", question, lesson.evidence
    yield "question and answer", question, lesson.taught
    if not lesson.is_abstained:
        yield "context and answer", lesson.evidence, lesson.taught


def _most_abstentions(answers: int, share: float) -> int:
    """So many that they are at most `share` of what they and the answers are together."""
    return int(answers * share / (1 - share) + 1e-9)
