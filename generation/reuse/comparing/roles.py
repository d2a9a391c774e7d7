"""Whether what two questions name plays the same part in both: from and to, doer and done to, than.

A word's part is told by the preposition or conjunction before it, and where there is none by the
side of the verb that it stands on. Moving a phrase whole ("on my phone, how do I ...") changes no
part; exchanging two words does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from generation.reuse.comparing.matching import Matching
from generation.reuse.comparing.reading import Word

_ALIKE = 0.75
"""The share of words that are the same, from which a change of their parts can be told."""
_OPPOSED = (
    {"from", "to"}, {"before", "after"}, {"over", "under"}, {"above", "below"},
    {"since", "until"}, {"for", "against"}, {"with", "without"}, {"to", "outof"}, {"in", "outof"},
    {"from", "until"},
)  # fmt: skip

_PLACING = frozenset(
    "before after since until over under above below outside beyond during off near farfrom "
    "against without except past throughout".split()
)
"""Where nothing else differs, another preposition in the place of one of these does."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A word that both questions have once, with its place and its mark in either."""

    kept: Word
    asked: Word
    kept_at: int
    asked_at: int

    @property
    def keeps_mark(self) -> bool:
        return self.kept.mark == self.asked.mark


def role_differences(matching: Matching) -> Iterator[tuple[Literal["direction", "role"], str, str]]:
    """The kind, and what the kept and the asked question say, for each changed part."""
    if matching.share < _ALIKE:
        return
    words = _placed(matching)
    is_all = matching.share == 1.0
    for word in words:
        marks = {word.kept.mark, word.asked.mark}
        if marks in _OPPOSED or (
            is_all and len(marks) == 2 and marks & _PLACING and "" not in marks
        ):
            yield "direction", _said(word.kept), _said(word.asked)
    parties = [word for word in words if word.kept.kind != "light"]
    for left, right in combinations(parties, 2):
        if _are_exchanged(left, right) or _change_sides(left, right, words):
            yield "role", f"{_said(left.kept)} … {_said(right.kept)}", _exchanged(left, right)
    for word in parties:
        if {word.kept.mark, word.asked.mark} == {"", "by"} and _keeps_place(word, parties):
            yield "role", _said(word.kept), _said(word.asked)


def _placed(matching: Matching) -> list[_Placed]:
    kept_times = Counter(word.form for word in matching.kept)
    asked_times = Counter(word.form for word in matching.asked)
    return [
        _Placed(kept, asked, kept_at, asked_at)
        for kept_at, asked_at in matching.pairs
        if kept_times[(kept := matching.kept[kept_at]).form] == 1
        and asked_times[(asked := matching.asked[asked_at]).form] == 1
    ]


def _are_exchanged(left: _Placed, right: _Placed) -> bool:
    """Whether each has the mark that the other had."""
    marks = left.kept.mark, right.kept.mark
    return marks[0] != marks[1] and (left.asked.mark, right.asked.mark) == marks[::-1]


def _change_sides(left: _Placed, right: _Placed, words: Sequence[_Placed]) -> bool:
    """Whether two words of the same mark have changed the sides of a third one."""
    if left.kept.mark != right.kept.mark or not (left.keeps_mark and right.keeps_mark):
        return False
    if (left.kept_at < right.kept_at) == (left.asked_at < right.asked_at):
        return False
    return any(
        word.kept.mark == word.asked.mark == left.kept.mark
        and word.kept.kind != "number"
        and _is_between(word.kept_at, left.kept_at, right.kept_at)
        and _is_between(word.asked_at, left.asked_at, right.asked_at)
        for word in words
    )


def _keeps_place(word: _Placed, words: Sequence[_Placed]) -> bool:
    """Whether it stands behind the same words, so that it does what was done to it."""
    others = [other for other in words if other is not word]
    return any(other.kept_at < word.kept_at for other in others) and all(
        other.keeps_mark and (word.kept_at < other.kept_at) == (word.asked_at < other.asked_at)
        for other in others
    )


def _is_between(place: int, one: int, other: int) -> bool:
    return min(one, other) < place < max(one, other)


def _said(word: Word) -> str:
    return f"{word.mark} {word.written}".strip()


def _exchanged(left: _Placed, right: _Placed) -> str:
    first, second = sorted((left, right), key=lambda word: word.asked_at)
    return f"{_said(first.asked)} … {_said(second.asked)}"
