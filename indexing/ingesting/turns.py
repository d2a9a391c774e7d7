"""Who may do what now: one ingestion at a time, and one batch or one removal at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

AmongAll = Callable[[str], AbstractAsyncContextManager[None]]


class Turns:
    """Turns in this process and, by `among_all`, in all processes that share a state.

    `among_all` takes the name of a turn, and waits until no other process has it.
    """

    def __init__(self, among_all: AmongAll = lambda _: nullcontext()) -> None:
        self._among_all = among_all
        self._ingesting = asyncio.Lock()
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def ingesting(self, collection: str) -> AsyncIterator[None]:
        """The turn of an ingestion, from its first decision to its last write."""
        async with self._ingesting, self._among_all(collection):
            yield

    @asynccontextmanager
    async def planning(self) -> AsyncIterator[None]:
        """The turn of a dry run, which keeps ingestions of this process only from starting."""
        async with self._ingesting:
            yield

    @asynccontextmanager
    async def writing(self, collection: str) -> AsyncIterator[None]:
        """The turn to change store and manifest, for one batch or one document.

        Whoever has it finds no document announced but by a process that was killed.
        """
        async with self._writing, self._among_all(f"{collection} (writing)"):
            yield
