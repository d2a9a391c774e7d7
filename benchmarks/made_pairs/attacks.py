"""Pairs that look alike and ask for different things, made from real questions."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from benchmarks.made_pairs.rewordings import in_other_manners
from benchmarks.made_pairs.words import MadePair, Vocabulary

_NUMBER = re.compile(r"(?<![\w.,-])\d{1,4}(?![\w.,-])")
_REWORDED = 0.3
"""The share of attacks that are asked in other manners too."""


Attack = Callable[[str, random.Random, Vocabulary], "tuple[str, str] | None"]


def attacks(
    questions: Sequence[str], per_kind: int, words: Vocabulary, seed: int
) -> list[MadePair]:
    """As many of each kind; a question that a kind does not fit is passed over."""
    made = []
    for kind, attack in ATTACKS.items():
        draw = random.Random(f"{seed}/{words.name}/{kind}/{questions[0]}")
        found: set[tuple[str, str]] = set()
        while len(found) < per_kind:
            source = draw.choice(questions)
            pair = attack(source, draw, words)
            if pair is None or pair[0] == pair[1] or pair in found:
                continue
            found.add(pair)
            kept, asked = pair if draw.random() < 0.5 else pair[::-1]
            if draw.random() < _REWORDED:
                asked = in_other_manners(asked, draw, words)
            made.append(MadePair(kind, kept, asked, source))
    return made


def with_end(question: str, end: str) -> str:
    """The question with a few words more at its end."""
    sign = "?" if question.rstrip().endswith("?") else ""
    return f"{question.rstrip(' ?.')} {end}{sign}"


def _both(question: str, ends: tuple[str, str]) -> tuple[str, str]:
    return with_end(question, ends[0]), with_end(question, ends[1])


def _number(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    found = _NUMBER.search(question)
    if found:
        changed = str(int(found.group()) + draw.choice((-1, 1, 2, 10)))
        return question, f"{question[: found.start()]}{changed}{question[found.end() :]}"
    unit = draw.choice(words.units)
    one, other = draw.sample((2, 3, 4, 5, 6, 7, 10, 12, 15, 20, 50, 100, 250), 2)
    spelled = {2: "two", 3: "three", 7: "seven", 10: "ten", 12: "twelve", 20: "twenty"}
    said = spelled.get(other, str(other)) if draw.random() < 0.5 else str(other)
    return _both(question, (f"within {one} {unit}", f"within {said} {unit}"))


def _unit(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    one, other = draw.sample(words.units, 2)
    count = draw.choice(("5", "10", "three", "2.5", "many", "30"))
    return _both(question, (f"for {count} {one}", f"for {count} {other}"))


def _name(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    one, other = draw.sample(words.names, 2)
    word = draw.choice(("in", "for", "with", "from", "of", "by"))
    pair = _both(question, (f"{word} {one}", f"{word} {other}"))
    return (pair[0].lower(), pair[1].lower()) if draw.random() < 0.5 else pair


def _antonym(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    pairs = words.antonyms
    for one, other in pairs:
        if re.search(rf"\b{one}\b", question):
            return question, re.sub(rf"\b{one}\b", other, question)
    one, other = draw.choice(pairs)
    noun = draw.choice(("account", "version", "model", "option", "system", "document", "member"))
    return _both(question, (f"for the {one} {noun}", f"for the {other} {noun}"))


def _not(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    if draw.random() < 0.5:
        return _both(question, draw.choice(words.negating_ends))
    for plain, negated in words.negated:
        found = re.search(rf"\b{plain}\b(?! not\b|n't)", question)
        if found:
            return question, f"{question[: found.start()]}{negated}{question[found.end() :]}"
    return None


def _date(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    return _both(question, draw.choice(words.dates))


def _direction(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    if draw.random() < 0.5:
        placed = draw.choice(words.placed)
        place = draw.choice(words.places)
        return _both(question, (f"{placed[0]} {place}", f"{placed[1]} {place}"))
    verbs = draw.choice(words.directed_verbs)
    thing = draw.choice(words.objects)
    if draw.random() < 0.5:
        return _both(question, (f"when I {verbs[0]} {thing}", f"when I {verbs[1]} {thing}"))
    name = draw.choice(words.names)
    return f"How do I {verbs[0]} {thing} in {name}?", f"How do I {verbs[1]} {thing} in {name}?"


def _role(question: str, draw: random.Random, words: Vocabulary) -> tuple[str, str] | None:
    things = words.role_nouns if draw.random() < 0.3 else words.names
    one, other = draw.sample(things, 2)
    form = draw.choice(words.roles)
    pair = form.format(a=one, b=other), form.format(a=other, b=one)
    return (pair[0].lower(), pair[1].lower()) if draw.random() < 0.3 else pair


ATTACKS: dict[str, Attack] = {
    "number": _number,
    "unit": _unit,
    "name": _name,
    "antonym": _antonym,
    "not": _not,
    "date": _date,
    "direction": _direction,
    "role": _role,
}
