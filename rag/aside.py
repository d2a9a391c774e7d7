"""Who waits for somebody else stands aside: meanwhile his place is another question's.

Whoever limits how many questions are worked on at once puts the place of each into PLACE. Where
there is none, as on the command line, nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol


class Place(Protocol):
    """The right to be worked on. What leaves it several times takes it back as often."""

    def leave(self) -> None:
        """Let others have it."""

    def take_back(self) -> None:
        """Go on, at once."""


PLACE: ContextVar[Place | None] = ContextVar("place", default=None)
"""That of the question which is being answered."""


@contextmanager
def standing_aside() -> Iterator[None]:
    """The time that a question waits for a model or for another question."""
    place = PLACE.get()
    if place is None:
        yield
        return
    place.leave()
    try:
        yield
    finally:
        place.take_back()
