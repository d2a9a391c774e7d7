"""Where the blocks and the sentences of a Markdown-like text begin and end.

Blocks are headings, paragraphs, list items, table rows and fenced code. A heading, a table row and
a piece of code of some lines are one sentence each; the head of a table, which says nothing by
itself, is none. Paragraphs and list items are cut at sentence ends by punctuation, with the usual
abbreviations kept whole. Languages without a rule here fall back on
their punctuation, and in the end on lines. Spans exclude surrounding white space.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from rag.types import Span

_FENCE = re.compile(r" {0,3}(`{3,}+(?!.*`)|~{3,})")  # a backtick after it: code in one line
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)$")
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+\S")
_TABLE_ROW = re.compile(r"[ \t]*\|.*\|[ \t]*$")
_RULE = re.compile(r"[ \t]*\|[|:= \t-]*$")  # between the head of a table and its rows
# The looks behind let a run of marks be tried once only, not again from each of its marks.
_SENTENCE_END = re.compile(
    r"(?<![.!?…])[.!?…]+[\"'”’)\]*_`]*(?=\s)|[。！？]+[”’」』）]*|(?<![؟۔।])[؟۔।]+(?=\s)"
)
_NEXT_STARTS_LOWER = re.compile(r"\s+[\"'“‘(\[*_]*[a-zà-öø-ÿ]")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[])(?:[A-Z]|[A-Za-z](?:\.[A-Za-z])+|Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Lt|Capt|"
    r"Rev|Hon|Inc|Ltd|Co|Corp|vs|cf|al|ca|approx|resp|incl|excl|viz|Fig|Figs|Eq|Sec|Ch|Vol|No|Nos|"
    r"pp?|ed|eds|op|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|bzw|usw|Nr|Art)\.$"
)
# "1. First" at the start of a list item is a number, not a sentence.
_MORE_THAN_NUMBERS = re.compile(r"[^0-9.)\-*+ ]")
_CODE_SENTENCE_CHARS = 400


@dataclass(frozen=True, slots=True)
class Block:
    """A span of whole lines and the sentences in it. `level` is 1 to 6 for a heading, else 0."""

    start: int
    end: int
    level: int
    heading: str
    sentences: tuple[Span, ...]


def find_blocks(text: str) -> list[Block]:
    """The blocks of `text` in order; every character that is not white space is in exactly one."""
    blocks: list[Block] = []
    paragraph: list[Span] = []

    def end_paragraph() -> None:
        if paragraph:
            start, end = paragraph[0].start, paragraph[-1].end
            blocks.append(Block(start, end, 0, "", tuple(_prose_sentences(text, start, end))))
            paragraph.clear()

    lines = _lines(text)
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        content = text[line.start : line.end]
        if not content.strip():
            end_paragraph()
        elif fence := _FENCE.match(content):
            end_paragraph()
            last = _closing_fence(text, lines, position, fence.group(1))
            blocks.append(_code_block(text, lines[position - 1 : last + 1]))
            position = last + 1
        elif heading := _HEADING.match(content):
            end_paragraph()
            whole = (trimmed(text, line.start, line.end),)
            blocks.append(
                Block(line.start, line.end, len(heading.group(1)), _name(heading.group(2)), whole)
            )
        elif _TABLE_ROW.match(content):
            end_paragraph()
            heads_table = position < len(lines) and _draws(text, lines[position])
            says_nothing = heads_table or _draws(text, line)
            row = () if says_nothing else (trimmed(text, line.start, line.end),)
            blocks.append(Block(line.start, line.end, 0, "", row))
        else:
            if _LIST_ITEM.match(content):
                end_paragraph()
            paragraph.append(line)
    end_paragraph()
    return blocks


def trimmed(text: str, start: int, end: int) -> Span:
    """`[start, end)` without the white space at both ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return Span(start, end)


def _draws(text: str, line: Span) -> bool:
    return _RULE.match(text[line.start : line.end]) is not None


def _name(heading: str) -> str:
    """A heading without the marks that may close it."""
    name = heading.strip(" \t")
    unclosed = name.rstrip("#")
    return unclosed.rstrip(" \t") if unclosed[-1:] in ("", " ", "\t") else name  # not C#


def _lines(text: str) -> list[Span]:
    """Lines without their line breaks."""
    spans: list[Span] = []
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        spans.append(Span(start, end))
        start = end + 1
    return spans


def _closing_fence(text: str, lines: list[Span], after: int, fence: str) -> int:
    """The index of the line that closes a fence, or of the last line when none does."""
    for index in range(after, len(lines)):
        stripped = text[lines[index].start : lines[index].end].strip()
        if stripped.startswith(fence) and set(stripped) == {fence[0]}:
            return index
    return len(lines) - 1


def _code_block(text: str, lines: list[Span]) -> Block:
    start, end = lines[0].start, lines[-1].end
    sentences = []
    begin = start
    for line in lines:
        if line.end - begin > _CODE_SENTENCE_CHARS and line.start > begin:
            sentences.append(trimmed(text, begin, line.start))
            begin = line.start
    sentences.append(trimmed(text, begin, end))
    return Block(start, end, 0, "", tuple(s for s in sentences if s.end > s.start))


def _prose_sentences(text: str, start: int, end: int) -> Iterator[Span]:
    begin = looked = trimmed(text, start, end).start
    says_something = False
    for match in _SENTENCE_END.finditer(text, start, end):
        if not says_something:
            says_something = bool(_MORE_THAN_NUMBERS.search(text, looked, match.end()))
            looked = match.end()
        if not says_something or _is_inside_sentence(text, begin, match, end):
            continue
        yield trimmed(text, begin, match.end())
        begin = looked = trimmed(text, match.end(), end).start
        says_something = False
    rest = trimmed(text, begin, end)
    if rest.end > rest.start:
        yield rest


def _is_inside_sentence(text: str, begin: int, match: re.Match[str], end: int) -> bool:
    """Whether the punctuation found does not end a sentence."""
    mark = match.group()
    if mark[0] in ".…" and _NEXT_STARTS_LOWER.match(text, match.end(), end):
        return True
    return mark == "." and bool(
        _ABBREVIATION.search(text, max(begin - 1, match.end() - 12, 0), match.end())
    )
