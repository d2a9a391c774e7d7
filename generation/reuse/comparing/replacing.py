"""What stands in the place of something else, in two questions that are said in the same way.

Both are laid beside each other word for word (Ratcliff and Obershelp's alignment, as in `difflib`).
Where they agree for the most part, words of content or strong prepositions that face each other and
are not the same change the question: so "before" for "after", and what is in no list of opposites.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from difflib import SequenceMatcher

from generation.reuse.comparing.matching import Matching, are_initials, is_typing_error
from generation.reuse.comparing.reading import Word

_ALIKE = 0.7
"""The share of both questions that agrees, in order, from which they are said in the same way."""
_WITHIN = 0.85
"""Or the share of the shorter one, since the other may say something before or after."""
_FEW = 2
_WEAK = frozenset("to of for about in on at with by via through per as like and or".split())
_EMPTY = frozenset(
    "what which how who when where why is are was were am be been do does did can could will would "
    "shall should may might must has have had to".split()
)
_STRONG = frozenset(
    "from before after than since until over under above below between against outof without "
    "instead because during within beyond inside outside near farfrom off out up down away back "
    "throughout despite except past beside among across along around opposite".split()
)
"""Prepositions and particles that are not said for one another."""


@dataclass(frozen=True, slots=True)
class Change:
    """The words that face each other, without those that both have; one may be of prepositions."""

    kept: tuple[Word, ...]
    asked: tuple[Word, ...]
    kept_said: str
    asked_said: str


def changes(
    matching: Matching, kept_sequence: Sequence[str], asked_sequence: Sequence[str]
) -> Iterator[Change]:
    """The replaced parts, in order; none where the questions are said in different ways."""
    aligned = list(asked_sequence)
    for kept_at, asked_at in matching.pairs:
        aligned[matching.asked[asked_at].at] = kept_sequence[matching.kept[kept_at].at]
    alignment = SequenceMatcher(None, kept_sequence, aligned, autojunk=False)
    if not (_agree(alignment, len(kept_sequence), len(aligned)) or _is_one_exchange(alignment)):
        return
    kept_alone = [matching.kept[place] for place in matching.kept_alone]
    asked_alone = [matching.asked[place] for place in matching.asked_alone]
    for tag, first, last, asked_first, asked_last in alignment.get_opcodes():
        if tag != "replace":
            continue
        kept = _within(kept_alone, first, last)
        asked = _within(asked_alone, asked_first, asked_last)
        gone, come = kept_sequence[first:last], aligned[asked_first:asked_last]
        gone_alone, come_alone = set(gone) - set(come), set(come) - set(gone)
        if (
            _matter(kept, asked, gone_alone, come_alone)
            and _matter(asked, kept, come_alone, gone_alone)
            and not (_are_same(kept, asked) or _is_typed_wrong(gone, come))
        ):
            yield Change(kept, asked, " ".join(gone), " ".join(come))


def _agree(alignment: SequenceMatcher[str], kept: int, asked: int) -> bool:
    agreeing = sum(block.size for block in alignment.get_matching_blocks())
    return agreeing >= _ALIKE * (kept + asked) / 2 or agreeing >= _WITHIN * min(kept, asked)


def _is_one_exchange(alignment: SequenceMatcher[str]) -> bool:
    """Whether but for as many words in one place, a few, the questions are the same."""
    places = [code for code in alignment.get_opcodes() if code[0] != "equal"]
    if len(places) != 1:
        return False
    _, first, last, asked_first, asked_last = places[0]
    return last - first == asked_last - asked_first <= _FEW


def _within(words: Sequence[Word], first: int, last: int) -> tuple[Word, ...]:
    return tuple(word for word in words if first <= word.at < last)


def _matter(words: Sequence[Word], facing: Sequence[Word], said: Set[str], other: Set[str]) -> bool:
    """Whether one side's words, or all that it has said alone, are something to face the other's.

    Content is; a strong preposition too; a weak one before a strong one; and before content or a
    strong preposition all else but verbs like "is" and "does".
    """
    if words or said & _STRONG:
        return True
    return bool((facing and said - _EMPTY - _WEAK) or (other & _STRONG and said - _EMPTY))


def _is_typed_wrong(gone: Sequence[str], come: Sequence[str]) -> bool:
    return len(gone) == len(come) == 1 and is_typing_error(gone[0], come[0])


def _are_same(kept: Sequence[Word], asked: Sequence[Word]) -> bool:
    """Whether they differ in how they are put together, or one is the initials of the other."""
    joined = ["".join(word.written for word in words) for words in (kept, asked)]
    if joined[0] == joined[1] != "":
        return True
    return any(
        len(short) == 1 and len(long) > 1 and are_initials(short[0], long)
        for short, long in ((kept, asked), (asked, kept))
    )
