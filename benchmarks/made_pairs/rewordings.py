"""Harmless rewordings of real questions: what is asked for stays the same."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from benchmarks.made_pairs.words import MadePair, Vocabulary

Rewording = Callable[[str, random.Random, Vocabulary], "tuple[str, str] | None"]

_ENDS = ("in {0}", "on {0}", "for {0}", "with {0}")
_SPELLED = {"2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
            "8": "eight", "9": "nine", "10": "ten", "12": "twelve", "15": "fifteen",
            "20": "twenty", "30": "thirty", "45": "forty-five", "50": "fifty"}  # fmt: skip
_NO_NOUNS = frozenset("first second third last three four five united other most same".split())
_MIN_TYPED = 6


def in_other_manners(question: str, draw: random.Random, words: Vocabulary) -> str:
    """The same question in other case, politeness or punctuation."""
    change = draw.choice((_case, _polite, _punctuation))
    pair = change(question, draw, words)
    return pair[1] if pair else question


def _case(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    return question, draw.choice((str.lower, str.upper, str.capitalize))(question)


def _punctuation(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    bare = question.rstrip(" ?.!")
    plain = bare.replace(",", "")
    return question, draw.choice((bare, f"{bare}??", f"{plain} ?", f"{plain}...", f'"{bare}?"'))


def _polite(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    return question, draw.choice(words.polite).format(question)


def _contraction(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    pairs = [(a, b) if draw.random() < 0.5 else (b, a) for a, b in words.contracted]
    return _first_replaced(question, pairs)


def _typo(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    """One letter too few, too many, wrong or exchanged, in a long word that is no name."""
    places = [
        match
        for match in re.finditer(r"[a-z]+", question)
        if len(match.group()) >= _MIN_TYPED
        and (match.start() == 0 or question[match.start() - 1] == " ")
    ]
    if not places:
        return None
    match = draw.choice(places)
    word = match.group()
    at = draw.randrange(1, len(word) - 1)
    letter = draw.choice("abcdefghijklmnopqrstuvwxyz")
    wrong = draw.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + letter + word[at + 1 :],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        )
    )
    return question, f"{question[: match.start()]}{wrong}{question[match.end() :]}"


def _spelled(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    for digits, spelled in _SPELLED.items():
        if re.search(rf"(?<![\w.,-]){digits}(?![\w.,-])", question):
            return question, re.sub(rf"(?<![\w.,-]){digits}(?![\w.,-])", spelled, question)
        if re.search(rf"\b{spelled}\b", question):
            return question, re.sub(rf"\b{spelled}\b", digits, question)
    digits, spelled = draw.choice(list(_SPELLED.items()))
    unit = draw.choice(words.units)
    bare = question.rstrip(" ?")
    pair = f"{bare} for {digits} {unit}", f"{bare} for {spelled} {unit}"
    return pair if draw.random() < 0.5 else pair[::-1]


def _opening(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    openings = list(words.openings)
    draw.shuffle(openings)
    for plain, other in openings:
        if question.lower().startswith(f"{plain} "):
            return question, f"{other}{question[len(plain) :]}"
    return None


def _moved(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    """A phrase from the end to the beginning."""
    phrase = draw.choice(_ENDS).format(draw.choice(words.names))
    bare = question.rstrip(" ?")
    return f"{bare} {phrase}?", f"{phrase[0].upper()}{phrase[1:]}, {bare}?"


def _synonym(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    return _first_replaced(question, words.synonyms)


def _form(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    """One word in the plural or not."""
    found = re.search(r"(?:\b(?:a|an|the|my|your) )([a-z]{4,}[^s\Ws])\b(?= |\?|$)", question)
    if not found or found.group(1).endswith("y") or found.group(1) in _NO_NOUNS:
        return None
    return question, f"{question[: found.end(1)]}s{question[found.end(1) :]}"


def _filler(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    said = question.split(" ")
    if len(said) < 4:
        return None
    at = draw.randrange(2, len(said))
    return question, " ".join([*said[:at], draw.choice(words.fillers), *said[at:]])


def _british(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    pairs = words.british
    found = _first_replaced(question, [*pairs, *((pair[1], pair[0]) for pair in pairs)])
    if found:
        return found
    end = draw.choice(words.british_ends)
    one, other = draw.choice(pairs)
    bare = question.rstrip(" ?")
    return f"{bare} {end.format(one)}?", f"{bare} {end.format(other)}?"


def _first_replaced(question: str, pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    for plain, other in pairs:
        found = re.search(rf"\b{re.escape(plain)}\b(?!['’])", question, re.IGNORECASE)
        if found:
            start, end = found.span()
            capital = found.group()[0].isupper() and plain[0].islower()
            said = other[0].upper() + other[1:] if capital else other
            return question, f"{question[:start]}{said}{question[end:]}"
    return None


REWORDINGS: dict[str, Rewording] = {
    "case": _case,
    "punctuation": _punctuation,
    "politeness": _polite,
    "contraction": _contraction,
    "typing error": _typo,
    "number in words": _spelled,
    "opening": _opening,
    "phrase moved": _moved,
    "synonym": _synonym,
    "word form": _form,
    "filler": _filler,
    "British spelling": _british,
}


def rewordings(
    questions: Sequence[str], per_kind: int, words: Vocabulary, seed: int
) -> list[MadePair]:
    """As many of each kind as the questions give; one question once in a kind."""
    made = []
    for kind, reword in REWORDINGS.items():
        draw = random.Random(f"{seed}/{words.name}/{kind}/{questions[0]}")
        order = list(questions)
        draw.shuffle(order)
        found: dict[tuple[str, str], str] = {}
        for question in order:
            pair = reword(question, draw, words)
            if pair and pair[0] != pair[1]:
                found[pair] = question
            if len(found) == per_kind:
                break
        made.extend(MadePair(kind, *pair, source) for pair, source in found.items())
    return made
