"""Answers and whether they were right, as people write them down."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from api.models.inputs import Input

Finite = Annotated[float, Field(allow_inf_nan=False)]


class OutcomeIn(Input):
    """One answer and its verdict: an answer of this service by its id, or any by its question.

    `signals` and `confidence` are what the service made of it; they need not be given with an id,
    under which the service looks them up. `usd` is what the answer cost.
    """

    right: bool
    answer_id: str | None = Field(default=None, min_length=1, max_length=200)
    question: str | None = Field(default=None, min_length=1, max_length=1_000_000)
    tier: Literal["extractive", "local", "premium"] | None = None
    collection: str | None = Field(default=None, min_length=1, max_length=100)
    confidence: float | None = Field(default=None, ge=0, le=1)
    signals: dict[str, Finite] = Field(default={}, max_length=100)
    usd: Decimal | None = Field(default=None, ge=0, le=1_000, allow_inf_nan=False)

    @model_validator(mode="after")
    def _check_known(self) -> OutcomeIn:
        if self.answer_id is None and (self.question is None or self.tier is None):
            raise ValueError(
                "it has neither an answer_id nor both a question and a tier: give the one or the "
                "other two"
            )
        return self
