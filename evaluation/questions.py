"""What an evaluation asks, and what is known of the right answer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `[start, end)` of a document's text."""

    document_id: str
    start: int
    end: int

    @property
    def length(self) -> int:
        """How many characters it has."""
        return self.end - self.start

    def shared(self, other: Place) -> int:
        """How many characters both hold; 0 in different documents."""
        if self.document_id != other.document_id:
            return 0
        return max(0, min(self.end, other.end) - max(self.start, other.start))


@dataclass(frozen=True, slots=True)
class GoldQuote:
    """Words of a document that answer, whose place is yet to be found."""

    document: str
    text: str


@dataclass(frozen=True, slots=True)
class EvaluationQuestion:
    """One question with its gold: what a person says is right. What is empty is unknown.

    `answers` are reference answers, each right by itself. `documents` hold the answer, and `spans`
    are where in them; as a file names them they can be ids or endings of paths, and with `quotes`
    beside them, until `evaluation.gold.resolve` has found them. `row` is the line of the file,
    from 1, and 0 for a question that comes from no file.
    """

    question_id: str
    text: str
    answers: tuple[str, ...] = ()
    documents: tuple[str, ...] = ()
    spans: tuple[Place, ...] = ()
    quotes: tuple[GoldQuote, ...] = ()
    answerable: bool | None = None
    row: int = 0

    @property
    def is_answerable(self) -> bool | None:
        """Whether the documents answer it; None where the set does not tell."""
        has_gold = bool(self.answers or self.documents or self.spans or self.quotes)
        return True if self.answerable is None and has_gold else self.answerable
