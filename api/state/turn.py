"""One ingestion into a collection at a time, among all services that share a state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine, text

T = TypeVar("T")

_TURNS = 0x7261_6702  # the space of our advisory locks: nobody else's number
_ASK_EVERY_S = 0.2
_TAKE = text("SELECT pg_try_advisory_lock(:space, hashtext(:collection))")


@asynccontextmanager
async def turn(engine: Engine, collection: str) -> AsyncIterator[None]:
    """Wait until no other process writes into `collection`, and keep others from it.

    In PostgreSQL the lock hangs on a connection of its own, and so ends with its process, however
    that ends. A SQLite file belongs to one process at a time already: that holds the data folder.
    Not to be taken twice at once by one who would wait for himself.
    """
    if engine.dialect.name != "postgresql":
        yield
        return
    connection = await _in_thread(partial(_connect, engine))
    ask = partial(connection.scalar, _TAKE, {"space": _TURNS, "collection": collection})
    try:
        while not await _in_thread(ask):  # noqa: ASYNC110
            await asyncio.sleep(_ASK_EVERY_S)
        yield
    finally:
        await _in_thread(connection.close)


def _connect(engine: Engine) -> Connection:
    """A connection that no pool keeps: closing it gives the lock back."""
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    connection.detach()
    return connection


async def _in_thread(call: Callable[[], T]) -> T:
    """What a call gives; one that is cancelled ends first, since a connection is for one thread."""
    running = asyncio.ensure_future(asyncio.to_thread(call))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
