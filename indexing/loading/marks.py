"""The mark of a source: tells, the next time, whether what stands there is still the same."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """What was read, and how.

    `recipe` names the rules by which it was read; `content` is the SHA-256 of its bytes. `hint` is
    what tells without reading that they are the same, as a modification time does; it is empty
    where nothing tells.
    """

    recipe: str
    content: str
    hint: str

    def __str__(self) -> str:
        return f"{self.recipe} {self.content} {self.hint}"

    def says_the_same_as(self, other: Mark | None) -> bool:
        """Whether equal bytes were read by equal rules."""
        return other is not None and self.recipe == other.recipe and self.content == other.content


def parse_mark(text: str | None, recipe: str) -> Mark | None:
    """The mark in `text`; None when there is none, or it was made by another recipe."""
    if text is None or not text.startswith(f"{recipe} "):
        return None
    content, _, hint = text.removeprefix(f"{recipe} ").partition(" ")
    return Mark(recipe, content, hint)
