"""Quotes, whole sentences of hits, as citations with exact spans; and what is said without any."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rag.types import Citation, Hit, Span

NOT_FOUND = "The documents do not answer this question."

_LIST_MARKER = re.compile(r"(?:[-*+]|\d{1,3}[.)])[ \t]+(?=\S)")


@dataclass(frozen=True, slots=True)
class Quote:
    """Sentences `[first, last]` of one hit, quoted together."""

    hit: Hit
    first: int
    last: int

    @property
    def span(self) -> Span:
        """Where it stands; a single item of a list is quoted without its bullet or number."""
        sentences = self.hit.chunk.sentences
        start, end = sentences[self.first].start, sentences[self.last].end
        if self.first == self.last:
            marker = _LIST_MARKER.match(self.hit.chunk.slice(Span(start, end)))
            start += marker.end() if marker else 0
        return Span(start, end)


def citations_of(quotes: Sequence[Quote]) -> tuple[Citation, ...]:
    """The quotes as citations, numbered from 1."""
    return tuple(_citation(number, quote) for number, quote in enumerate(quotes, start=1))


def _citation(marker: int, quote: Quote) -> Citation:
    chunk, span = quote.hit.chunk, quote.span
    return Citation(
        marker=marker,
        document_id=chunk.document_id,
        title=chunk.title,
        source=chunk.source,
        page=chunk.page_at(span.start),
        start=span.start,
        end=span.end,
        quote=chunk.slice(span),
    )
