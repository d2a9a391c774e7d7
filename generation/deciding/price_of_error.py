"""What a wrong answer costs: as the operator says it, or as a dial solves it and keeps it.

A dial is a floor of quality or a budget for a thousand answers. It is solved over the last
questions, anew after each few of them, so that it holds as traffic changes; a start goes on with
the price that was solved last.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from generation.deciding.decision import Stakes
from generation.deciding.dials import Dialled, Situation, for_budget, for_quality
from generation.deciding.traffic import WINDOW, KeptTraffic

_SOLVE_EVERY = 25
_log = logging.getLogger(__name__)


class PriceOfError(Protocol):
    """Knows what is at stake."""

    def stakes(self, collection: str) -> Stakes:
        """The stakes of a question to this collection."""

    async def saw(self, situation: Situation) -> None:
        """A question came, and stood like this before its first call. Raises StateError."""


@dataclass(frozen=True, slots=True)
class StatedPrice:
    """A PriceOfError that the operator states, for all collections and for some of their own."""

    anywhere: Stakes
    error_usd: Mapping[str, float]

    def stakes(self, collection: str) -> Stakes:
        """See `PriceOfError`."""
        return replace(
            self.anywhere, error_usd=self.error_usd.get(collection, self.anywhere.error_usd)
        )

    async def saw(self, situation: Situation) -> None:
        """Changes nothing."""


@dataclass(frozen=True, slots=True)
class Floor:
    """A quality: the share of all questions that shall get a right answer, 0 to 1."""

    quality: float

    @property
    def name(self) -> str:
        """What its price is kept under."""
        return f"quality_floor {self.quality!r}"

    def solve(self, traffic: list[Situation], stakes: Stakes) -> Dialled:
        """The least price of an error that reaches it."""
        return for_quality(traffic, stakes, self.quality)

    def describe(self, dialled: Dialled) -> str:
        """One line on whether it holds."""
        told = dialled.expected
        reached = "is reached" if dialled.is_reached else "cannot be reached"
        return (
            f"a quality of {self.quality:.3f} {reached}: {told.quality:.3f} is expected, for "
            f"${1000 * told.usd:.2f} per 1,000 answers"
        )


@dataclass(frozen=True, slots=True)
class Allowance:
    """Dollars that a thousand answers may cost on average."""

    usd_per_1000: float

    @property
    def name(self) -> str:
        """What its price is kept under."""
        return f"usd_per_1000_answers {self.usd_per_1000!r}"

    def solve(self, traffic: list[Situation], stakes: Stakes) -> Dialled:
        """The highest price of an error that it pays for."""
        return for_budget(traffic, stakes, self.usd_per_1000 / 1000)

    def describe(self, dialled: Dialled) -> str:
        """One line on whether it holds."""
        told = dialled.expected
        return (
            f"${self.usd_per_1000:.2f} per 1,000 answers buy an expected quality of "
            f"{told.quality:.3f}, for ${1000 * told.usd:.2f}"
        )


class DialledPrice:
    """A PriceOfError that a dial solves; until it has seen some questions, `start` holds.

    With what was `kept` it goes on where the last process was; without, each begins anew.
    Raises StateError.
    """

    def __init__(
        self, dial: Floor | Allowance, start: Stakes, kept: KeptTraffic | None = None
    ) -> None:
        self._dial = dial
        self._stakes = start
        self._kept = kept
        self._traffic: deque[Situation] = deque(kept.last() if kept else (), maxlen=WINDOW)
        self._seen = len(self._traffic)
        self._solving: asyncio.Task[None] | None = None
        self.told = "no question has come yet"
        error_usd = kept.price(dial.name) if kept else None
        if error_usd is not None:
            self._stakes = replace(start, error_usd=error_usd)

    def stakes(self, collection: str) -> Stakes:
        """See `PriceOfError`; the same for all collections."""
        return self._stakes

    async def saw(self, situation: Situation) -> None:
        """Solves the dial anew after each few questions, beside whatever else is done."""
        self._traffic.append(situation)
        self._seen += 1
        if self._kept is not None:
            self._seen = await asyncio.to_thread(self._kept.note, situation)
        is_free = self._solving is None or self._solving.done()
        if self._seen % _SOLVE_EVERY == 0 and is_free:
            self._solving = asyncio.get_running_loop().create_task(self._solve())

    async def _solve(self) -> None:
        dialled = await asyncio.to_thread(self._solved, list(self._traffic))
        self._stakes = replace(self._stakes, error_usd=dialled.error_usd)
        told = self._dial.describe(dialled)
        if told != self.told:
            level = logging.INFO if dialled.is_reached else logging.WARNING
            _log.log(level, "%s", told)
        self.told = told

    def _solved(self, traffic: list[Situation]) -> Dialled:
        """Solved, and kept in the same thread: a process that ends meanwhile waits for both."""
        dialled = self._dial.solve(traffic, self._stakes)
        if self._kept is not None:
            self._kept.solved(self._dial.name, dialled.error_usd)
        return dialled
