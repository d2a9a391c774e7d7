"""The context as numbered excerpts: what a model sees, and what its markers point at.

The number of an excerpt is its place in the context, from 1. Nothing that a document holds can
change it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.types import Context, Piece, Span

_GAP = " … "


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Pieces that stand together in one document, in reading order, at least one."""

    number: int
    pieces: tuple[Piece, ...]

    @property
    def heading(self) -> str:
        """The title and the headings above its first piece, in one line; may be empty."""
        return " ".join(self.pieces[0].hit.chunk.prefix.split())

    @property
    def text(self) -> str:
        """The pieces, with a mark where text between them was left out."""
        text = self.pieces[0].text
        for before, after in pairwise(self.pieces):
            text += _between(before, after) + after.text
        return text


def excerpts_of(context: Context) -> list[Excerpt]:
    """The pieces of the context in their order; neighbours in a document are one excerpt."""
    groups: list[list[Piece]] = []
    for piece in context.pieces:
        if groups and _continues(groups[-1][-1], piece):
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return [Excerpt(number, tuple(group)) for number, group in enumerate(groups, start=1)]


def given_text(excerpts: Sequence[Excerpt]) -> str:
    """All that the model was given of the documents."""
    return "\n".join(f"{excerpt.heading}\n{excerpt.text}" for excerpt in excerpts)


def _continues(before: Piece, after: Piece) -> bool:
    left, right = before.hit.chunk, after.hit.chunk
    if left.chunk_id == right.chunk_id:
        return before.end <= after.start
    is_same = (left.collection, left.document_id) == (right.collection, right.document_id)
    return is_same and left.end == right.start


def _between(before: Piece, after: Piece) -> str:
    """The white space between two pieces; a gap mark where there is more than that."""
    left, right = before.hit.chunk, after.hit.chunk
    if left.chunk_id == right.chunk_id:
        between = left.slice(Span(before.end, after.start))
    else:
        between = left.slice(Span(before.end, left.end))
        between += right.slice(Span(right.start, after.start))
    return _GAP if between.strip() else between
