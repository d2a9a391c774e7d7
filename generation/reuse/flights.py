"""Equal questions that are asked while one of them is being answered wait for its answer.

The first to come leads. When it leaves, the next one leads; when it ends with nothing to share,
everybody who waited goes alone. In this process only.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from enum import Enum
from typing import Generic, TypeVar

from rag.aside import standing_aside

T = TypeVar("T")


class _Ended(Enum):
    ALONE = "nothing to share"
    LEFT = "who led has left"


class Flight(Generic[T]):
    """One question on its way. `landed` is what the one who led has shared; None for others."""

    def __init__(self, landed: T | None = None) -> None:
        self.landed = landed

    def land(self, shared: T) -> None:
        """Share this with all who wait, at the end of the flight."""
        self.landed = shared


class Flights(Generic[T]):
    """The questions of one process that are being answered, each under a key."""

    def __init__(self) -> None:
        self._leading: dict[Hashable, asyncio.Future[T | _Ended]] = {}

    @asynccontextmanager
    async def join(self, key: Hashable) -> AsyncIterator[Flight[T]]:
        """Lead, or wait for who leads; who leads stays inside until there is something to share."""
        while (leading := self._leading.get(key)) is not None:
            with standing_aside():
                await asyncio.wait([leading])
            outcome = leading.result()
            if outcome is not _Ended.LEFT:
                yield Flight(None if isinstance(outcome, _Ended) else outcome)
                return
        mine = self._leading[key] = asyncio.get_running_loop().create_future()
        flight = Flight[T]()
        ended = _Ended.ALONE
        try:
            yield flight
        except asyncio.CancelledError:
            ended = _Ended.LEFT
            raise
        finally:
            del self._leading[key]
            mine.set_result(ended if flight.landed is None else flight.landed)
