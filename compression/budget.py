"""Fills a token budget with what is most useful, and stops where nothing useful is left.

Sentences are taken in order of their usefulness, whichever hit they are from, until the budget is
full or the next is too unlikely to help: an easy question sends little, a hard one more. A budget
that holds only a few sentences, or none, is filled with clauses. What is in the context already,
from whichever document, is not sent twice. Chunks that stand side by side in a document become one
passage under one label.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from compression.units import Unit, clause_units, sentence_units
from compression.usefulness import Usefulness
from rag.ports import TokenCounter
from rag.types import Context, Hit, Piece, Question, Span

_GAP = " … "
_CLAUSES_BELOW_TOKENS = 150  # a sentence has about 30, and its label 8
_LEAST_TOKENS = 80  # so few are not worth leaving anything out
_MIN_WORDS_TO_BE_A_DUPLICATE = 4  # "Yes." may well stand twice


class BudgetCompressor:
    """A Compressor. Its context is text like `[1] Title > Heading` and the passage below it.

    Parts whose usefulness is below `min_usefulness` (0 to 1) are left out once there are 80
    tokens; 0 fills the budget.
    """

    def __init__(
        self, counter: TokenCounter, usefulness: Usefulness, min_usefulness: float
    ) -> None:
        self._counter = counter
        self._usefulness = usefulness
        self._min_usefulness = min_usefulness

    def compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        """A context of at most `max_tokens`, the most useful passages first."""
        rated = self._usefulness.estimate(question, hits)
        chosen: list[Unit] = []
        if max_tokens >= _CLAUSES_BELOW_TOKENS:
            chosen = self._choose(list(sentence_units(rated)), max_tokens)
        if not chosen:  # not one whole sentence fits
            chosen = self._choose(list(clause_units(rated)), max_tokens)
        while chosen and (context := self._context(chosen)).tokens > max_tokens:
            chosen.pop()  # the parts counted together may come to a few tokens more
        return context if chosen else Context((), "", 0)

    def _choose(self, units: Sequence[Unit], max_tokens: int) -> list[Unit]:
        """Of the units those that fit and help, the most useful first."""
        chosen: list[Unit] = []
        labelled: set[int] = set()
        seen: set[str] = set()
        left, is_counted = max_tokens, True
        for unit in sorted(units, key=lambda unit: (-unit.usefulness, unit.rank, unit.span.start)):
            is_enough = max_tokens - left >= _LEAST_TOKENS
            if is_enough and unit.usefulness < self._min_usefulness:
                break
            said = _said(unit)
            longest = max(len(sentence.split()) for sentence in said)
            if said <= seen and longest >= _MIN_WORDS_TO_BE_A_DUPLICATE:
                continue
            cost = self._counter.count(_GAP + unit.text)
            if unit.rank not in labelled:
                cost += self._counter.count(f"{_label(1, unit.hit)}\n\n\n")
            if cost > left and not is_counted:  # the costs are upper bounds: look what is left
                left, is_counted = max_tokens - self._context(chosen).tokens, True
            if cost <= left:
                chosen.append(unit)
                labelled.add(unit.rank)
                seen |= said
                left, is_counted = left - cost, False
        return chosen

    def _context(self, units: Sequence[Unit]) -> Context:
        passages = list(_passages(list(_pieces(units))))
        text = "\n\n".join(_render(number, p) for number, p in enumerate(passages, start=1))
        ordered = tuple(piece for passage in passages for piece in passage)
        return Context(ordered, text, self._counter.count(text))


def _pieces(units: Sequence[Unit]) -> Iterator[Piece]:
    """The units as unbroken pieces, in reading order for each hit; hits by their best unit."""
    ranks = list(dict.fromkeys(unit.rank for unit in units))
    for rank in ranks:
        mine = sorted((u for u in units if u.rank == rank), key=lambda unit: unit.span.start)
        start, end = mine[0].span.start, mine[0].span.end
        hit = mine[0].hit
        for unit in mine[1:]:
            if hit.chunk.slice(Span(end, unit.span.start)).strip():
                yield Piece(hit, start, end)
                start = unit.span.start
            end = unit.span.end
        yield Piece(hit, start, end)


def _said(unit: Unit) -> set[str]:
    """What the sentences of a unit say, however their white space runs."""
    return {" ".join(unit.hit.chunk.slice(sentence).split()) for sentence in unit.sentences}


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
    text = pieces[0].text
    for before, after in pairwise(pieces):
        gap = _between(before, after)
        text += (_GAP if gap is None else gap) + after.text
    return f"{_label(number, pieces[0].hit)}\n{text}"


def _label(number: int, hit: Hit) -> str:
    return f"[{number}] {hit.chunk.prefix}" if hit.chunk.prefix else f"[{number}]"


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
