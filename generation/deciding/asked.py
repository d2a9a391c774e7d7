"""What is known of a question before anything is generated for it.

Measures of its text stand beside its vector, its group and whatever signals retrieval gives. They
are about how much is asked and how: sizes, numbers, signs of mathematics, the shape of the words.
Words that deny or compare are known in English alone; in another language these two stay 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.types import Vector

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"[.!?。！？؟](?:\s|$)|\n")
_MATHS = re.compile(r"[=+*/^<>%$\\{}\[\]()|_~]")
_FRACTION = re.compile(
    r"\d\s*/\s*\d|%|\b(?:percent|half|thirds?|quarters?|fourths?|fifths?|ratio)\b", re.IGNORECASE
)
_DENIAL = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|except|cannot|least|false|incorrect)\b|n['’]t\b",
    re.IGNORECASE,
)
_COMPARISON = re.compile(
    r"\b(?:than|more|less|fewer|each|every|per|times|as|remaining|left|rest|ratio|percent|average|"
    r"total|difference|between|both|until|after|before|if|then)\b",
    re.IGNORECASE,
)
_LONG_WORD = 9
_LARGEST = 1e12  # what is longer than this is a serial number, and no harder to reckon with


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it stands before an answer is generated.

    `vector` has shape `[dimension]`. `group` is the collection, or what else sets questions apart;
    empty where nothing does. `signals` are further numbers by name, as the scores of what was
    retrieved; None, or left out, where one is missing.
    """

    question: str
    vector: Vector
    group: str = ""
    signals: Mapping[str, float | None] = field(default_factory=dict)


def measures(question: str) -> dict[str, float]:
    """Measures of a question's text, by name; sizes and counts as logarithms."""
    words = _WORD.findall(question)
    numbers = _NUMBER.findall(question)
    lines = [line for line in question.split("\n") if line.strip()] or [""]
    characters, count = max(len(question), 1), max(len(words), 1)
    sentences = len(_SENTENCE_END.findall(question))
    maths = len(_MATHS.findall(question))
    return {
        "characters": math.log(characters),
        "words": math.log1p(len(words)),
        "sentences": math.log1p(sentences),
        "lines": math.log1p(len(lines)),
        "words a sentence": len(words) / max(sentences, 1),
        "first line": math.log1p(len(lines[0])),
        "last line": math.log1p(len(lines[-1])),
        "commas": math.log1p(question.count(",")),
        "numbers": math.log1p(len(numbers)),
        "largest number": math.log1p(max(map(_value, numbers), default=0.0)),
        "decimal numbers": math.log1p(sum("." in number for number in numbers)),
        "fractions": math.log1p(len(_FRACTION.findall(question))),
        "digits": sum(map(len, numbers)) / characters,
        "signs of mathematics": math.log1p(maths),
        "share of such signs": maths / characters,
        "capitals": sum(map(str.isupper, question)) / characters,
        "letters a word": sum(map(len, words)) / count,
        "long words": sum(len(word) >= _LONG_WORD for word in words) / count,
        "distinct words": len({word.lower() for word in words}) / count**0.9,
        "denials": math.log1p(len(_DENIAL.findall(question))),
        "comparisons": math.log1p(len(_COMPARISON.findall(question))),
    }


def _value(number: str) -> float:
    """What a number is worth, as far as its notation tells; commas are taken to group digits."""
    whole, _, rest = number.replace(",", "").partition(".")
    return min(float(f"{whole}.{rest.replace('.', '')}"), _LARGEST)
