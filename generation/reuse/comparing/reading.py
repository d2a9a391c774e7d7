"""A question as the checks of reuse read it: its words in order, numbers with units, "not"s.

Written for English; of other languages it knows the numbers, the names and the order of the words.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from generation.reuse.comparing.lexicon import form_of, is_function_word, lexicon
from generation.reuse.comparing.quantities import Token, with_numbers
from generation.reuse.normal import spelled_out, without_manners
from generation.writing.languages import function_words
from generation.writing.wording import wording_of

Kind = Literal["content", "name", "number", "light"]

_TOKEN = re.compile(
    r"(?P<number>(?<![\w.])[-−]?\d+(?:[.,:/-]\d+)*|\d+(?:[.,]\d+)*)|"
    r"(?P<word>[^\W\d_]+(?:\d\w*|(?:'[^\W\d_]+)*[+#]*)|[$€£¥₹%]|°[cf]?)|(?P<break>[,;:?!()]|\.(?=\s|$))"
)
_CASED = re.compile(r"[^\W_]+(?:['’][^\W_]+)?|[.?!:]")
_NEGATORS = frozenset(
    "not no never neither nor none nothing nobody without non hardly barely seldom rarely lack "
    "lacks lacking nicht kein keine".split()
)
_MARKS = {
    mark: mark
    for mark in (
        "to from in on at by with for of than before after since until over under above below "
        "between through against as about per via vs outof without instead because if when while "
        "during within beyond inside outside near farfrom off throughout despite except past "
        "beside among across along around"
    ).split()
} | {"into": "to", "onto": "to", "towards": "to", "toward": "to", "till": "until", "upon": "on",
     "behind": "after", "atop": "above", "beneath": "below", "underneath": "below"}  # fmt: skip
_CLAUSE_MARKS = frozenset({"before", "after", "since", "until", "because", "if", "when", "while"})
_ARTICLES = frozenset("the a an my your our their his her its this that these those".split())
_ASKED = {
    "who": "who", "whom": "who", "whose": "who", "when": "when", "where": "where", "why": "why",
    "howmany": "howmany", "howmuch": "howmuch", "howlong": "howlong", "howoften": "howoften",
    "howfar": "howfar", "howold": "howold", "howshort": "howshort", "hownear": "hownear",
}  # fmt: skip
_OPEN = frozenset(
    "what which how is are was were am do does did can could will would shall should may might has "
    "have had".split()
)
_LIGHT = frozenset(
    "own owns owned use uses used using have has had make makes made get gets got need needs want "
    "wants like likes give gives gave call calls called know knows take takes took".split()
)
"""Verbs that carry little matter, and stand between who does and what it is done to."""
_CEASED = re.compile(r"\b(?:stop|stops|stopped|quit|quits) (?=\w+ing\b)")
_FREE_OF = re.compile(r"\b(\w+)-free\b")
_JOINED = re.compile(r"\b[a-z]+(?:-[a-z]+)+\b")
_PREFIXES = frozenset("un de dis non anti pre post self co counter e re sub".split())
_ONLY = re.compile(
    r"\b(?:(?:all|every\w*|any(?:one|body|thing|where)|nothing|none)(?: \w+)? but|"
    r"alone|solely|exclusively|merely)\b"
)
_PRONOUNS = frozenset("i you we one me us it he she they them".split())
_FIRST_PERSON = frozenset("I I'm I've I'd I'll I’m I’ve I’d I’ll".split())
_ENDING = _OPEN | frozenset("that who whom where when why so then but must".split())
"""Words that a preposition does not reach over."""
_SHORT_NAMES = frozenset({"us", "it", "a"})  # the country, the trade, and type A
_MIN_FREE_UNIT = 4  # letters; a shorter word is a unit behind a number alone
_FREE_UNITS = frozenset("usd eur gbp chf jpy $ € £ ¥ ₹ % °c °f day mile".split())


@dataclass(frozen=True, slots=True)
class Word:
    """A word of content, a name, a number or a light verb: as `written`, and as it is compared.

    `mark` is the preposition or conjunction before it, "" without one. A number has its `unit`, ""
    without one, and the name that it is a part of as its `base` ("covid" of COVID-19). `at` is its
    place in the `sequence` of its reading.
    """

    written: str
    form: str
    kind: Kind
    mark: str = ""
    unit: str = ""
    base: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a question says: the words that count, and all that are `said`.

    `sequence` is all that is said in its order, articles and pronouns left out, words by
    their forms. `is_limited` tells of an "only", an "except" or an "all but". `sides` counts the
    words on each side of each pair of opposites, and `side_words` holds one of them. `units` and
    `dates` are all that are named. `asks_for` is who, when, where, why, howmany and their like; ""
    where it may be anything.
    """

    words: tuple[Word, ...]
    sequence: tuple[str, ...]
    said: frozenset[str]
    negations: int
    is_limited: bool
    sides: Mapping[tuple[int, int], int]
    side_words: Mapping[tuple[int, int], str]
    units: frozenset[str]
    dates: frozenset[str]
    asks_for: str


@lru_cache(maxsize=20_000)
def read(question: str) -> Reading:
    """The reading of a question; remembered, since kept questions are read again and again."""
    known = lexicon()
    text = without_manners(spelled_out(question))
    text = known.phrase.sub(lambda found: known.phrases[found.group()], text)
    text = _JOINED.sub(_as_one_word, _FREE_OF.sub(r"without \1", _CEASED.sub("not ", text)))
    plain = list(_tokens(text))
    tokens = with_numbers(plain)
    small = [token.text for token in plain if token.kind == "word"]
    side_words = {side: word for word in small for side in known.sides.get(form_of(word), ())}
    sides = Counter(side for word in small for side in known.sides.get(form_of(word), ()))
    words, sequence = _in_order(tokens, dict(_words(tokens, names_in(question), _empty(question))))
    free = (word for word in small if len(word) >= _MIN_FREE_UNIT or word in _FREE_UNITS)
    return Reading(
        words=words,
        sequence=sequence,
        said=frozenset(small),
        negations=sum(word in _NEGATORS for word in small),
        is_limited=_ONLY.search(text) is not None or wording_of(text, None).is_limited,
        sides=sides,
        side_words=side_words,
        units=frozenset(known.units[word] for word in free if word in known.units)
        | {word.unit for word in words if word.unit},
        dates=frozenset(known.dates[word] for word in small if word in known.dates),
        asks_for=_asks_for(small),
    )


def _as_one_word(joined: re.Match[str]) -> str:
    """ "one-off" says more than its parts do."""
    parts = joined.group().split("-")
    is_one = parts[0] in _PREFIXES or all(map(is_function_word, parts))
    return "".join(parts) if is_one else joined.group()


def _tokens(text: str) -> Iterator[Token]:
    end = 0
    for found in _TOKEN.finditer(text):
        yield Token(found.group(), found.lastgroup or "", text[end : found.start()])
        end = found.end()


def names_in(question: str) -> frozenset[str]:
    """The words, in small letters, that are written as names; none where capitals tell none."""
    tokens = _CASED.findall(question)
    words = [token for token in tokens if token[0].isalnum()]
    if _is_german(question) or 2 * sum(word[0].isupper() for word in words[1:]) > len(words):
        return frozenset()
    names = set()
    starts = True
    for token in tokens:
        if token[0].isalnum():
            inside = any(map(str.isupper, token[1:]))
            if inside or (token[0].isupper() and not starts and token not in _FIRST_PERSON):
                names.add(token.lower())
        starts = not token[0].isalnum()
    return frozenset(name for name in names if not is_function_word(name) or name in _SHORT_NAMES)


@lru_cache(maxsize=1_000)
def _is_german(question: str) -> bool:
    """All nouns begin with capitals there."""
    small = {word.lower() for word in _CASED.findall(question)}
    german, english = function_words("de"), function_words("en")
    return len(small & (german - english)) > len(small & (english - german))


def _empty(question: str) -> frozenset[str]:
    """Words without matter that are not English."""
    return function_words("de") if _is_german(question) else frozenset()


def _in_order(
    tokens: Sequence[Token], words: Mapping[int, Sequence[Word]]
) -> tuple[tuple[Word, ...], tuple[str, ...]]:
    """The words with their places in the sequence, and the sequence."""
    left_out = _ARTICLES | _PRONOUNS
    placed: list[Word] = []
    sequence: list[str] = []
    for place, token in enumerate(tokens):
        for word in words.get(place, ()):
            placed.append(replace(word, at=len(sequence)))
            sequence.append(word.form)
        if place not in words and token.kind == "word" and token.text not in left_out:
            sequence.append(_MARKS.get(token.text, token.text))
    return tuple(placed), tuple(sequence)


def _words(
    tokens: Sequence[Token], names: frozenset[str], empty: frozenset[str]
) -> Iterator[tuple[int, list[Word]]]:
    """The words that count, by the places of their tokens; a number brings its unit."""
    mark = ""
    units = lexicon().units
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else None
        if token.kind == "break":
            mark = ""
        elif token.kind == "number":
            base = _base(before, token, names)
            after = tokens[place + 1].text if place + 1 < len(tokens) else ""
            around = (after, before.text if before and not before.text.isalpha() else "")
            unit = next((units[word] for word in around if word in units), "")
            said = [Word(token.written, token.text, "number", mark, unit, base)]
            yield place, [*said, Word(unit, unit, "content", mark, unit)] if unit else said
        elif token.text in units and before and before.kind == "number":
            yield place, []  # said with the number
        elif token.text in _MARKS:
            mark = "" if _asks_when(tokens[place : place + 2]) else _MARKS[token.text]
        elif token.text in names or not (token.text in empty or is_function_word(token.text)):
            kind: Kind = "name" if token.text in names else "content"
            yield place, [Word(token.text, form_of(token.text), kind, mark)]
        elif token.text in _LIGHT:
            yield place, [Word(token.text, form_of(token.text), "light")]
            mark = mark if mark in _CLAUSE_MARKS else ""
        elif token.text in _ENDING and mark not in _CLAUSE_MARKS:
            mark = ""


def _asks_when(tokens: Sequence[Token]) -> bool:
    """Whether a "when" asks, as in "when did"."""
    return tokens[0].text == "when" and tokens[-1].text in _OPEN


def _base(before: Token | None, number: Token, names: frozenset[str]) -> str:
    """The name that a number is a part of: one that it is written onto, or one in capitals."""
    if before is None or before.kind != "word" or not before.text[0].isalpha():
        return ""
    is_onto = number.gap in ("", "-") or (number.gap == " " and before.text in names)
    return before.text if is_onto else ""


def _asks_for(words: Sequence[str]) -> str:
    """By the first word that asks; a question that begins with a verb asks for yes or no."""
    for word, following in pairwise([*words, ""]):
        if word == "when" and following not in _OPEN:
            return ""  # "When I pay, ..."
        if word in _ASKED:
            return _ASKED[word]
        if word in _OPEN:
            return ""
    return ""
