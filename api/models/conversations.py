"""Proof that a conversation is gone, as JSON."""

from __future__ import annotations

from dataclasses import asdict

from api.forgetting import ForgottenConversation
from api.models.output import Output


class TracesOut(Output):
    """How much of a conversation stands where its words can stand."""

    turns: int
    kept_answers: int
    lessons: int


class ForgottenConversationOut(Output):
    """What was there before, and what is there after.

    `answers_unlinked` are answers in the ledger, without words, that can no longer be told to be of
    this conversation.
    """

    before: TracesOut
    after: TracesOut
    answers_unlinked: int

    @classmethod
    def of(cls, proof: ForgottenConversation) -> ForgottenConversationOut:
        return cls.model_validate(asdict(proof))
