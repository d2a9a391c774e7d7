"""A server on this machine that answers as the test wants, and the loader that asks it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from indexing.readers.by_extension import ReadLimits, read_file
from rag.sources import ReadResult

Headers = dict[str, str]
Handler = Callable[[Headers, asyncio.StreamWriter], Awaitable[None]]


class InProcessReader:
    """The real reader, without its processes."""

    def __init__(self) -> None:
        self.read_files: list[str] = []

    async def read(self, path: Path, collection: str, source: str) -> ReadResult:
        self.read_files.append(source)
        return read_file(path, collection, source, ReadLimits())

    async def close(self) -> None:
        pass


@dataclass
class Server:
    """`pages` by path; a path that has none is answered with 404. `asked` are the requests."""

    port: int
    pages: dict[str, Handler] = field(default_factory=dict)
    asked: list[tuple[str, Headers]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str) -> str:
        return f"http://{self.host}{path}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def put(self, path: str, body: bytes | str = b"", status: int = 200, **headers: str) -> str:
        """Answer `path` with this, and give its address."""
        self.pages[path] = answer(body, status, **headers)
        return self.url(path)


def answer(body: bytes | str = b"", status: int = 200, **headers: str) -> Handler:
    raw = body.encode() if isinstance(body, str) else body
    told = {"content-type": "text/html", "content-length": str(len(raw))}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}

    async def handle(_asked: Headers, writer: asyncio.StreamWriter) -> None:
        begin(writer, status, told)
        writer.write(raw)

    return handle


def in_turn(*handlers: Handler) -> Handler:
    """Each time the next one; at last always the last."""
    left = list(handlers)

    async def handle(asked: Headers, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(asked, writer)

    return handle


def begin(writer: asyncio.StreamWriter, status: int, headers: Headers) -> None:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1"))


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """A server; what it is still telling at the end is cut off."""
    tasks: set[asyncio.Task[None]] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.split("\r\n")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (li.partition(":") for li in lines)
            }
            path = first.split(" ")[1]
            server.asked.append((path, headers))
            await server.pages.get(path, answer(status=404))(headers, writer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client, or the test, has had enough
        finally:
            tasks.discard(task)
            writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=tls)
    server = Server(listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def resolving(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A name service with one answer after the other, at last always the last."""
    left = list(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return left.pop(0) if len(left) > 1 else left[0]

    return resolve
