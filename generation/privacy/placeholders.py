"""Placeholders that stand for personal data, and their way back into what a model writes.

A placeholder is `<EMAIL_1>`: its kind, and the place of its value among those of its kind, in order
of appearance. The same value has the same one, however it is cased or grouped, so that a model can
tell what is the same; it comes back as it was written first. One that the text holds already stands
for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from generation.privacy.kinds import Kind, Personal

_PLACEHOLDER = re.compile(r"<(?:EMAIL|IBAN|CARD|IP|PHONE|NAME)_\d+>")


@dataclass(frozen=True, slots=True)
class Values:
    """By placeholder, what it stands for."""

    by_placeholder: Mapping[str, str] = field(default_factory=dict)

    def restored(self, text: str) -> str:
        """The text with what its placeholders stand for; one that stands for nothing stays."""
        return _PLACEHOLDER.sub(
            lambda found: self.by_placeholder.get(found.group(), found.group()), text
        )

    def unfinished(self, text: str) -> int:
        """Where a placeholder begins at the end of the text, of which more may come; else its end.

        Whatever comes then, the text up to there can be restored by itself.
        """
        start = text.rfind("<")
        rest = text[start:]
        is_begun = start >= 0 and any(one.startswith(rest) for one in self.by_placeholder)
        return start if is_begun and not rest.endswith(">") else len(text)


class Restoring:
    """Restores a text that comes in pieces; a placeholder may be cut between them."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._held = ""

    def add(self, piece: str) -> str:
        """What can be told after the next piece; may be empty."""
        text = self._held + piece
        end = self._values.unfinished(text)
        self._held = text[end:]
        return self._values.restored(text[:end])

    def end(self) -> str:
        """What is left when no more comes."""
        held, self._held = self._held, ""
        return held


class Naming:
    """Gives values their placeholders; `texts` are all in which these will stand."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._taken = {name for text in texts for name in _PLACEHOLDER.findall(text)}
        self._names: dict[tuple[Kind, str], str] = {}
        self._values: dict[str, str] = {}
        self._counts: dict[Kind, int] = {}

    @property
    def values(self) -> Values:
        """What was named so far."""
        return Values(dict(self._values))

    def masked(self, text: str, found: Sequence[Personal]) -> str:
        """The text with placeholders for what was found in it, in order and apart."""
        parts, end = [], 0
        for one in found:
            parts += [text[end : one.start], self._name(one.kind, text[one.start : one.end])]
            end = one.end
        return "".join([*parts, text[end:]])

    def _name(self, kind: Kind, value: str) -> str:
        same = kind, _same(kind, value)
        if same not in self._names:
            self._names[same] = name = self._next(kind)
            self._values[name] = value
        return self._names[same]

    def _next(self, kind: Kind) -> str:
        while True:
            self._counts[kind] = number = self._counts.get(kind, 0) + 1
            name = f"<{kind.upper()}_{number}>"
            if name not in self._taken:
                return name


def _same(kind: Kind, value: str) -> str:
    """Equal for ways to write the same value."""
    if kind in ("email", "name"):
        return " ".join(value.casefold().split())
    if kind == "ip":
        return value.lower()
    return "".join(sign for sign in value if sign.isalnum() or sign == "+").upper()
