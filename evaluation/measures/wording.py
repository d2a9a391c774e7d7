"""Whether a text says what a reference answer says, by the rules of SQuAD (1606.05250).

Compared are words in lower case, without punctuation and without "a", "an" and "the".
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_MARKERS = re.compile(r"\[\d+\]")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text: str) -> list[str]:
    """The words that are compared; markers of citations are none."""
    bare = _MARKERS.sub(" ", text).lower().translate(_PUNCTUATION)
    return _ARTICLES.sub(" ", bare).split()


def holds(text: str, answers: Sequence[str]) -> bool:
    """Whether the words of one of the answers stand in the text, in a row."""
    padded = f" {' '.join(words(text))} "
    return any(f" {' '.join(found)} " in padded for answer in answers if (found := words(answer)))


def exact_match(text: str, answers: Sequence[str]) -> float:
    """1 where the text is one of the answers, word for word, and 0 otherwise."""
    return float(any(words(text) == words(answer) for answer in answers))


def token_f1(text: str, answers: Sequence[str]) -> float:
    """The harmonic mean of precision and recall of words, 0 to 1, for the answer nearest to it."""
    return max(_f1(words(text), words(answer)) for answer in answers)


def _f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return float(given == wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))
