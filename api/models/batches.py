"""Batches of questions: what a caller sends, and what becomes of it.

A JSONL file is read into the same model, row by row.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from api.models.answers import AnswerOut, dollars
from api.models.inputs import (
    MAX_SHOWN_CHARS,
    Collection,
    Dollars,
    Input,
    Words,
    check_characters,
)
from api.models.output import Output
from api.models.rows import read_rows
from generation.batching.batches import BatchState
from rag.types import Question

MAX_QUESTIONS = 1_000
MAX_ID_CHARS = 200

State = Literal["submitted", "ended"]
Text = Annotated[str, AfterValidator(check_characters)]


class BatchQuestionIn(Input):
    """One question of a batch."""

    id: Annotated[Text, Field(min_length=1, max_length=MAX_ID_CHARS)] | None = Field(
        default=None, description="Goes with its answer; unset: its place in the batch, from 1."
    )
    question: Words
    collection: Collection | None = None


class BatchIn(Input):
    """Questions that can wait. The same ones are the same batch: they are not asked twice."""

    questions: list[BatchQuestionIn] = Field(
        min_length=1,
        max_length=MAX_QUESTIONS,
        examples=[[{"question": "When do refunds come?"}]],
    )
    collection: Collection | None = None
    max_cost_usd: Dollars | None = Field(
        default=None, description="Dollars at most for the whole batch."
    )

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        ids = Counter(name for name, _ in self._named())
        repeated = next((name for name, count in ids.items() if count > 1), None)
        if repeated is not None:
            shown = ascii(repeated[:MAX_SHOWN_CHARS])
            raise ValueError(f"two questions have the id {shown}: give each its own")
        return self

    def to_questions(
        self, default_collection: str, tenant: str, key: str
    ) -> list[tuple[str, Question]]:
        """The questions as they are asked on behalf of somebody, each with its name."""
        default = self.collection or default_collection
        return [
            (name, Question(one.question, one.collection or default, tenant=tenant, key=key))
            for name, one in self._named()
        ]

    def _named(self) -> list[tuple[str, BatchQuestionIn]]:
        return [(one.id or str(at), one) for at, one in enumerate(self.questions, start=1)]


class BatchOut(Output):
    """A batch that was taken; `quoted` were answered without a paid call, `over_budget` of them
    because a wall let none pass."""

    id: str
    state: State
    quoted: int
    over_budget: int
    waiting: int
    at_most_usd: str | None

    @classmethod
    def of(cls, batch: BatchState) -> BatchOut:
        return cls(
            id=batch.batch_id,
            state=_state(batch),
            quoted=batch.total - batch.waiting,
            over_budget=batch.over_budget,
            waiting=batch.waiting,
            at_most_usd=dollars(batch.at_most_usd),
        )


class BatchAnswerOut(AnswerOut):
    """The answer to a question of a batch."""

    question_id: str


class BatchStateOut(Output):
    """How far a batch is; `failed` are answered by a quote or an abstention that says why."""

    id: str
    state: State
    total: int
    answered: int
    failed: int
    answers: list[BatchAnswerOut] | None

    @classmethod
    def of(cls, batch: BatchState) -> BatchStateOut:
        answers = None
        if batch.answers is not None:
            answers = [
                BatchAnswerOut(**AnswerOut.of(answer).model_dump(), question_id=name)
                for name, answer in batch.answers
            ]
        return cls(
            id=batch.batch_id,
            state=_state(batch),
            total=batch.total,
            answered=batch.answered,
            failed=batch.failed,
            answers=answers,
        )


def read_questions(path: Path) -> list[BatchQuestionIn]:
    """The questions in a JSONL file. Raises InputError."""
    return [question for _, question in read_rows(path, BatchQuestionIn)]


def _state(batch: BatchState) -> State:
    return "submitted" if batch.answers is None else "ended"
