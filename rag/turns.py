"""What was asked before in a conversation."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation, and what of its answer matters to the next one.

    `question` is as it was written, `asked_as` as it stands alone, the same where it did so by
    itself. `names` are those that its answer said, in order.
    """

    question: str
    asked_as: str
    names: tuple[str, ...] = ()


def mark_of(name: str) -> str:
    """What tells conversations, or visitors, apart wherever something of them is kept, and does not
    name them."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:16]
