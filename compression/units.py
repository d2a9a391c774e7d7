"""The units that a context is made of: sentences with what they need, or clauses.

A heading goes with the sentence below it, the head of a table with its first row, and a sentence
that ends in a colon with the list or the code that it announces: alone, they say little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from compression.usefulness import Part
from rag.types import Hit, Span

_ANNOUNCED = re.compile(r"[-*+] |\d{1,3}[.)] |```|~~~|\|")
_MAX_ANNOUNCED_CHARS = 400


@dataclass(frozen=True, slots=True)
class Unit:
    """Characters of a hit that are taken or left together; `sentences` are those inside."""

    hit: Hit
    rank: int
    span: Span
    sentences: tuple[Span, ...]
    usefulness: float

    @property
    def text(self) -> str:
        """The characters themselves."""
        return self.hit.chunk.slice(self.span)


def clause_units(rated: Sequence[tuple[Part, float]]) -> Iterator[Unit]:
    """Each clause by itself."""
    for part, usefulness in rated:
        yield Unit(part.hit, part.rank, part.span, (part.span,), usefulness)


def sentence_units(rated: Sequence[tuple[Part, float]]) -> Iterator[Unit]:
    """Whole sentences, as useful as the best of their clauses."""
    for _, of_hit in groupby(rated, key=lambda pair: pair[0].rank):
        group = list(of_hit)
        best: dict[int, float] = {}
        for part, usefulness in group:
            best[part.position] = max(usefulness, best.get(part.position, 0.0))
        yield from _units_of(group[0][0].hit, group[0][0].rank, best)


def _units_of(hit: Hit, rank: int, usefulness: dict[int, float]) -> Iterator[Unit]:
    sentences = hit.chunk.sentences
    first = 0
    while first < len(sentences):
        last = _last_of_unit(hit, first)
        before = sentences[first - 1].end if first else hit.chunk.start
        lead = hit.chunk.slice(Span(before, sentences[first].start))  # a table's head, or white
        start = before + len(lead) - len(lead.lstrip())
        best = max(usefulness[position] for position in range(first, last + 1))
        span = Span(start, sentences[last].end)
        yield Unit(hit, rank, span, sentences[first : last + 1], best)
        first = last + 1


def _last_of_unit(hit: Hit, first: int) -> int:
    """The position of the last sentence that goes with the one at `first`."""
    sentences = hit.chunk.sentences
    last = first
    while last + 1 < len(sentences) and hit.chunk.slice(sentences[last]).startswith("#"):
        last += 1
    if not hit.chunk.slice(sentences[last]).endswith(":"):
        return last
    announced_from = sentences[last].end
    while last + 1 < len(sentences):
        following = sentences[last + 1]
        too_long = following.end - announced_from > _MAX_ANNOUNCED_CHARS
        if too_long or not _ANNOUNCED.match(hit.chunk.slice(following)):
            break
        last += 1
    return last
