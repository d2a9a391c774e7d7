"""An answer as claims: its sentences, cut behind each group of markers too.

A marker is a number, or some, in square brackets: [1], [1, 3], [2-4], 【1】. In code, which is left
as it is, square brackets are code.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rag.types import Span

_NAMED = "excerpts?|documents?|sources?|passages?|context|auszug|quelle|dokument|extrait|fuente"
_MARKER = (
    rf"[\[【［]\s*\^?(?:(?:{_NAMED})\s*:?\s*)?\d{{1,4}}(?:\s*[,;、–-]\s*\d{{1,4}})*"
    r"(?:†[^\]】\n]*)?\s*[\]】］]"
)
_MARKERS = re.compile(rf"[ \t\u3000]*{_MARKER}(?:[ \t,]*{_MARKER})*", re.IGNORECASE)
_NUMBERS = re.compile(r"(\d{1,4})(?:\s*[–-]\s*(\d{1,4}))?")
_ASIDE = re.compile(r"†[^\]】]*")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
_END = re.compile(
    r"\n+|[.!?…]+[\"'”’»)*_]*(?=\s|[\[【［]|$)(?!\s+[a-zà-öø-ÿа-я])|[。！？]+[”’」』）]*|[؟۔।]+"
)
_NO_END = re.compile(
    r"(?:^|[\s(])(?:[A-Za-z]|[A-Za-z](?:\.[A-Za-z])+|Mr|Mrs|Ms|Dr|Prof|St|vs|cf|etc|ca|approx|No|Nos|"
    r"Nr|Art|bzw|usw|evtl|resp|Fig|Vol|pp?|\d{1,2})\.$"
)
_LOOK_BACK = 12
_MOST_NUMBERS = 50


@dataclass(frozen=True, slots=True)
class Claim:
    """A part of an answer: `text`, and then the `markers` as they were written, or nothing.

    `numbers` are those in the markers, in order, each once. `sentence` is all of the sentence that
    the claim is in, without markers.
    """

    text: str
    markers: str
    numbers: tuple[int, ...]
    sentence: str


def claims_of(answer: str) -> list[Claim]:
    """The claims in order: their texts and markers, joined, are the answer."""
    code = [Span(*match.span()) for match in _CODE.finditer(answer)]
    marked = [
        Span(*match.span())
        for match in _MARKERS.finditer(answer)
        if not _lies_in(code, match.start())
    ]
    ends = _sentence_ends(answer, code, marked)
    sentences = [
        _without_markers(answer, Span(start, end), marked) for start, end in pairwise([0, *ends])
    ]
    claims: list[Claim] = []
    place = 0
    for marker in [*marked, Span(len(answer), len(answer))]:
        cuts = ends[bisect_right(ends, place) : bisect_left(ends, marker.start)]
        for start, end in pairwise([place, *cuts, marker.start]):
            markers = answer[marker.start : marker.end] if end == marker.start else ""
            if end > start or markers:
                number = min(bisect_right(ends, start), len(sentences) - 1)
                text = answer[start:end]
                claims.append(Claim(text, markers, _numbers(markers), sentences[number]))
        place = marker.end
    return claims


def _lies_in(spans: Sequence[Span], place: int) -> bool:
    """Whether one of the spans, which are in order, holds a place."""
    before = bisect_right(spans, place, key=lambda span: span.start)
    return before > 0 and place < spans[before - 1].end


def _sentence_ends(answer: str, code: Sequence[Span], marked: Sequence[Span]) -> list[int]:
    """Where sentences end, markers behind them included; the last is the end of the answer."""
    ends: list[int] = []
    behind = {span.start: span.end for span in marked}
    for match in _END.finditer(answer):
        end = match.end()
        if _lies_in(code, match.start()) or _lies_in(marked, match.start()):
            continue
        before = answer[max(0, end - _LOOK_BACK) : end]
        if match.group().startswith(".") and _NO_END.search(before):
            continue
        ends.append(behind.get(end, end))
    return [*(end for end in dict.fromkeys(ends) if end < len(answer)), len(answer)]


def _without_markers(answer: str, sentence: Span, marked: Sequence[Span]) -> str:
    text, place = "", sentence.start
    first = bisect_left(marked, sentence.start, key=lambda span: span.start)
    until = bisect_left(marked, sentence.end, key=lambda span: span.start)
    for marker in marked[first:until]:
        text += answer[place : marker.start]
        place = marker.end
    return text + answer[place : sentence.end]


def _numbers(markers: str) -> tuple[int, ...]:
    numbers: list[int] = []
    for first, last in _NUMBERS.findall(_ASIDE.sub("", markers)):
        until = int(last) if last else int(first)
        numbers.extend(range(int(first), min(until, int(first) + _MOST_NUMBERS) + 1))
    return tuple(dict.fromkeys(numbers))
