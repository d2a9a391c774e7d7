"""Proof that the words of people are gone, as JSON."""

from __future__ import annotations

from dataclasses import asdict

from api.forgetting.people import Forgotten
from api.models.output import Output


class TracesOut(Output):
    """How much of what people asked stands where their words can stand."""

    turns: int
    kept_answers: int
    lessons: int
    corrections: int
    dashboard_questions: int


class ForgottenOut(Output):
    """What was there before, and what is there after.

    `answers_unlinked` are answers in the ledger, without words, that can no longer be told to be of
    this conversation or visitor.
    """

    before: TracesOut
    after: TracesOut
    answers_unlinked: int

    @classmethod
    def of(cls, proof: Forgotten) -> ForgottenOut:
        return cls.model_validate(asdict(proof))
