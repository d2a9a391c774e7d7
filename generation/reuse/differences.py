"""What makes two questions ask for different things, however alike they look.

No threshold on a similarity tells "turn it on" from "turn it off". So the words are compared:
numbers, dates and units have to be the same; a "not" and words of opposite meaning may not stand
on one side alone; nothing may change its role ("from A to B"); and where nearly all is the same, a
word in the place of another one has to be known as its synonym. What two questions ask for (who,
when, how many) has to be the same where both say it.

Written for English. It sees words, not meaning: an opposite that is in no list is caught only where
it replaces its word, and a condition that one question adds is left to the score.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import Literal

from generation.reuse.comparing.lexicon import lexicon
from generation.reuse.comparing.matching import Matching, match
from generation.reuse.comparing.reading import Reading, Word, read
from generation.reuse.comparing.replacing import changes
from generation.reuse.comparing.roles import role_differences

DifferenceKind = Literal[
    "number", "name", "unit", "date", "polarity", "direction", "role", "asked", "word"
]
MOST_WORDS = 100
"""Comparing takes the time of its square."""
_RELATED = 0.5
"""The same, from which an "only" on one side is a difference."""
_DATE = re.compile(r"\d+([-./])\d+\1\d+")
_YEARS = range(1000, 2200)
_NEGATIVE_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "de", "mis", "anti")
_OPPOSITE_STARTS = (("up", "down"), ("over", "under"), ("pre", "post"), ("in", "out"), ("in", "ex"),
                    ("im", "ex"), ("en", "dis"), ("intra", "inter"), ("hyper", "hypo"),
                    ("macro", "micro"), ("maxi", "mini"), ("multi", "single"), ("for", "back"),
                    ("as", "des"), ("inter", "exter"))  # fmt: skip
_OPPOSITE_ENDS = (("ful", "less"), ("er", "ee"), ("or", "ee"))
_MIN_REST = 3  # letters of what two opposites share
_ALMOST_THE_SAME = ({"when", "howlong"}, {"howmany", "howmuch"})
_LEAST_INITIALS = 2


@dataclass(frozen=True, slots=True)
class Difference:
    """Why an answer to `kept` is none to `asked`: the kind, and the words; "" for none."""

    kind: DifferenceKind
    kept: str
    asked: str


def differences(kept: str, asked: str) -> list[Difference]:
    """All that is seen to differ; an answer is given again only where there is nothing.

    Of a question of more than `MOST_WORDS` words that count it is not looked for: it differs.
    """
    if kept == asked:
        return []
    before, now = read(kept), read(asked)
    if max(len(before.words), len(now.words)) > MOST_WORDS:
        return [Difference("word", "a long question", "a long question")]
    matching = match(before, now)
    found = chain(
        _numbers(matching),
        _named("unit", before.units, now.units),
        _dates(before, now),
        _polarity(before, now, matching),
        _asked(before, now),
        (Difference(kind, *words) for kind, *words in role_differences(matching)),
        _replaced(matching, before, now),
        _names(matching, before.said, now.said),
    )
    return list(dict.fromkeys(found))


def _numbers(matching: Matching) -> Iterator[Difference]:
    """Numbers that one side has alone. "first" and "1" count where the other side has a number."""
    kept = Counter(word.form for word in matching.kept if word.kind == "number")
    asked = Counter(word.form for word in matching.asked if word.kind == "number")
    gone = [word for word in matching.kept if word.form in (kept - asked) and _counts(word, asked)]
    come = [word for word in matching.asked if word.form in (asked - kept) and _counts(word, kept)]
    gone = [word for word in gone if _is_said_elsewhere(word, matching.asked)]
    come = [word for word in come if _is_said_elsewhere(word, matching.kept)]
    if gone or come:
        is_date = any(_is_date(word) for word in (*gone, *come))
        yield Difference("date" if is_date else "number", _written(gone), _written(come))


def _counts(word: Word, others: Counter[str]) -> bool:
    return word.form != "1" or bool(word.unit) or bool(others)


def _is_said_elsewhere(number: Word, others: tuple[Word, ...]) -> bool:
    """Whether the other question would have to name the number: one in a name goes with it."""
    if not number.base:
        return True
    return any(other.base == number.base for other in others)


def _is_date(word: Word) -> bool:
    is_year = word.form.isdecimal() and not word.unit and int(word.form) in _YEARS
    return is_year or _DATE.fullmatch(word.form) is not None


def _named(
    kind: DifferenceKind, kept: frozenset[str], asked: frozenset[str]
) -> Iterator[Difference]:
    """Each side names what the other does not."""
    if kept - asked and asked - kept:
        yield Difference(kind, " ".join(sorted(kept - asked)), " ".join(sorted(asked - kept)))


def _dates(before: Reading, now: Reading) -> Iterator[Difference]:
    kept, asked = before.dates - now.dates, now.dates - before.dates
    if (kept or asked) and (kept | asked) != {"today"}:
        yield Difference("date", " ".join(sorted(kept)), " ".join(sorted(asked)))


def _polarity(before: Reading, now: Reading, matching: Matching) -> Iterator[Difference]:
    directions = lexicon().directions
    for pair in {pair for pair, _ in (*before.sides, *now.sides)}:
        first, second = (now.sides[pair, side] - before.sides[pair, side] for side in (0, 1))
        if first * second < 0:
            gone, come = ((pair, 0), (pair, 1)) if first < 0 else ((pair, 1), (pair, 0))
            kind: DifferenceKind = "direction" if pair in directions else "polarity"
            yield Difference(kind, before.side_words[gone], now.side_words[come])
    for kept in _at(matching.kept, matching.kept_alone):
        for asked in _at(matching.asked, matching.asked_alone):
            if _have_opposite_ends(kept.written, asked.written):
                yield Difference("direction", kept.written, asked.written)
    unheard = product(before.said - now.said, now.said - before.said)
    flips = sum(_is_denied_form(one, other) for one, other in unheard)
    if (before.negations + now.negations + flips) % 2:
        kept_not, asked_not = ("not" if one.negations else "" for one in (before, now))
        yield Difference("polarity", kept_not, asked_not)
    if before.is_limited != now.is_limited and matching.share >= _RELATED:
        yield Difference("polarity", *("only" if one.is_limited else "" for one in (before, now)))


def _is_denied_form(left: str, right: str) -> bool:
    """Whether one is the other with a prefix that denies it: locked and unlocked."""
    if left.endswith(right):
        left, right = right, left
    return (
        right.endswith(left)
        and right.removesuffix(left) in _NEGATIVE_PREFIXES
        and len(left) > _MIN_REST
    )


def _have_opposite_ends(left: str, right: str) -> bool:
    """Whether two words differ in opposite beginnings or endings alone: upload and download."""
    if left[-_MIN_REST:] != right[-_MIN_REST:] and left[:_MIN_REST] != right[:_MIN_REST]:
        return False
    for one, other in ((left, right), (right, left)):
        for begins, opposite in _OPPOSITE_STARTS:
            rest = one.removeprefix(begins)
            if rest != one and len(rest) >= _MIN_REST and other == opposite + rest:
                return True
        for ends, opposite in _OPPOSITE_ENDS:
            rest = one.removesuffix(ends)
            if rest != one and len(rest) >= _MIN_REST and other == rest + opposite:
                return True
    return False


def _asked(before: Reading, now: Reading) -> Iterator[Difference]:
    pair = {before.asks_for, now.asks_for}
    if len(pair) == 2 and "" not in pair and pair not in _ALMOST_THE_SAME:
        yield Difference("asked", before.asks_for, now.asks_for)


def _replaced(matching: Matching, before: Reading, now: Reading) -> Iterator[Difference]:
    """What stands in the place of something else, in a sentence that is else the same."""
    for change in changes(matching, before.sequence, now.sequence):
        words = (*change.kept, *change.asked)
        if words and all(word.kind == "number" for word in words):
            continue  # seen as numbers
        kind: DifferenceKind = "word"
        if not all((change.kept, change.asked)):
            kind = "direction"
        elif any(word.unit for word in words):
            kind = "unit"
        elif any(word.kind == "name" for word in words):
            kind = "name"
        yield Difference(kind, change.kept_said, change.asked_said)


def _names(
    matching: Matching, kept_said: frozenset[str], asked_said: frozenset[str]
) -> Iterator[Difference]:
    """Names that one side has alone, where the other has another one or nothing else is new."""
    kept_alone, asked_alone = matching.kept_alone, matching.asked_alone
    kept_names, asked_names = _names_alone(matching)
    kept_names = [name for name in kept_names if name.written not in asked_said]
    asked_names = [name for name in asked_names if name.written not in kept_said]
    are_all = len(kept_alone) + len(asked_alone) == len(kept_names) + len(asked_names)
    if (kept_names and asked_names) or ((kept_names or asked_names) and are_all):
        yield Difference("name", _written(kept_names), _written(asked_names))


def _names_alone(matching: Matching) -> tuple[list[Word], list[Word]]:
    """The names of either side that the other has in no form."""
    kept = _at(matching.kept, matching.kept_alone)
    asked = _at(matching.asked, matching.asked_alone)
    return (
        [word for word in kept if _is_name_of(word, matching.kept, matching.asked)],
        [word for word in asked if _is_name_of(word, matching.asked, matching.kept)],
    )


def _is_name_of(word: Word, own: Sequence[Word], others: Sequence[Word]) -> bool:
    """Whether it is a name that the other side has neither shortened nor written out."""
    if word.kind != "name" or _is_short_for(word, others):
        return False
    place = own.index(word)
    return not any(
        start <= place < start + len(other.written)
        for other in others
        if _is_short_for(other, own) and (start := _initials(own).find(other.written)) >= 0
    )


def _is_short_for(short: Word, words: Sequence[Word]) -> bool:
    """Whether a word is the initials of words that follow each other."""
    return len(short.written) >= _LEAST_INITIALS and short.written in _initials(words)


def _initials(words: Sequence[Word]) -> str:
    return "".join(word.written[0] for word in words)


def _at(words: tuple[Word, ...], places: Sequence[int]) -> list[Word]:
    return [words[place] for place in places if words[place].kind != "number"]


def _written(words: list[Word]) -> str:
    return " ".join(word.written for word in words)
