"""Answers that a person pins, and how they stand."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from api.keys.reach import Reach
from api.models.answers import CitationOut
from api.models.inputs import (
    MAX_ANSWER_CHARS,
    AnswerId,
    AnswerText,
    Collection,
    Filters,
    Input,
    check_characters,
    check_id,
)
from api.models.output import Output
from generation.reuse.pins import Pin

MAX_CITATIONS = 100


class PinCitationIn(BaseModel):
    """A citation, as answers have them: what else stands in it is not read."""

    model_config = ConfigDict(frozen=True)

    marker: int = Field(strict=True, ge=1, le=9_999, description="The n of [n] in the answer.")
    document_id: Annotated[str, AfterValidator(check_id)]
    quote: Annotated[str, AfterValidator(check_characters)] = Field(
        min_length=1,
        max_length=MAX_ANSWER_CHARS,
        description="What stands in the document, to the letter.",
    )
    start: int = Field(
        default=0, strict=True, ge=0, description="Where, if it stands there more than once."
    )


class PinIn(Input):
    """What a person approves: an answer that is kept, or one that the person has written."""

    answer_id: AnswerId | None = Field(
        default=None,
        description="An answer of this service, or a pinned one to approve again. Unset: the "
        "question, the answer and its citations are given.",
    )
    question: AnswerText | None = Field(
        default=None, description="What it answers; unset: the question of that answer."
    )
    answer: AnswerText | None = Field(
        default=None, description="The corrected text, with the markers of the citations."
    )
    citations: tuple[PinCitationIn, ...] = Field(default=(), max_length=MAX_CITATIONS)
    collection: Collection | None = None
    filters: Filters = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_what_is_given(self) -> Self:
        if self.answer_id is not None:
            if self.citations or self.collection is not None or self.filters:
                raise ValueError(
                    "citations, collection and filters are those of the answer_id: leave them out"
                )
        elif self.question is None or self.answer is None or not self.citations:
            raise ValueError(
                "give an answer_id, or a question with its answer and the citations of that"
            )
        markers = [one.marker for one in self.citations]
        if len(set(markers)) < len(markers):
            raise ValueError("two citations have the same marker: give each its own")
        return self


class PinOut(Output):
    """A pinned answer; it is given until it expires, and `expired_because` tells why it did.

    Where a document that it cites is gone, nothing but the question is left. `said_wrong` counts
    the verdicts against it.
    """

    id: str
    tenant: str
    collection: str
    question: str
    filters: dict[str, list[Any]]
    answer: str
    citations: list[CitationOut]
    pinned_at: str
    expired_at: str | None
    expired_because: str | None
    said_wrong: int

    @classmethod
    def of(cls, pin: Pin, said_wrong: int = 0) -> PinOut:
        return cls(
            id=pin.pin_id,
            tenant=pin.tenant,
            collection=pin.collection,
            question=pin.question,
            filters=json.loads(pin.filters),
            answer=pin.answer.text,
            citations=[CitationOut.of(citation) for citation in pin.answer.citations],
            pinned_at=pin.pinned_at,
            expired_at=pin.expired_at,
            expired_because=pin.expired_because,
            said_wrong=said_wrong,
        )

    def shown_to(self, reach: Reach) -> PinOut:
        """With the collection as those who have this reach call it."""
        return self.model_copy(update={"collection": reach.shown(self.collection)})


class PinsOut(Output):
    """Pinned answers, oldest first."""

    pins: list[PinOut]
