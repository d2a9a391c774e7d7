"""The words of a question that carry its meaning, and how much of them a text holds.

Words are compared by their Snowball stems (Porter), in English; a word of another language is cut
as if it were English, the same way on both sides.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Set
from functools import lru_cache
from threading import Lock
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?", re.UNICODE)
_STEMMER_LOCK = Lock()  # a stemmer keeps the word that it works on
_REMEMBERED_TEXTS = 10_000
_FUNCTION_WORDS = frozenset(
    """
    a about after all also am an and any are as at be because been before being between
    both but by can could did do does doing done each for from get gets had has have
    having he her here him his how i if in into is it its just kind many may me might mine
    more most much must my no not of off on one only or other our out over own same shall
    she should so some such than that the their them then there these they this those
    through to too type under until up us use used using very was we were what when where
    which while who whom whose why will with would you your name called come comes happen
    happens mean means made make makes
    """.split()
)


def question_terms(question: str) -> frozenset[str]:
    """The stems of the question's content words; all of its words when it has no such."""
    return content_terms(question) or text_terms(question)


def content_terms(text: str) -> frozenset[str]:
    """The stems of the content words of a text; none when it has no such."""
    words = _WORD.findall(text.lower())
    return frozenset(_stem(word) for word in words if word not in _FUNCTION_WORDS)


@lru_cache(maxsize=_REMEMBERED_TEXTS)
def text_terms(text: str) -> frozenset[str]:
    """The stems of all words of a text; remembered, since the same chunks are hit often."""
    return frozenset(_stem(word) for word in _WORD.findall(text.lower()))


def term_weights(terms: Collection[str], texts: Iterable[Set[str]]) -> dict[str, float]:
    """BM25's inverse document frequency of each term among `texts`, summing to 1."""
    counts: Counter[str] = Counter()
    total = 0
    for text in texts:
        total += 1
        counts.update(term for term in terms if term in text)
    weights = {
        term: math.log(1 + (total - counts[term] + 0.5) / (counts[term] + 0.5)) for term in terms
    }
    whole = sum(weights.values()) or 1.0
    return {term: weight / whole for term, weight in weights.items()}


def coverage(weights: Mapping[str, float], text: Set[str]) -> float:
    """The weight, 0 to 1, of the terms that stand in `text`."""
    return sum(weight for term, weight in weights.items() if term in text)


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    with _STEMMER_LOCK:
        return str(_stemmer().stemWord(word))


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    from Stemmer import Stemmer

    return Stemmer("english", maxCacheSize=0)  # stems are remembered above
