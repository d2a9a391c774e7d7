"""Cuts a sentence into clauses, for budgets that hold no two whole sentences.

Cuts fall behind commas, semicolons, colons and brackets, and before the words that open a clause or
a phrase in English; a text without any stays whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from rag.types import Span

_MIN_WORDS = 6  # a shorter piece seldom says anything by itself
_WHOLE_UP_TO_WORDS = 14
_OPENING = (
    "and|but|or|which|who|whose|where|while|when|after|before|because|although|since|by|from|with|"
    "until|between|as|in|on|at|for|that|during|including"
)
# The look behind lets a run of spaces be tried once only, not again from each of its spaces.
_CUT = re.compile(rf"(?<=[,;:)])\s+|(?<!\s)\s+(?=(?:{_OPENING})\s|\(|[–—-]\s)")


def clauses_of(text: str, sentence: Span) -> Iterator[Span]:
    """The clauses of a sentence, in order; `text` is its characters. They tile it but for spaces.

    A sentence of up to 14 words, and one that has no place to be cut, is one clause.
    """
    bounds = [0]
    if len(text.split()) > _WHOLE_UP_TO_WORDS:
        for match in _CUT.finditer(text):
            if len(text[bounds[-1] : match.start()].split()) >= _MIN_WORDS:
                bounds.append(match.end())
        if len(bounds) > 1 and len(text[bounds[-1] :].split()) < _MIN_WORDS:
            bounds.pop()
    for start, end in pairwise([*bounds, len(text)]):
        yield Span(sentence.start + start, sentence.start + start + len(text[start:end].rstrip()))
