"""Answers by quoting: the sentences that answer, word for word, each with its exact span.

Costs nothing and cannot invent. Sentences are ranked by their cosine with the question, the score
of their hit, and how much of the question's wording they and their headings hold; the weights were
chosen on two public question sets (see docs/quality.md) and are not fitted to one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from generation.deciding.confidence import LogisticConfidence, Signals
from generation.deciding.terms import coverage, question_terms, term_weights, text_terms
from rag.types import Citation, Context, Generation, Hit, Question, Span

MODEL = "quote"
NOT_FOUND = "The documents do not answer this question."

_HIT_WEIGHT = 0.5
_COVERAGE_WEIGHT = 0.2
_HEADING_PREFIX = "#"
_MAX_QUOTE_CHARS = 700
_MIN_WORDS = 3


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A sentence that may be quoted. `position` is its place among its chunk's sentences."""

    hit: Hit
    rank: int
    position: int
    cosine: float
    terms: frozenset[str]
    score: float = 0.0

    @property
    def span(self) -> Span:
        return self.hit.chunk.sentences[self.position]

    @property
    def text(self) -> str:
        return self.hit.chunk.slice(self.span)


@dataclass(frozen=True, slots=True)
class Quote:
    """Sentences `[first, last]` of one hit, quoted together."""

    hit: Hit
    first: int
    last: int

    @property
    def span(self) -> Span:
        sentences = self.hit.chunk.sentences
        return Span(sentences[self.first].start, sentences[self.last].end)


class ExtractiveGenerator:
    """A Generator of at most `max_quotes` quotes.

    Abstains when its confidence, a fitted probability, is below `abstain_below` (0 to 1).
    """

    def __init__(
        self, confidence: LogisticConfidence, abstain_below: float, max_quotes: int = 3
    ) -> None:
        self._confidence = confidence
        self._abstain_below = abstain_below
        self._max_quotes = max_quotes

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context
    ) -> Generation:
        """Quotes from the context, or an abstention."""
        quotes, signals = self.quote(question, hits, context)
        confidence = self._confidence.estimate(signals) if signals else 0.0
        if confidence < self._abstain_below or not quotes:
            return Generation(NOT_FOUND, (), confidence, True, "extractive", MODEL)
        citations = citations_of(quotes)
        text = "\n\n".join(f"{citation.quote} [{citation.marker}]" for citation in citations)
        return Generation(text, citations, confidence, False, "extractive", MODEL)

    def quote(
        self, question: Question, hits: Sequence[Hit], context: Context
    ) -> tuple[list[Quote], Signals | None]:
        """The quotes, best first, and the signals for the confidence in them."""
        terms = question_terms(question.text)
        candidates = list(_candidates(context))
        if not candidates:
            return [], None
        weights = term_weights(terms, [candidate.terms for candidate in candidates])
        ranked = sorted(
            (_scored(candidate, weights) for candidate in candidates),
            key=lambda c: (-c.score, c.rank, c.position),
        )
        best = ranked[: self._max_quotes]
        return _quotes(best), _signals(hits, best, weights)


def citations_of(quotes: Sequence[Quote]) -> tuple[Citation, ...]:
    """The quotes as citations, numbered from 1."""
    return tuple(_citation(number, quote) for number, quote in enumerate(quotes, start=1))


def _candidates(context: Context) -> Iterator[_Candidate]:
    """Every sentence of the context that says something; headings speak for what follows them."""
    ranks: dict[str, int] = {}
    for piece in context.pieces:
        hit = piece.hit
        chunk = hit.chunk
        rank = ranks.setdefault(chunk.chunk_id, len(ranks))
        above = text_terms(chunk.prefix)
        heading_cosine = -1.0
        for position, (span, cosine) in enumerate(
            zip(chunk.sentences, hit.sentence_scores, strict=True)
        ):
            text = chunk.slice(span)
            if text.startswith(_HEADING_PREFIX):
                above = above | text_terms(text)
                heading_cosine = cosine
                continue
            if piece.start <= span.start and span.end <= piece.end and _says_something(text):
                best = max(cosine, heading_cosine)
                yield _Candidate(hit, rank, position, best, text_terms(text) | above)
            heading_cosine = -1.0


def _says_something(text: str) -> bool:
    return len(text.split()) >= _MIN_WORDS and not text.endswith("?")


def _scored(candidate: _Candidate, weights: dict[str, float]) -> _Candidate:
    score = (
        candidate.cosine
        + _HIT_WEIGHT * candidate.hit.score
        + _COVERAGE_WEIGHT * coverage(weights, candidate.terms)
    )
    return _Candidate(
        candidate.hit,
        candidate.rank,
        candidate.position,
        candidate.cosine,
        candidate.terms,
        score,
    )


def _quotes(best: Sequence[_Candidate]) -> list[Quote]:
    """The candidates as quotes in their order; neighbours in a chunk become one."""
    quotes: list[Quote] = []
    for candidate in best:
        grown = _with_what_it_announces(candidate)
        for index, quote in enumerate(quotes):
            if quote.hit is grown.hit and _touch(quote, grown):
                first, last = min(quote.first, grown.first), max(quote.last, grown.last)
                quotes[index] = Quote(quote.hit, first, last)
                break
        else:
            quotes.append(grown)
    return quotes


def _with_what_it_announces(candidate: _Candidate) -> Quote:
    """The sentence, and, where it ends in a colon, what follows in its chunk: a list, some code."""
    chunk = candidate.hit.chunk
    last = candidate.position
    if candidate.text.endswith(":"):
        while last + 1 < len(chunk.sentences):
            following = chunk.sentences[last + 1]
            text = chunk.slice(following)
            too_long = following.end - candidate.span.start > _MAX_QUOTE_CHARS
            if too_long or text.startswith(_HEADING_PREFIX):
                break
            last += 1
            if text.startswith(("```", "~~~")):
                break
    return Quote(candidate.hit, candidate.position, last)


def _touch(left: Quote, right: Quote) -> bool:
    return left.first <= right.last + 1 and right.first <= left.last + 1


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


def _signals(hits: Sequence[Hit], best: Sequence[_Candidate], weights: dict[str, float]) -> Signals:
    cosines = [hit.dense_score for hit in hits]
    held = [text_terms(f"{hit.chunk.prefix} {hit.chunk.text}") for hit in hits]
    first = best[0].hit
    quoted = frozenset[str]().union(*(candidate.terms for candidate in best))
    everywhere = frozenset[str]().union(*held)
    missing = sum(term not in everywhere for term in weights) / max(len(weights), 1)
    return Signals(
        quote_cosine=max(candidate.cosine for candidate in best),
        hit_cosine=max(cosines),
        hit_margin=max(cosines) - sum(cosines) / len(cosines),
        quote_coverage=coverage(weights, quoted),
        hit_coverage=coverage(weights, text_terms(f"{first.chunk.prefix} {first.chunk.text}")),
        missing_terms=missing,
        sparse_score=math.log1p(max(hit.sparse_score for hit in hits) / max(len(weights), 1)),
    )
