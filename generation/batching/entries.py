"""An entry of a batch: first it waits for a model, or does not have to, then its answer is given.

Both forms are kept as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from rag.types import Answer, Context, CostLine, Generation, Hit, Piece, Question

Missed = Literal["over budget", "failed"]


@dataclass(frozen=True, slots=True)
class Place:
    """Characters `[start, end)` of a document, in the hit at this place."""

    hit: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question whose quote is not good enough, with all that its answer will be made of.

    `hits` are those that were found, then those of pieces that are not among them. `lines` are what
    it has cost so far. `because` and `gain` are those of `choosing.Decided`. `refused` tells why a
    wall keeps it from being asked, empty where none does.
    """

    question: Question
    hits: tuple[Hit, ...]
    places: tuple[Place, ...]
    text: str
    tokens: int
    quote: Generation
    lines: tuple[CostLine, ...]
    because: str = ""
    gain: float = 0.0
    refused: str = ""

    @property
    def context(self) -> Context:
        """The context that it had when it was asked."""
        pieces = (Piece(self.hits[one.hit], one.start, one.end) for one in self.places)
        return Context(tuple(pieces), self.text, self.tokens)

    @property
    def answer_id(self) -> str:
        """That of its question; its call goes by the same name."""
        return self.question.answer_id


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that is there. `rests_on` are the documents it cites, each with its revision.

    `was_missed` by the model that was to write it where no call fitted before a wall, or its call
    failed.
    """

    question: Question
    answer: Answer
    rests_on: Mapping[str, str]
    was_missed: Missed | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A question of a batch, under the name that its asker gave it, in one of both forms."""

    question_id: str
    form: Waiting | Given


_WAITING = TypeAdapter(Waiting)
_GIVEN = TypeAdapter(Given)


def waiting(
    question: Question,
    hits: Sequence[Hit],
    context: Context,
    quote: Generation,
    lines: Sequence[CostLine],
    *,
    because: str = "",
    gain: float = 0.0,
) -> Waiting:
    """An entry whose context is kept until a model has answered."""
    kept = list(hits)
    numbers = {hit.chunk.chunk_id: number for number, hit in enumerate(kept)}
    for piece in context.pieces:
        if piece.hit.chunk.chunk_id not in numbers:
            numbers[piece.hit.chunk.chunk_id] = len(kept)
            kept.append(piece.hit)
    places = [Place(numbers[p.hit.chunk.chunk_id], p.start, p.end) for p in context.pieces]
    return Waiting(
        question,
        tuple(kept),
        tuple(places),
        context.text,
        context.tokens,
        quote,
        tuple(lines),
        because,
        gain,
    )


def given(
    question: Question,
    answer: Answer,
    hits: Sequence[Hit],
    was_missed: Missed | None = None,
) -> Given:
    """An entry whose answer was made from `hits`."""
    revisions = {hit.chunk.document_id: hit.chunk.revision for hit in hits}
    cited = {citation.document_id for citation in answer.citations}
    return Given(question, answer, {name: revisions[name] for name in sorted(cited)}, was_missed)


def to_json(form: Waiting | Given) -> str:
    """As the tables keep it, without signs that no text there may have."""
    adapter: TypeAdapter[Waiting] | TypeAdapter[Given]
    adapter = _WAITING if isinstance(form, Waiting) else _GIVEN
    return adapter.dump_json(form).decode()  # type: ignore[arg-type]


def waiting_from(text: str) -> Waiting:
    """What `to_json` made of it."""
    return _WAITING.validate_json(text)


def given_from(text: str) -> Given:
    """What `to_json` made of it."""
    return _GIVEN.validate_json(text)
