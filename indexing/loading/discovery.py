"""Finds the files to read: named ones, and those in folders or that match patterns.

It asks no network: the address of a page stands for itself.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence, Set

from indexing.loading.names import canonical_url, in_order, is_sitemap, is_url, path_of, source_of
from indexing.loading.patterns import (
    ANY_FOLDERS,
    covers,
    has_magic,
    holds_hidden,
    matches_name,
    pattern_parts,
)
from indexing.readers.recognition import SUPPORTED_EXTENSIONS
from rag.errors import InputError
from rag.sources import FailedPart, Found


def discover(places: Sequence[str]) -> Found:
    """What is at absolute paths, glob patterns and addresses of pages.

    Of a folder: the supported files in it and below, links to folders followed once; what is hidden
    is left out without a word. A path that does not exist is taken for a pattern if it can be one.
    A file or page that is named itself always stays, so that reading it can say what is wrong.
    Raises InputError for a path that does not exist, a folder that cannot be listed, a pattern
    that nothing matches and an address that is none.
    """
    search = _Search()
    for place in places:
        if is_url(place):
            search.found[canonical_url(place)] = None
        else:
            search.take_place(os.path.abspath(place))
    skipped = {
        source: reason for source, reason in search.skipped.items() if source not in search.found
    }
    return Found(
        tuple(sorted(search.found, key=in_order)),
        tuple(FailedPart(name, skipped[name]) for name in sorted(skipped, key=in_order)),
    )


def is_under(source: str, place: str) -> bool:
    """Whether a source belongs to a place, and so is gone when it is not found there any more.

    To a file or page belongs itself; to a folder, all below it but what is hidden; to a pattern,
    all that matches or belongs to a folder that does; to a sitemap, all pages of its host that lie
    below its own folder, as the protocol has it. A pattern is one only as long as no path of that
    name exists.
    """
    if is_url(place):
        try:
            address = canonical_url(place)
        except InputError:  # what a sitemap lists may be no address at all
            return False
        if not is_sitemap(address):
            return source == address
        return is_url(source) and _without_scheme(source).startswith(
            _without_scheme(address).rpartition("/")[0] + "/"
        )
    path, folder = os.fspath(path_of(source)), os.path.abspath(place)
    if path == folder:
        return True
    if path.startswith(above := folder.rstrip(os.sep) + os.sep):
        return not holds_hidden(path.removeprefix(above).split(os.sep))
    return has_magic(folder) and covers(folder, path) and not os.path.exists(folder)


def lies_in_one_of(source: str, skipped: Set[str]) -> bool:
    """Whether a source is one of those that were skipped, or lies in a folder or sitemap of them.

    It asks for every folder above the source, however many were skipped.
    """
    if is_url(source):
        return any(is_url(other) and is_under(source, other) for other in skipped)
    path = path_of(source)
    return any(source_of(os.fspath(above)) in skipped for above in (path, *path.parents))


class _Search:
    """What is found so far: sources in `found`, reasons by source in `skipped`."""

    def __init__(self) -> None:
        self.found: dict[str, None] = {}
        self.skipped: dict[str, str] = {}

    def take_place(self, place: str) -> None:
        if os.path.isdir(place):
            _check_folder(place)
            self._take_folder(place)
        elif os.path.exists(place):  # unlike Path.exists, False also where it may not be asked
            self.found[source_of(place)] = None
        elif not has_magic(place):
            raise InputError(f"{source_of(place)} does not exist: name a file or folder that does")
        elif not self._take_matches(os.sep, pattern_parts(place)[1:]):
            raise InputError(f"nothing matches {source_of(place)}: correct the pattern")

    def _take_matches(self, folder: str, parts: Sequence[str]) -> bool:
        """Take what matches `parts` below a folder; whether anything does."""
        part, rest = parts[0], parts[1:]
        if part == ANY_FOLDERS and rest:
            matched = [self._take_matches(below, rest) for below, _ in self._walk(folder)]
            return any(matched)
        if part == ANY_FOLDERS:
            paths = [folder]
        elif has_magic(part):
            paths = [e.path for e in self._entries(folder) if matches_name(part, e.name)]
        else:
            paths = [path] if os.path.exists(path := os.path.join(folder, part)) else []
        if rest:
            matched = [self._take_matches(path, rest) for path in paths if os.path.isdir(path)]
            return any(matched)
        for path in paths:
            if os.path.isdir(path):
                self._take_folder(path)
            else:
                self._take_file(path)
        return bool(paths)

    def _take_folder(self, folder: str) -> None:
        for _, files in self._walk(folder):
            for file in files:
                self._take_file(file)

    def _take_file(self, path: str) -> None:
        reason = _unfit(path)
        if reason is None:
            self.found[source_of(path)] = None
        else:
            self.skipped[source_of(path)] = reason

    def _walk(self, top: str) -> Iterator[tuple[str, list[str]]]:
        """A folder and each below it: itself and its files, without hidden ones."""
        seen: set[tuple[int, int]] = set()
        folders, links = [top], list[str]()
        while folders or links:
            # Links last, so that a file goes by its own name, not by that of a link to its folder.
            folder = folders.pop() if folders else links.pop()
            try:
                status = os.stat(folder)
            except OSError as error:
                self._skip_folder(folder, error)
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            entries = [e for e in self._entries(folder) if not e.name.startswith(".")]
            inner = [entry for entry in entries if _is_folder(entry)]
            for entry in inner:
                (links if entry.is_symlink() else folders).append(entry.path)
            names = {entry.name for entry in inner}
            yield folder, [e.path for e in entries if e.name not in names]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return list(entries)
        except OSError as error:
            self._skip_folder(folder, error)
            return []

    def _skip_folder(self, folder: str, error: OSError) -> None:
        self.skipped[source_of(folder)] = (
            f"cannot be listed ({error.strerror}): check its permissions"
        )


def _check_folder(folder: str) -> None:
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise InputError(
            f"{source_of(folder)} cannot be listed ({error.strerror}): check its permissions"
        ) from error


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to where one may not look, or round in a circle
        return False


def _unfit(path: str) -> str | None:
    """Why a file that nobody named is left out; None when it is not."""
    name = source_of(path).rpartition("/")[2]
    extension = os.path.splitext(name)[1].lower()
    if not extension:
        return "no extension"
    if extension not in SUPPORTED_EXTENSIONS:
        return f"unsupported extension {extension}"
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            return None
    except OSError as error:
        linked = "a link to what is not there" if os.path.islink(path) else "cannot be opened"
        return f"{linked} ({error.strerror})"
    return "no ordinary file"


def _without_scheme(url: str) -> str:
    return url.partition("://")[2]
