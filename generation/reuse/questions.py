"""The kept questions in memory, to find the nearest, in step with the table, whoever writes it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from generation.reuse.entries import KeptQuestion
from generation.reuse.sameness import Background
from rag.types import Vector

_FIRST_ROOM = 16
_GROWTH = 1.1


@dataclass(frozen=True, slots=True)
class Near:
    """A kept question. `cosine`, -1 to 1, is of what the vectors have not in common with all."""

    entry_id: str
    question: str
    says: str
    cosine: float


class KeptQuestions:
    """Finds the nearest of the kept questions. `after` gives what was kept behind a position.

    An entry that is deleted stays until it is found to be gone, or until there are `most`: then
    all are read anew. `pinned_after` gives what was pinned behind a position, each question with
    the scope that it is for as its binding. Several threads may ask at once.
    """

    def __init__(
        self,
        after: Callable[[int], Sequence[KeptQuestion]],
        most: int,
        pinned_after: Callable[[int], Sequence[KeptQuestion]] | None = None,
    ) -> None:
        self._after = after
        self._pinned_after = pinned_after
        self._most = most
        self._lock = threading.Lock()
        self._shelves: dict[str, _Shelf] = {}
        self._last = 0
        self._pins: dict[str, dict[str, KeptQuestion]] = {}
        self._last_pin = 0

    def nearest(self, binding: str, vector: Vector, count: int, scope: str = "") -> list[Near]:
        """At most `count` questions of a binding or pinned for a scope, the nearest first."""
        with self._lock:
            self._follow()
            pins = self._pins.get(scope, {})
            if pins:
                self._shelves.setdefault(binding, _Shelf()).pin(pins)
            shelf = self._shelves.get(binding)
            return shelf.nearest(vector, count) if shelf is not None and shelf.kept else []

    def drop(self, binding: str, entry_id: str) -> None:
        """An entry is gone."""
        with self._lock:
            if binding in self._shelves:
                self._shelves[binding].drop(entry_id)
            for pins in self._pins.values():
                pins.pop(entry_id, None)

    def _follow(self) -> None:
        for pin in [] if self._pinned_after is None else self._pinned_after(self._last_pin):
            self._pins.setdefault(pin.binding, {})[pin.entry_id] = pin
            self._last_pin = pin.position
        shelves = self._shelves.values()
        if sum(len(shelf.kept) - len(shelf.pinned) for shelf in shelves) >= self._most:
            self._shelves, self._last = {}, 0
        for kept in self._after(self._last):
            self._shelves.setdefault(kept.binding, _Shelf()).put(kept)
            self._last = kept.position


class _Shelf:
    """The questions of one binding, `kept[i]` with the vector `rows[i]`; there is room for more.

    Those that are `pinned` are among them, by their ids.
    """

    def __init__(self) -> None:
        self.kept: list[KeptQuestion] = []
        self.pinned: set[str] = set()
        self._rows = np.empty((0, 0), np.float32)
        self._background: Background | None = None
        self._known = 0

    def put(self, kept: KeptQuestion) -> None:
        count = len(self.kept)
        if count == len(self._rows):
            room = np.empty((max(2 * count, _FIRST_ROOM), len(kept.vector)), np.float32)
            if count:
                room[:count] = self._rows
            self._rows = room
        self._rows[count] = kept.vector
        self.kept.append(kept)

    def pin(self, pins: Mapping[str, KeptQuestion]) -> None:
        """Put those of the pins that are not here yet."""
        for pin_id in [name for name in pins if name not in self.pinned]:
            self.put(pins[pin_id])
            self.pinned.add(pin_id)

    def drop(self, entry_id: str) -> None:
        self.pinned.discard(entry_id)
        places = [place for place, one in enumerate(self.kept) if one.entry_id == entry_id]
        for place in places:
            last = self.kept.pop()
            if place < len(self.kept):
                self.kept[place] = last
                self._rows[place] = self._rows[len(self.kept)]

    def nearest(self, vector: Vector, count: int) -> list[Near]:
        rows = self._rows[: len(self.kept)]
        some = np.argpartition(-(rows @ vector), min(count, len(rows)) - 1)[:count]
        cosines = self._common(rows).cosines(rows[some], vector)
        return [
            Near(kept.entry_id, kept.question, kept.says, float(cosines[place]))
            for place in np.argsort(-cosines, kind="stable")
            if (kept := self.kept[some[place]])
        ]

    def _common(self, rows: Vector) -> Background:
        """What all have in common, made anew whenever the shelf has grown or shrunk by a tenth."""
        is_old = not self._known / _GROWTH <= len(rows) <= self._known * _GROWTH
        if self._background is None or is_old:
            self._background, self._known = Background.of(rows), len(rows)
        return self._background
