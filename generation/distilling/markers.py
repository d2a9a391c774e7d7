"""The markers of an answer as a model should have written them.

A checked answer numbers its citations anew. A model learns to write the numbers of the excerpts
that it sees, so each citation is traced back to the excerpt that its quote stands in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from generation.writing.claims import claims_of
from generation.writing.excerpts import Excerpt
from rag.types import Citation, Generation, Span


def numbers_of(generation: Generation, excerpts: Sequence[Excerpt]) -> dict[int, tuple[int, ...]]:
    """By marker of an answer, the numbers of the excerpts that its quote stands in."""
    return {one.marker: _numbers_of(one, excerpts) for one in generation.citations}


def as_written(answer: str, numbers: Mapping[int, Sequence[int]]) -> str:
    """An answer as a model should have written it: its markers are numbers of excerpts."""
    text = ""
    for claim in claims_of(answer):
        own = [number for marker in claim.numbers for number in numbers.get(marker, ())]
        space = " " if own and claim.markers[:1].isspace() else ""
        text += claim.text + space + "".join(f"[{number}]" for number in dict.fromkeys(own))
    return text


def _numbers_of(citation: Citation, excerpts: Sequence[Excerpt]) -> tuple[int, ...]:
    """The excerpts that hold a part of the quote, in order."""
    quote = Span(citation.start, citation.end)
    return tuple(
        excerpt.number
        for excerpt in excerpts
        if any(
            piece.hit.chunk.document_id == citation.document_id and piece.touches(quote)
            for piece in excerpt.pieces
        )
    )
