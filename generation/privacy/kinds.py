"""The kinds of personal data, and where they stand in a text."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["email", "iban", "card", "ip", "phone", "name"]

KINDS: tuple[Kind, ...] = ("email", "iban", "card", "ip", "phone", "name")
"""All of them. Where two claim the same characters, the one that stands first here has them."""


@dataclass(frozen=True, slots=True)
class Personal:
    """Personal data: the characters `[start, end)` of a text."""

    kind: Kind
    start: int
    end: int


class Finder(Protocol):
    """Finds personal data."""

    def find(self, text: str, kinds: Collection[Kind]) -> list[Personal]:
        """What is of these kinds, in order; no two overlap."""
