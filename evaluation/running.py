"""Asks every question of a system, one after the other, and goes on where it was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from evaluation.asking import System
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record
from rag.errors import InputError

OnProgress = Callable[[int, int], None]
"""Told how many questions are done, of how many."""


class Records(Protocol):
    """Where records are kept as they come."""

    def done(self) -> dict[str, Record]:
        """By question, the records that are there already."""

    def add(self, record: Record) -> None:
        """Keep one more; it outlives the process when this returns."""


class MemoryRecords:
    """Records of an evaluation that nobody wants to resume."""

    def __init__(self) -> None:
        self._done: dict[str, Record] = {}

    def done(self) -> dict[str, Record]:
        """By question, the records that are there already."""
        return dict(self._done)

    def add(self, record: Record) -> None:
        """Keep one more."""
        self._done[record.question_id] = record


async def run(
    system: System,
    questions: Sequence[EvaluationQuestion],
    records: Records | None = None,
    on_progress: OnProgress = lambda done, total: None,
) -> list[Record]:
    """A record for each question, in order; what `records` holds by id and text is not asked again.

    One question at a time, so that the milliseconds are those of a system that does nothing else.
    Raises RagError; InputError, which names the row, for a question that the system refuses.
    """
    records = MemoryRecords() if records is None else records
    done = records.done()
    on_progress(0, len(questions))
    for count, question in enumerate(questions, start=1):
        kept = done.get(question.question_id)
        if kept is None or kept.question != question.text:
            done[question.question_id] = await _ask(system, question)
            records.add(done[question.question_id])
        on_progress(count, len(questions))
    return [done[question.question_id] for question in questions]


async def _ask(system: System, question: EvaluationQuestion) -> Record:
    try:
        return await system.ask(question)
    except InputError as error:
        place = f"row {question.row}" if question.row else f"question {question.question_id!r}"
        raise InputError(f"{place}: {error}") from error
