"""A server of one kind of streamed answers on the loopback interface, for tests of its clients.

Knows HTTP and server-sent events, and no protocol of a model. Every connection serves one request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """A request. `client_left` is set when the client went before the answer was complete."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    client_left: asyncio.Event = field(default_factory=asyncio.Event)


class Answering:
    """The side of a connection that answers."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer

    async def page(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        length = {"content-length": str(len(body))}
        self._begin(status, {"content-type": content_type} | length | dict(headers or {}))
        self._writer.write(body)
        await self._writer.drain()

    async def begin_events(self) -> None:
        self._begin(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
        await self._writer.drain()

    async def event(self, data: object, name: str = "") -> None:
        """One event; text is sent as it is, all else as JSON."""
        text = data if isinstance(data, str) else json.dumps(data)
        lines = f"event: {name}\n" if name else ""
        raw = f"{lines}data: {text}\n\n".encode()
        self._writer.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        await self._writer.drain()

    async def end_events(self) -> None:
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    def cut(self) -> None:
        """Drop the connection, as a server that is killed."""
        self._writer.transport.abort()

    def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
        self._writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1"))


Answer = Callable[[Asked, Answering], Awaitable[None]]


@dataclass
class StreamingServer:
    """A running server: where it is, what it was asked, and how many answers it is making."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    running: int = 0

    async def count_running(self) -> int:
        return self.running


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[StreamingServer]:
    """Answers every request by `answer`, which is cancelled when its client leaves."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            asked = await _read_request(reader)
            server.asked.append(asked)
            await _answer_while_there(answer(asked, Answering(writer)), asked, reader, server)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client, or the test, has had enough
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    server = StreamingServer(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}")
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _answer_while_there(
    answer: Awaitable[None], asked: Asked, reader: asyncio.StreamReader, server: StreamingServer
) -> None:
    answering = asyncio.ensure_future(answer)
    leaving = asyncio.create_task(reader.read())
    server.running += 1
    try:
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            asked.client_left.set()
    finally:
        server.running -= 1
        for task in (answering, leaving):
            task.cancel()
        await asyncio.gather(answering, leaving, return_exceptions=True)
    if not answering.cancelled() and not isinstance(answering.exception(), OSError):
        answering.result()


async def _read_request(reader: asyncio.StreamReader) -> Asked:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    return Asked(first.split(" ")[1], headers, json.loads(raw) if raw else {})
