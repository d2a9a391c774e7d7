"""What a worker may be made to run: readers that behave as the worst of files make them behave."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import time
from pathlib import Path

from rag.errors import DocumentError, GoneError
from rag.sources import FailedPart, ReadResult
from rag.types import Document

_kept: list[bytes] = []


def read(path: Path, collection: str, source: str, limits: object) -> ReadResult:
    """Does what the name of the file says; else gives its name, the process and the limits."""
    name = path.name.partition(".")[0]
    if name in _DEEDS:
        _DEEDS[name]()
    if name == "refuse":
        raise DocumentError(f"{source} is empty") from OSError("never told")
    if name == "gone":
        raise GoneError(f"{source} is gone")
    if name == "bug":
        raise ZeroDivisionError("a fault of the reader's own")
    if name == "kind":
        return ReadResult([_Imposter(collection, "id", "v", "t", "text", (source,))], [])
    text = "x" * 3_000_000 if name == "large" else f"{name} {os.getpid()} {limits}"
    document = Document(collection, "id", "v", "t", text, (source,), (0,), {"n": 1, "b": True})
    return ReadResult([document], [FailedPart(source, "row 3")])


class _Imposter(Document):
    """Of a kind that the parent does not know."""


def _hang() -> None:
    while True:
        pass


def _crash() -> None:
    ctypes.string_at(0)


def _leak() -> None:
    """Crash unless the worker is fresh."""
    if _kept:
        _crash()
    _kept.append(b"x")


def _bomb() -> None:
    while True:
        _kept.append(bytes(50_000_000))


def _hoard() -> None:
    _kept.append(b"x" * 520_000_000)


def _chatter() -> None:
    print("words on standard output", flush=True)
    print("words on standard error", file=sys.stderr, flush=True)
    subprocess.run(["/bin/sh", "-c", "echo more words"], check=True)
    os.write(1, b"and more")
    assert sys.stdin.read() == "", "and waits for none"


_DEEDS = {
    "hang": _hang,
    "sleep": lambda: time.sleep(600),
    "crash": _crash,
    "exit": lambda: os._exit(3),
    "leak": _leak,
    "bomb": _bomb,
    "hoard": _hoard,
    "chatter": _chatter,
}
