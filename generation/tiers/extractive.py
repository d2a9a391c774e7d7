"""Answers by quoting: the sentences that answer, word for word, each with its exact span.

Costs nothing and cannot invent. Sentences are ranked by their cosine with the question, the score
of their hit, how much of the question's wording they and their headings hold, and their length; the
weights are round numbers, chosen on four public question sets together (see docs/results.md).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from generation.confidence.quoted import LogisticConfidence, Signals
from generation.writing.citing import NOT_FOUND, Quote, citations_of
from rag.ports import Listener
from rag.terms import coverage, question_terms, term_weights, text_terms
from rag.types import Context, Generation, Hit, Question, Span

MODEL = "quote"

_HIT_WEIGHT = 1.0
_COVERAGE_WEIGHT = 0.4
_LENGTH_WEIGHT = 0.05
_FULL_LENGTH_WORDS = 30  # a sentence gains by length up to here: scraps answer nothing
_HEADING_PREFIX = "#"
_MAX_QUOTE_CHARS = 700
_MIN_WORDS = 3
_CLOSING_MARKS = "\"'”’»)*_` "
_WORST_AGAINST_BEST = 0.4  # a sentence whose score is lower by more is beside the point
_MIN_UNSPACED_LETTERS = 6  # of scripts without capitals, some of which put no spaces between words
_QUESTION_MARKS = ("?", "？", "؟")


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
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """Quotes from the context, or an abstention; the listener hears nothing of it."""
        quotes, signals = self.quote(question, hits, context)
        confidence = self._confidence.estimate(signals) if signals else 0.0
        told = asdict(signals) if signals else {}
        if confidence < self._abstain_below or not quotes:
            return Generation(NOT_FOUND, (), confidence, True, "extractive", MODEL, signals=told)
        citations = citations_of(quotes)
        text = "\n\n".join(f"{citation.quote} [{citation.marker}]" for citation in citations)
        return Generation(text, citations, confidence, False, "extractive", MODEL, signals=told)

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
        least = ranked[0].score - _WORST_AGAINST_BEST
        best = [candidate for candidate in ranked[: self._max_quotes] if candidate.score >= least]
        return _quotes(best), _signals(hits, best)


def _candidates(context: Context) -> Iterator[_Candidate]:
    """Every sentence that says something and of which the context holds a part, or all of it.

    Headings speak for what follows them.
    """
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
            if piece.touches(span) and _says_something(text):
                best = max(cosine, heading_cosine)
                yield _Candidate(hit, rank, position, best, text_terms(text) | above)
            heading_cosine = -1.0


def _says_something(text: str) -> bool:
    if text.rstrip(_CLOSING_MARKS).endswith(_QUESTION_MARKS):
        return False
    words = sum(any(map(str.isalnum, word)) for word in text.split())
    if words >= _MIN_WORDS or text.endswith(":"):
        return True
    unspaced = sum(unicodedata.category(character) == "Lo" for character in text)
    return unspaced >= _MIN_UNSPACED_LETTERS


def _scored(candidate: _Candidate, weights: dict[str, float]) -> _Candidate:
    score = (
        candidate.cosine
        + _HIT_WEIGHT * candidate.hit.score
        + _COVERAGE_WEIGHT * coverage(weights, candidate.terms)
        + _LENGTH_WEIGHT * min(len(candidate.text.split()) / _FULL_LENGTH_WORDS, 1)
    )
    return replace(candidate, score=score)


def _quotes(best: Sequence[_Candidate]) -> list[Quote]:
    """The candidates as quotes in their order; neighbours in a chunk become one."""
    quotes: list[Quote] = []
    for candidate in best:
        grown = _with_what_it_announces(candidate)
        touching = [quote for quote in quotes if quote.hit is grown.hit and _touch(quote, grown)]
        if not touching:
            quotes.append(grown)
            continue
        first = min(quote.first for quote in (grown, *touching))
        last = max(quote.last for quote in (grown, *touching))
        quotes[quotes.index(touching[0])] = Quote(grown.hit, first, last)
        quotes = [quote for quote in quotes if quote not in touching[1:]]
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


def _signals(hits: Sequence[Hit], best: Sequence[_Candidate]) -> Signals:
    return Signals(
        quote_cosine=max(candidate.cosine for candidate in best),
        sparse_score=max(hit.sparse_score for hit in hits),
    )
