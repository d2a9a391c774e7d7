"""The words that attacks and rewordings are made with; none of them is taken from the checks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class MadePair:
    """A kept question, what is asked, what was done, and the real question it is made from."""

    kind: str
    kept: str
    asked: str
    source: str


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words by what is made with them; pairs are the kept and the asked word.

    The ends and the polite forms have a place for the word or the question, the roles for two.
    """

    name: str
    units: list[str]
    names: list[str]
    antonyms: list[Pair]
    directed_verbs: list[Pair]
    objects: list[str]
    placed: list[Pair]
    places: list[str]
    negated: list[Pair]
    negating_ends: list[Pair]
    dates: list[Pair]
    roles: list[str]
    role_nouns: list[str]
    synonyms: list[Pair]
    british: list[Pair]
    british_ends: list[str]
    polite: list[str]
    fillers: list[str]
    contracted: list[Pair]
    openings: list[Pair]


def vocabulary(name: str) -> Vocabulary:
    """`seen`, which the checks were built with, or `held_out`, which they were not."""
    record = json.loads(Path(__file__).with_name(f"{name}.json").read_text("utf-8"))
    return Vocabulary(name, **record)
