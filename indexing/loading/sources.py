"""Loads what stands at a source: a file here, or a page of the web."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from indexing.loading.dates import from_seconds, with_date
from indexing.loading.discovery import discover
from indexing.loading.marks import Mark, parse_mark
from indexing.loading.names import in_order, is_sitemap, is_url, path_of
from rag.errors import DocumentError, GoneError
from rag.ports import Reader
from rag.sources import Found, Loaded, ReadResult

_READINGS = 3  # of a file that changes meanwhile
_TICK_NS = 2_000_000_000  # no file system counts time more coarsely than FAT


class Web(Protocol):
    """Loads pages, and knows those that a sitemap lists."""

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        """As the port Loader."""

    async def pages(self, sitemap: str) -> Found:
        """The pages that a sitemap lists, and what it lists in vain."""

    async def close(self) -> None:
        """Let go of the network."""


class WorkingReader(Reader, Protocol):
    """A Reader that holds something."""

    async def close(self) -> None:
        """Let go of it."""


class SourceLoader:
    """A Loader of files, by absolute path, and of pages, by address.

    `recipe` names the rules by which documents are read and cut: what was loaded by another recipe
    is loaded anew. A file of more than `max_file_bytes` is refused.
    `now_ns` is the time in nanoseconds since 1970.
    """

    def __init__(
        self,
        reader: WorkingReader,
        web: Web,
        recipe: str,
        max_file_bytes: int,
        now_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._reader = reader
        self._web = web
        self._recipe = recipe
        self._max_file_bytes = max_file_bytes
        self._now_ns = now_ns

    async def discover(self, places: Sequence[str]) -> Found:
        """What is at `places`, as `discovery.discover`, with the pages that sitemaps list."""
        found = await asyncio.to_thread(discover, places)
        sources = {source for source in found.sources if not is_url(source)}
        skipped = {part.source: part for part in found.skipped}
        for source in filter(is_url, found.sources):
            if not is_sitemap(source):
                sources.add(source)
                continue
            listed = await self._web.pages(source)
            sources |= set(listed.sources)
            skipped |= {part.source: part for part in listed.skipped}
        parts = [part for name, part in skipped.items() if name not in sources]
        return Found(
            tuple(sorted(sources, key=in_order)),
            tuple(sorted(parts, key=lambda part: in_order(part.source))),
        )

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        """The documents at `source`, each with its date, unless `known` says that it is unchanged.

        The mark of what is unchanged may be another than `known`: with it the next look is faster.
        Raises GoneError when there is nothing there, and DocumentError when it cannot be read or
        keeps changing meanwhile.
        """
        if is_url(source):
            return await self._web.load(source, collection, known)
        path = path_of(source)
        mark = parse_mark(known, self._recipe)
        before = await asyncio.to_thread(self._look, path, source, mark)
        if before.mark.says_the_same_as(mark):
            return Loaded(str(before.mark), None)
        for _ in range(_READINGS):
            result: ReadResult | DocumentError
            try:
                result = await self._reader.read(path, collection, source)
            except DocumentError as error:  # it may be half written, so look first
                result = error
            after = await asyncio.to_thread(self._look, path, source, before.mark)
            if after.mark.says_the_same_as(before.mark):
                if isinstance(result, DocumentError):
                    raise result
                documents = [with_date(document, after.dated) for document in result.documents]
                return Loaded(str(after.mark), replace(result, documents=documents))
            before = after
        raise DocumentError(
            f"{source} keeps changing while it is read: "
            "ingest it again when nothing writes to it any more"
        )

    async def close(self) -> None:
        """End the processes that read, and all connections."""
        await self._reader.close()
        await self._web.close()

    def _look(self, path: Path, source: str, known: Mark | None) -> _Look:
        """What stands at `path` now; it is hashed only where `known` leaves a doubt."""
        now_ns = self._now_ns()
        try:
            with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
                self._check(status, source)
                hint = _hint(status)
                if known is not None and known.hint and known.hint == hint:
                    return _Look(known, status.st_mtime)
                content = hashlib.file_digest(file, "sha256").hexdigest()
                if _hint(os.fstat(file.fileno())) != hint:
                    hint = ""
        except (FileNotFoundError, NotADirectoryError) as error:
            raise GoneError(f"{source} is not there any more: correct or remove it") from error
        except (OSError, ValueError) as error:  # ValueError: a name that no system can have
            reason = getattr(error, "strerror", None) or error
            raise DocumentError(
                f"{source} cannot be opened ({reason}): check its name and its permissions"
            ) from error
        # A file may be written twice in one tick of the clock, as far as its times can tell.
        if max(status.st_mtime_ns, status.st_ctime_ns) > now_ns - _TICK_NS:
            hint = ""
        return _Look(Mark(self._recipe, content, hint), status.st_mtime)

    def _check(self, status: os.stat_result, source: str) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise DocumentError(f"{source} is no ordinary file: name a file")
        if status.st_size > self._max_file_bytes:
            raise DocumentError(
                f"{source} has {status.st_size} bytes, the limit is {self._max_file_bytes}: "
                "split it or raise ingestion.max_file_bytes"
            )


@dataclass(frozen=True, slots=True)
class _Look:
    """A file at one moment; `modified` in seconds since 1970."""

    mark: Mark
    modified: float

    @property
    def dated(self) -> str:
        return from_seconds(self.modified)


def _hint(status: os.stat_result) -> str:
    # The change time is there because a program can set the modification time back.
    return f"{status.st_size}.{status.st_mtime_ns}.{status.st_ctime_ns}.{status.st_ino}"


def _open_without_waiting(path: str, flags: int) -> int:
    # To open a pipe would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
