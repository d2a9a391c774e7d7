"""Lets in as many questions at once as the service can work on, and drops those given up."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from fastapi import Request

from rag.errors import OverloadedError

T = TypeVar("T")
RETRY_AFTER_S = 1.0


class ClientLeftError(Exception):
    """The client closed the connection before its answer was there."""


class Admission:
    """At most `limit` pieces of work at once; one more is refused at the door, not queued."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._inside = 0

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """The work as a running task. Raises OverloadedError when there is no room for it."""
        if self._inside >= self._limit:
            work.close()
            raise OverloadedError(
                f"{self._inside} questions are being answered, the limit is {self._limit}: "
                f"come back in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
            )
        self._inside += 1
        task = asyncio.create_task(work)
        task.add_done_callback(self._leave)
        return task

    def _leave(self, _: asyncio.Task[Any]) -> None:
        self._inside -= 1


async def while_client_waits(request: Request, task: asyncio.Task[T]) -> T:
    """What the task gives; it is cancelled, and ClientLeftError raised, once the client left.

    The request's body must have been read.
    """
    watcher = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientLeftError
        return task.result()
    finally:
        watcher.cancel()
        task.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
