"""What can be observed of one question: a row of numbers, or None where gold is missing."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from evaluation.measures.judging import is_retained, is_right
from evaluation.measures.places import covered, overlapping, within
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record

Observation = tuple[float, ...]
Observe = Callable[[EvaluationQuestion, Record], Observation | None]


def of_ranking(score: Callable[[list[str], tuple[str, ...]], float]) -> Observe:
    """A score of the ranked documents against the gold ones."""

    def observed(question: EvaluationQuestion, record: Record) -> Observation | None:
        gold = question.documents
        return (score(record.ranked_documents, gold),) if gold else None

    return observed


def of_answer(score: Callable[[str, tuple[str, ...]], float]) -> Observe:
    """A score of the answer against the reference answers; a refusal counts as an empty text."""

    def observed(question: EvaluationQuestion, record: Record) -> Observation | None:
        text = record.answer if record.is_answered else ""
        return (score(text, question.answers),) if question.answers else None

    return observed


def span_recall(question: EvaluationQuestion, record: Record) -> Observation | None:
    """The share of the gold spans in the context."""
    return (covered(question.spans, record.pieces),) if question.spans else None


def retained(question: EvaluationQuestion, record: Record) -> Observation | None:
    """Whether the context still holds a reference answer."""
    return _flag(is_retained(question, record))


def citation_precision(question: EvaluationQuestion, record: Record) -> Observation | None:
    """The share of the citations that gold supports: its spans, or else its documents."""
    if not record.citations or not (question.spans or question.documents):
        return None
    if question.spans:
        return (overlapping(record.citations, question.spans),)
    return (within(record.citations, question.documents),)


def right(question: EvaluationQuestion, record: Record) -> Observation | None:
    """Whether the answer given is right."""
    return _flag(is_right(question, record))


def right_by_confidence(question: EvaluationQuestion, record: Record) -> Observation | None:
    """The confidence, and whether the answer given is right."""
    right = is_right(question, record)
    return None if right is None else (record.confidence, float(right))


def answerable_by_confidence(question: EvaluationQuestion, record: Record) -> Observation | None:
    """The confidence, and whether the documents answer."""
    answerable = question.is_answerable
    return None if answerable is None else (record.confidence, float(answerable))


def refused(question: EvaluationQuestion, record: Record) -> Observation | None:
    """Whether an unanswerable question is refused."""
    return (float(not record.is_answered),) if question.is_answerable is False else None


def answered(question: EvaluationQuestion, record: Record) -> Observation | None:
    """Whether an answerable question is answered."""
    return (float(record.is_answered),) if question.is_answerable else None


def context_tokens(question: EvaluationQuestion, record: Record) -> Observation | None:
    """How many tokens the context has."""
    return (float(record.context_tokens),)


def usd(question: EvaluationQuestion, record: Record) -> Observation | None:
    """What the answer cost."""
    return _dollars(record.usd)


def baseline_usd(question: EvaluationQuestion, record: Record) -> Observation | None:
    """What the naive way would have cost."""
    return _dollars(record.baseline_usd)


def total_ms(question: EvaluationQuestion, record: Record) -> Observation | None:
    """The milliseconds of all stages."""
    return (sum(record.ms.values()),) if record.ms else None


def _flag(known: bool | None) -> Observation | None:
    return None if known is None else (float(known),)


def _dollars(amount: Decimal | None) -> Observation | None:
    return None if amount is None else (float(amount),)
