"""Fills a token budget: whole chunks in order of rank, then single sentences.

Passages sent whole keep more answers per token than picked sentences as long as they fit, so
sentences are only picked from the chunks that do not. A sentence that is already in the context,
from whichever document, is not sent twice. Chunks that stand side by side in a document become
one passage under one label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

from rag.ports import TokenCounter
from rag.types import Context, Hit, Piece, Question, Span

_GAP = " … "
_MIN_WORDS_TO_BE_A_DUPLICATE = 4  # "Yes." may well stand twice


class BudgetCompressor:
    """A Compressor. Its context is text like `[1] Title > Heading` and the passage below it."""

    def __init__(self, counter: TokenCounter) -> None:
        self._counter = counter

    def compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        """A context of at most `max_tokens`, the most useful pieces first."""
        chosen: list[Piece] = []
        seen: set[str] = set()
        left = max_tokens
        for hit in hits:
            fresh = list(_fresh_pieces(hit, seen))
            cost = self._cost(fresh)
            if cost > left:
                fresh = self._best_sentences(hit, fresh, left)
                cost = self._cost(fresh)
            chosen.extend(fresh)
            left -= cost
            seen.update(_sentence_keys(fresh))
        while chosen and (context := self._context(chosen)).tokens > max_tokens:
            chosen.pop()  # the parts counted together may come to a few tokens more
        return context if chosen else Context((), "", 0)

    def _best_sentences(self, hit: Hit, fresh: Sequence[Piece], left: int) -> list[Piece]:
        """Of the sentences in `fresh`, the best that fit into `left` tokens, in reading order."""
        scored = sorted(_sentences(hit, fresh), key=lambda pair: (-pair[1], pair[0].start))
        picked: list[Piece] = []
        for sentence, _ in scored:
            trial = sorted([*picked, sentence], key=lambda piece: piece.start)
            if self._cost(trial) <= left:
                picked = trial
        return picked

    def _cost(self, pieces: Sequence[Piece]) -> int:
        """Tokens of these pieces of one hit with their label, as an upper bound."""
        return self._counter.count(_render(1, pieces) + "\n\n") if pieces else 0

    def _context(self, pieces: Sequence[Piece]) -> Context:
        passages = list(_passages(pieces))
        text = "\n\n".join(_render(number, p) for number, p in enumerate(passages, start=1))
        ordered = tuple(piece for passage in passages for piece in passage)
        return Context(ordered, text, self._counter.count(text))


def _fresh_pieces(hit: Hit, seen: set[str]) -> Iterator[Piece]:
    """The hit without the sentences that were seen: one piece for each unbroken run."""
    chunk = hit.chunk
    start = chunk.start
    for sentence in chunk.sentences:
        if _key(chunk.slice(sentence)) in seen:
            yield from _piece(hit, start, sentence.start)
            start = sentence.end
    yield from _piece(hit, start, chunk.end)


def _piece(hit: Hit, start: int, end: int) -> Iterator[Piece]:
    text = hit.chunk.slice(Span(start, end))
    inner = text.strip()
    if inner:
        begin = start + text.index(inner[0])
        yield Piece(hit, begin, begin + len(inner))


def _sentences(hit: Hit, pieces: Iterable[Piece]) -> Iterator[tuple[Piece, float]]:
    scored = list(zip(hit.chunk.sentences, hit.sentence_scores, strict=True))
    for piece in pieces:
        for sentence, score in scored:
            if piece.holds(sentence):
                yield Piece(hit, sentence.start, sentence.end), score


def _sentence_keys(pieces: Iterable[Piece]) -> Iterator[str]:
    for piece in pieces:
        for sentence in piece.hit.chunk.sentences:
            if piece.holds(sentence):
                text = piece.hit.chunk.slice(sentence)
                if len(text.split()) >= _MIN_WORDS_TO_BE_A_DUPLICATE:
                    yield _key(text)


def _key(sentence: str) -> str:
    return " ".join(sentence.split())


def _passages(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """The pieces in groups, one a passage: best first, neighbours in a document together."""
    order: list[list[Piece]] = []
    for _, group in groupby(pieces, key=lambda piece: piece.hit.chunk.chunk_id):
        run = list(group)
        beside = [passage for passage in order if _are_neighbours(passage, run)]
        if not beside:
            order.append(run)
            continue
        first, *others = beside  # two where the run fills the gap between them
        for passage in (run, *others):
            first.extend(passage)
        first.sort(key=lambda piece: piece.start)
        order = [passage for passage in order if not any(passage is other for other in others)]
    yield from order


def _are_neighbours(left: Sequence[Piece], right: Sequence[Piece]) -> bool:
    chunks = [piece.hit.chunk for piece in (*left, *right)]
    if len({(chunk.collection, chunk.document_id) for chunk in chunks}) > 1:
        return False
    return (
        left[-1].hit.chunk.end == right[0].hit.chunk.start
        or right[-1].hit.chunk.end == left[0].hit.chunk.start
    )


def _render(number: int, pieces: Sequence[Piece]) -> str:
    """A passage with its label; a gap mark where text was left out."""
    first = pieces[0].hit.chunk
    text = pieces[0].text
    for before, after in pairwise(pieces):
        gap = _between(before, after)
        text += (_GAP if gap is None else gap) + after.text
    return f"[{number}] {first.prefix}\n{text}" if first.prefix else f"[{number}]\n{text}"


def _between(before: Piece, after: Piece) -> str | None:
    """The white space between two pieces, if any; None when there is more than that."""
    left, right = before.hit.chunk, after.hit.chunk
    if left.chunk_id == right.chunk_id:
        gap = left.slice(Span(before.end, after.start))
    elif left.end == right.start:
        gap = left.slice(Span(before.end, left.end)) + right.slice(Span(right.start, after.start))
    else:
        return None
    return None if gap.strip() else gap
