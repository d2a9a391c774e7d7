"""The words that the checks of reuse know: opposites, synonyms, units, dates, phrases, fillers.

They stand in `words.json`, in English; what is in no list is compared as it is written. In
`confusable.json` are known words that are one letter from another known word, so that "contract" is
not taken for "contact" with a typing error; `benchmarks/fit_sameness.py` writes it.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from rag.terms import content_terms, text_terms

_BRITISH = (
    (re.compile(r"(?<=\w{3})is(e[sdr]?|ing|ations?)$"), r"iz\1"),
    (re.compile(r"(?<=\w{3})ys(e[sdr]?|ing)$"), r"yz\1"),
    (re.compile(r"(?<=\w{3})our(s|ed|ing|ite|ites|able|al|ful|ly|er|ers)?$"), r"or\1"),
    (re.compile(r"(?<=\w{2})ll(ed|ing|ers?|ation|ations)$"), r"l\1"),
    (re.compile(r"(?<=\w{2})tre(s|d)?$"), r"ter\1"),
    (re.compile(r"(?<=\w{2})ogue(s)?$"), r"og\1"),
    (re.compile(r"(?<=\w{3})ence(s)?$"), r"ense\1"),
    (re.compile(r"^(gr)ey"), r"\1ay"),
    (re.compile(r"^programme"), "program"),
    (re.compile(r"^cheque"), "check"),
)
"""Both sides are written alike, so that a word that is no British spelling loses nothing by it."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The lists by the forms of their words.

    `sides` gives the numbers of the pairs of opposites that a form is in, and on which side;
    `directions` are the pairs that tell a direction. `units` and `dates` give the one word that
    stands for a unit or a date.
    """

    synonyms: Mapping[str, frozenset[int]]
    sides: Mapping[str, Sequence[tuple[int, int]]]
    directions: frozenset[int]
    units: Mapping[str, str]
    dates: Mapping[str, str]
    phrases: Mapping[str, str]
    phrase: re.Pattern[str]
    filler: frozenset[str]
    confusable: frozenset[str]


@cache
def lexicon() -> Lexicon:
    """The lists that come with the project."""
    record: dict[str, Any] = json.loads(
        files(__package__).joinpath("words.json").read_text("utf-8")
    )
    sides: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    opposites = [*record["directions"], *record["opposites"]]
    for number, pair in enumerate(opposites):
        for side, words in enumerate(pair):
            for word in words:
                sides[form_of(word)].add((number, side))
    synonyms: defaultdict[str, set[int]] = defaultdict(set)
    for number, words in enumerate(record["synonyms"]):
        for word in words:
            synonyms[form_of(word)].add(number)
    longest_first = sorted(record["phrases"], key=lambda phrase: (-len(phrase), phrase))
    return Lexicon(
        synonyms={form: frozenset(numbers) for form, numbers in synonyms.items()},
        sides={form: sorted(found) for form, found in sides.items()},
        directions=frozenset(range(len(record["directions"]))),
        units=_named(record["units"]),
        dates=_named(record["dates"]),
        phrases=record["phrases"],
        phrase=re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b"),
        filler=frozenset(record["filler"]),
        confusable=frozenset(_record("confusable.json")["words"]),
    )


def _record(name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(files(__package__).joinpath(name).read_text("utf-8"))
    return record


def _named(lists: Mapping[str, Sequence[str]]) -> dict[str, str]:
    return {word: name for name, words in lists.items() for word in words}


@lru_cache(maxsize=100_000)
def form_of(word: str) -> str:
    """The stem of a word in small letters, British and American spelling alike; "c++" stays."""
    if word.endswith(("+", "#")):
        return word
    for pattern, american in _BRITISH:
        word = pattern.sub(american, word)
    return next(iter(text_terms(word)), word)


@lru_cache(maxsize=100_000)
def is_function_word(word: str) -> bool:
    """Whether a word in small letters carries no matter of its own."""
    return not content_terms(word) or word in lexicon().filler
