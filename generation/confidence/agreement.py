"""Do two answers to one question say the same? Compared by what they add to the question.

Words that the question has already used are left out: what remains of an answer is what it says.
The shorter of the two is looked for in the longer one, by the overlap coefficient of Szymkiewicz
and Simpson, so that a name alone agrees with a sentence that gives it. The same words in other
roles ("A beat B", "B beat A") look alike here.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from generation.writing.wording import Wording, stands_in, wording_of


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two answers go together, each 0 to 1; None where one of them has nothing to compare.

    - `words`: the share of the shorter answer's content, numbers included, that the other one has
    - `names` and `numbers`: the same of each alone
    - `polarity`: the share of the words that both use which both affirm, or both deny
    """

    words: float | None
    names: float | None
    numbers: float | None
    polarity: float | None


def agreement(question: str, first: str, second: str, language: str | None) -> Agreement:
    """How far two answers to a question agree; the order of the two makes no difference."""
    asked = wording_of(question, language)
    one, other = wording_of(first, language), wording_of(second, language)
    return Agreement(
        words=_overlap(_content(one, asked), _content(other, asked)),
        names=_overlap(_new(one.names, asked.words), _new(other.names, asked.words)),
        numbers=_overlap(_numbers(one, asked), _numbers(other, asked)),
        polarity=_same_polarity(one, other),
    )


def _new(terms: Set[str], known: Set[str]) -> frozenset[str]:
    return frozenset(term for term in terms if term not in known)


def _numbers(says: Wording, asked: Wording) -> frozenset[str]:
    return (says.numbers | says.spelled) - (asked.numbers | asked.spelled)


def _content(says: Wording, asked: Wording) -> frozenset[str]:
    return _new(says.terms, asked.words) | _numbers(says, asked)


def _overlap(first: Set[str], second: Set[str]) -> float | None:
    shorter, longer = sorted((first, second), key=len)
    if not shorter:
        return None
    return sum(stands_in(term, longer) for term in shorter) / len(shorter)


def _same_polarity(one: Wording, other: Wording) -> float | None:
    shared = one.terms & other.terms
    if not shared:
        return None
    same = sum(
        (term in one.affirmed and term in other.affirmed)
        or (term in one.denied and term in other.denied)
        for term in shared
    )
    return same / len(shared)
