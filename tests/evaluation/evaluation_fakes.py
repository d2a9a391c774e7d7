"""Questions and records for the tests of the evaluation, and a system that knows its answers."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from evaluation.questions import EvaluationQuestion, Place
from evaluation.records import Record
from rag.errors import StoreUnavailableError


def make_record(question_id: str = "q", **fields: Any) -> Record:
    """A record of a question that was answered from document `d`, as far as `fields` do not say."""
    values: dict[str, Any] = {
        "question": f"{question_id}?",
        "hits": (Place("d", 0, 50),),
        "scores": (1.0,),
        "pieces": (Place("d", 0, 50),),
        "context": "Refunds take 14 days.",
        "context_tokens": 5,
        "status": "answered",
        "tier": "extractive",
        "answer": "Refunds take 14 days. [1]",
        "confidence": 0.8,
        "citations": (Place("d", 0, 21),),
        "usd": Decimal(0),
        "baseline_usd": Decimal("0.004"),
        "ms": {"retrieve": 2.0, "generate": 1.0},
    }
    return Record(question_id=question_id, **(values | fields))


class ScriptedSystem:
    """Gives a record for every question, remembers what it was asked, and fails once it is told."""

    def __init__(self, fails_at: int | None = None, **fields: Any) -> None:
        self.asked: list[str] = []
        self._fails_at = fails_at
        self._fields = fields

    async def ask(self, question: EvaluationQuestion) -> Record:
        if len(self.asked) == self._fails_at:
            raise StoreUnavailableError("the server of the store is out of reach: start it")
        self.asked.append(question.question_id)
        return make_record(question.question_id, **({"question": question.text} | self._fields))


def questions_of(names: Sequence[str], **fields: Any) -> list[EvaluationQuestion]:
    """A question for each name."""
    return [EvaluationQuestion(name, f"{name}?", **fields) for name in names]
