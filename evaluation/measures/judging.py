"""Whether an answer is right, and where a question went wrong."""

from __future__ import annotations

from dataclasses import dataclass

from evaluation.measures.places import covered, touches
from evaluation.measures.wording import holds
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong with a question; the lower the `rank`, the worse."""

    rank: int
    why: str


def is_right(question: EvaluationQuestion, record: Record) -> bool | None:
    """Whether the answer that was given is right; None where none was given or gold is missing.

    It is right when it holds a reference answer or cites a gold span. Whatever is answered to a
    question that the documents do not answer is wrong. Gold documents alone tell nothing.
    """
    if not record.is_answered:
        return None
    if question.is_answerable is False:
        return False
    if not question.answers and not question.spans:
        return None
    if holds(record.answer, question.answers):
        return True
    return any(touches(citation, question.spans) for citation in record.citations)


def is_retained(question: EvaluationQuestion, record: Record) -> bool | None:
    """Whether the context still holds a reference answer; None without one."""
    return holds(record.context, question.answers) if question.answers else None


def fault_of(question: EvaluationQuestion, record: Record) -> Fault | None:
    """What went wrong, as far as the gold tells; None where nothing is known to be wrong."""
    if record.is_answered and question.is_answerable is False:
        return Fault(0, "answered, though the documents do not answer it")
    if is_right(question, record) is False:
        return Fault(1, f"answered wrong: {_where(question, record)}")
    if not record.is_answered and question.is_answerable:
        return Fault(2, f"refused, though answerable: {_where(question, record)}")
    if question.documents and _rank(question, record) != 1:
        return Fault(3, _where(question, record))
    return None


def _where(question: EvaluationQuestion, record: Record) -> str:
    """The stage at which the gold was lost, or the last one at which it is known to be there."""
    rank = _rank(question, record)
    if question.documents and rank is None:
        return f"no gold document among {len(record.hits)} hits"
    told = [] if rank is None else [f"gold document at rank {rank}"]
    if question.spans:
        told.append(f"{covered(question.spans, record.pieces):.0%} of the gold span in the context")
    elif (retained := is_retained(question, record)) is not None:
        told.append(f"answer {'in' if retained else 'not in'} the context")
    return ", ".join(told) or "the gold does not tell where"


def _rank(question: EvaluationQuestion, record: Record) -> int | None:
    ranked = enumerate(record.ranked_documents, 1)
    return next((rank for rank, one in ranked if one in question.documents), None)
