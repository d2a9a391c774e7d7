"""Tells when files change below some places.

It goes by the notices of the system, and where those have run out it looks again and again. On a
network drive that gives none, WATCHFILES_FORCE_POLLING=1 has it look from the start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

from watchfiles import Change, awatch
from watchfiles._rust_notify import WatchfilesRustInternalError

from indexing.loading.discovery import is_under
from indexing.loading.names import is_url, source_of
from indexing.loading.patterns import fixed_folder
from indexing.readers.recognition import SUPPORTED_EXTENSIONS
from rag.errors import InputError

_SETTLED_MS = 500
_LOOK_EACH_MS = 1_000
_LONGEST_MS = 5_000  # where files never rest, it is told this often

_logger = logging.getLogger(__name__)


async def changes(places: Sequence[str], stop: asyncio.Event) -> AsyncIterator[None]:
    """Yields each time that files at `places` have changed and rested for half a second.

    Places are absolute paths and patterns, as for `discover`; pages are not watched. Hidden files
    and those of unsupported extensions do not count. Ends within a second once `stop` is set.
    Raises InputError when there is nothing to watch, or it cannot be watched.
    """
    alone, whole = await asyncio.to_thread(_folders, places)
    streams = [
        _notices(sorted(folders), places, stop, recursive=recursive)
        for folders, recursive in ((alone, False), (whole, True))
        if folders
    ]
    waiting = {asyncio.ensure_future(_next(stream)): stream for stream in streams}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            told = False
            for task in done:
                stream = waiting.pop(task)
                if task.result():
                    waiting[asyncio.ensure_future(_next(stream))] = stream
                    told = True
            if told:
                yield
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        for stream in streams:
            await stream.aclose()


def _folders(places: Sequence[str]) -> tuple[set[str], set[str]]:
    """The folders whose own files are watched, and those that are watched with all below."""
    paths = [place for place in places if not is_url(place)]
    if not paths:
        raise InputError("pages cannot be watched: name a file or a folder too")
    # A file is watched through its folder: editors save by putting another in its place.
    alone = {os.path.dirname(path) for path in paths if os.path.isfile(path)}
    whole = {fixed_folder(path) for path in paths if not os.path.isfile(path)}
    for folder in whole:
        if not os.path.isdir(folder):
            raise InputError(f"{source_of(folder)} does not exist: name a folder that does")
    return alone, whole


async def _next(stream: AsyncGenerator[bool, None]) -> bool:
    """Whether there was another change before the stream ended."""
    return await anext(stream, False)


async def _notices(
    folders: Sequence[str], places: Sequence[str], stop: asyncio.Event, *, recursive: bool
) -> AsyncGenerator[bool, None]:
    for polling in (None, True):
        try:
            async for _ in awatch(
                *folders,
                watch_filter=_filter(places),
                debounce=_LONGEST_MS,
                step=_SETTLED_MS,
                stop_event=stop,
                recursive=recursive,
                force_polling=polling,
                poll_delay_ms=_LOOK_EACH_MS,
                # To ignore what may not be read, is to ignore that notices have run out, too.
                ignore_permission_denied=polling is True,
            ):
                yield True
        except (OSError, WatchfilesRustInternalError) as error:
            if polling:
                raise InputError(
                    f"{source_of(folders[0])} cannot be watched ({error}): check its permissions"
                ) from error
            _logger.warning("no notices of changed files (%s): looking for them instead", error)
        else:
            return


def _filter(places: Sequence[str]) -> Callable[[Change, str], bool]:
    paths = [place for place in places if not is_url(place)]

    def counts(change: Change, path: str) -> bool:
        return any(_concerns(change, path, place) for place in paths)

    return counts


def _concerns(change: Change, path: str, place: str) -> bool:
    """Whether a change at `path` may change what is found at `place`."""
    if path == place:
        return True
    top = fixed_folder(place)
    below = os.path.relpath(path, top).split(os.sep)
    if below[0] == os.pardir or any(name.startswith(".") for name in below):
        return is_under(path, place) and top != place  # a pattern may name what is hidden
    if change == Change.deleted or (change == Change.added and os.path.isdir(path)):
        return True  # perhaps a folder, of whose files nothing more is told
    extension = os.path.splitext(path)[1].lower()
    return extension in SUPPORTED_EXTENSIONS and is_under(path, place)
