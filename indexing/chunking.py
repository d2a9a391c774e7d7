"""Cuts documents into chunks that the embedding model reads whole.

Sizes are counted with the model's own tokenizer. Cuts fall between sections where that fits, else
between blocks, else between sentences, and inside a sentence only when it alone is too long. The
chunks tile the document. Each carries a prefix, its title and heading path, which is embedded and
indexed before its text, so that a chunk in the middle of a section still says what it is about.
"""

from __future__ import annotations

import hashlib
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from indexing.identity import revision_of
from indexing.sentences import Block, find_blocks, trimmed
from rag.errors import SettingsError
from rag.ports import Tokenizer
from rag.types import Chunk, Document, Passage, Span

CHUNK_TOKENS = 190
"""Of prefix and text, where the model reads as many. With the 254 that the packaged model reads,
nDCG@10 was no better on any of four question sets, and a context holds fewer places."""

RULES_VERSION = 1
"""Raise it when documents are to be cut anew: the next ingestion then reads every file again."""

MIN_CHUNK_TOKENS = 64
_CHARS_PER_TOKEN = 32
"""A word of more than 100 characters, as of encoded data, is one unknown token to the model: by
its characters it counts as more, or a chunk could be as long as a file."""
_PREFIX_SHARE = 4  # a prefix takes at most a quarter of the chunk
_SECTION_SHARE = 3  # a chunk that is a third full ends where a section begins
_ID_SPACE = uuid.UUID("6f0c1f0e-51b4-4f0e-9d0c-6d3b8f2f6d11")


class StructuralChunker:
    """Chunks along headings, blocks and sentences.

    `chunk_tokens`, 64 or more, bounds prefix and text together, special tokens left out; it must
    not exceed what the embedding model reads. Raises SettingsError below the minimum.
    """

    def __init__(self, tokenizer: Tokenizer, chunk_tokens: int) -> None:
        if chunk_tokens < MIN_CHUNK_TOKENS:
            raise SettingsError(
                f"chunk_tokens is {chunk_tokens}, the least is {MIN_CHUNK_TOKENS}: raise it"
            )
        self._tokenizer = tokenizer
        self._chunk_tokens = chunk_tokens

    @property
    def fingerprint(self) -> str:
        """The version of the rules, and the size."""
        return f"structural-v{RULES_VERSION}-{self._chunk_tokens}"

    def chunk(self, document: Document) -> list[Chunk]:
        """Chunks in order; their texts joined are the document's text."""
        outline = _Outline(document, self._tokenizer, self._chunk_tokens)
        drafts = list(outline.drafts())
        bounds = pairwise([0, *(draft.start for draft in drafts[1:]), len(document.text)])
        revision = revision_of(document, self.fingerprint)
        name = f"{document.collection}/{document.document_id}/{revision}"
        chunks = []
        for number, (draft, (start, end)) in enumerate(zip(drafts, bounds, strict=True)):
            page, breaks = _pages(document.page_starts, start, end)
            chunks.append(
                Chunk(
                    chunk_id=str(uuid.uuid5(_ID_SPACE, f"{name}/{number}")),
                    collection=document.collection,
                    document_id=document.document_id,
                    version=document.version,
                    revision=revision,
                    content=_content_hash(document.text[start:end], draft, start),
                    title=document.title,
                    sources=document.sources,
                    headings=draft.headings,
                    prefix=draft.prefix,
                    start=start,
                    end=end,
                    text=document.text[start:end],
                    sentences=draft.sentences,
                    page=page,
                    page_breaks=breaks,
                    metadata=document.metadata,
                    dated=document.dated,
                    family=document.family,
                )
            )
        return chunks


def passage_of(chunk: Chunk) -> Passage:
    """What is embedded for a chunk: prefix, line break, text; with the spans of its sentences."""
    shift = len(chunk.prefix) + 1 - chunk.start
    spans = tuple(Span(s.start + shift, s.end + shift) for s in chunk.sentences)
    return Passage(f"{chunk.prefix}\n{chunk.text}", "document", spans)


def _content_hash(text: str, draft: _Draft, start: int) -> str:
    """Of all that is embedded: the sentences too, since the text around may cut them otherwise."""
    cuts = [offset - start for s in draft.sentences for offset in (s.start, s.end)]
    return hashlib.sha256(f"{draft.prefix}\n{text}\n{cuts}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class _Unit:
    """The smallest thing that is not cut: a sentence, or a part of one that is too long.

    Also a line that is no sentence, as the head of a table: its tokens count like any others.
    """

    span: Span
    tokens: int
    is_sentence: bool
    is_part: bool
    path: tuple[str, ...]
    opens_section: bool
    opens_block: bool


@dataclass(frozen=True, slots=True)
class _Draft:
    start: int
    sentences: tuple[Span, ...]
    headings: tuple[str, ...]
    prefix: str


class _Outline:
    """One document on its way to chunks."""

    def __init__(self, document: Document, tokenizer: Tokenizer, chunk_tokens: int) -> None:
        self._document = document
        self._tokenizer = tokenizer
        self._limit = chunk_tokens
        self._starts = [span.start for span in tokenizer.token_spans(document.text)]
        self._prefixes: dict[tuple[str, ...], tuple[str, int]] = {}

    def drafts(self) -> Iterator[_Draft]:
        """Chunks to be, in order; at least one, also for a text without a sentence."""
        units = list(self._units())
        if not units:
            prefix, _ = self._prefix(())
            yield _Draft(0, (), (), prefix)
        first = 0
        while first < len(units):
            last = self._cut(units, first)
            while last - first > 1 and self._is_too_long(units[first:last]):
                last -= 1
            group = units[first:last]
            headings = _common_path(group)
            prefix, _ = self._prefix(headings)
            sentences = tuple(unit.span for unit in group if unit.is_sentence)
            yield _Draft(group[0].span.start, sentences, headings, prefix)
            first = last

    def _cut(self, units: Sequence[_Unit], first: int) -> int:
        """One past the last unit of the chunk that begins with `first`."""
        end, used = first, 0
        path = units[first].path
        while end < len(units):
            path = _common(path, units[end].path)
            room = self._limit - self._prefix(path)[1]
            if units[end].opens_section and used * _SECTION_SHARE >= self._limit:
                return end
            if end > first and used + units[end].tokens > room:
                break
            used += units[end].tokens
            end += 1
        return end if end == len(units) else self._best_boundary(units, first, end, used)

    def _is_too_long(self, units: Sequence[_Unit]) -> bool:
        """Whether parts of a sentence make more tokens together than each alone."""
        if not any(unit.is_part for unit in units):
            return False
        tokens = self._count_alone(Span(units[0].span.start, units[-1].span.end))
        return tokens + self._prefix(_common_path(units))[1] > self._limit

    def _best_boundary(self, units: Sequence[_Unit], first: int, end: int, used: int) -> int:
        """Where to end a full chunk: at a section or a block in its second half, else at `end`."""
        for opens in ("opens_section", "opens_block"):
            kept = used
            for cut in range(end, first, -1):
                if kept * 2 < used:
                    break
                # fewer units may share a longer path, and so a longer prefix
                prefix_tokens = self._prefix(_common_path(units[first:cut]))[1]
                if getattr(units[cut], opens) and kept + prefix_tokens <= self._limit:
                    return cut
                kept -= units[cut - 1].tokens
        return end

    def _units(self) -> Iterator[_Unit]:
        path: list[tuple[int, str]] = []
        is_tied = False  # a heading, or the head of a table, is never parted from what follows it
        for block in find_blocks(self._document.text):
            if block.level:
                path = [(level, name) for level, name in path if level < block.level]
            above = tuple(name for _, name in path)
            yield from self._block_units(block, above, is_tied=is_tied)
            if block.level:
                path.append((block.level, block.heading))
            is_tied = bool(block.level) or not block.sentences

    def _block_units(
        self, block: Block, path: tuple[str, ...], *, is_tied: bool
    ) -> Iterator[_Unit]:
        room = self._limit - self._limit // _PREFIX_SHARE
        whole = trimmed(self._document.text, block.start, block.end)
        for number, sentence in enumerate(block.sentences or (whole,)):
            for part, span in enumerate(self._fitting(sentence, room)):
                opens = number == 0 and part == 0
                yield _Unit(
                    span=span,
                    tokens=self._count(span) if span == sentence else self._count_alone(span),
                    is_sentence=bool(block.sentences),
                    is_part=span != sentence,
                    path=path,
                    opens_section=opens and bool(block.level),
                    opens_block=opens and not is_tied,
                )

    def _fitting(self, span: Span, room: int) -> Iterator[Span]:
        """`span`, cut where needed into spans of at most `room` tokens, at white space if any."""
        text, whole = self._document.text, span
        while self._count(span) > room or (span != whole and self._count_alone(span) > room):
            cut = self._cut_within(span, room)
            yield trimmed(text, span.start, cut)
            span = trimmed(text, cut, span.end)
        yield span

    def _cut_within(self, span: Span, room: int) -> int:
        """Where to end the first `room` tokens of `span`, or fewer; behind its first character."""
        text = self._document.text
        furthest = min(span.start + room * _CHARS_PER_TOKEN, span.end)
        first = bisect_right(self._starts, span.start)  # what begins behind the first token
        token = min(first + room - 1, bisect_left(self._starts, furthest))
        # the rest of a word that was cut in two may have more tokens alone than within it
        while token > first and self._count_alone(Span(span.start, self._starts[token])) > room:
            token -= max(1, self._count_alone(Span(span.start, self._starts[token])) - room)
        token = max(token, first)
        cut = min(self._starts[token], furthest) if token < len(self._starts) else furthest
        space = max(text.rfind(" ", span.start, cut), text.rfind("\n", span.start, cut))
        return space + 1 if space > span.start + (cut - span.start) // 2 else cut

    def _count(self, span: Span) -> int:
        tokens = bisect_left(self._starts, span.end) - bisect_left(self._starts, span.start)
        return max(tokens, _least_tokens(span))

    def _count_alone(self, span: Span) -> int:
        """Tokens of a part of a sentence, whose first and last word may be cut in two."""
        tokens = self._tokenizer.token_spans(self._document.text[span.start : span.end])
        return max(len(tokens), _least_tokens(span))

    def _prefix(self, headings: tuple[str, ...]) -> tuple[str, int]:
        """The prefix under a path of headings, shortened where needed, and its tokens."""
        if headings not in self._prefixes:
            title = self._document.title
            parts = [title, *(heading for heading in headings if heading != title)]
            text = " > ".join(part for part in parts if part)
            tokens = self._tokenizer.token_spans(text)
            most = self._limit // _PREFIX_SHARE
            if len(tokens) > most:
                text = text[: tokens[most].start].rstrip()
                tokens = self._tokenizer.token_spans(text)
            self._prefixes[headings] = text, len(tokens)
        return self._prefixes[headings]


def _least_tokens(span: Span) -> int:
    return (span.end - span.start) // _CHARS_PER_TOKEN


def _common_path(units: Sequence[_Unit]) -> tuple[str, ...]:
    path = units[0].path
    for unit in units[1:]:
        path = _common(path, unit.path)
    return path


def _common(left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
    length = 0
    while length < min(len(left), len(right)) and left[length] == right[length]:
        length += 1
    return left[:length]


def _pages(starts: Sequence[int], start: int, end: int) -> tuple[int | None, tuple[int, ...]]:
    """The page on which `start` stands, and the offsets in (start, end) where pages begin."""
    if not starts:
        return None, ()
    first = bisect_right(starts, start)
    return max(first, 1), tuple(starts[first : bisect_left(starts, end)])
