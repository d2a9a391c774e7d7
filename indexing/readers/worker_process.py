"""One worker: reads files in a process of its own, asked and answered over its pipes.

It knows nothing of asyncio and little of its parent, so that it starts fast. A message is its
length in eight bytes and as many bytes: first an `Order`, then requests, pickled. An answer is one
byte that says what becomes of the worker, and a pickled ReadResult or DocumentError.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rag.errors import DocumentError
from rag.sources import ReadResult

FRAME_BYTES = 8
"""Length of the number that stands before every message."""

READY, KEEP, REPLACE, OUT_OF_MEMORY = b"R", b"K", b"D", b"M"
"""First byte of an answer. The last two tell that the worker has ended."""

_MOST_FILES = 500  # then another worker takes over: libraries in C leak
_MOST_RESIDENT_BYTES = 500_000_000
_BACKSTOP_S = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker is made for.

    `target` is `module:function`, called with a path, a collection, a source and `limits`.
    """

    target: str
    limits: object
    max_seconds: float
    max_memory_bytes: int
    max_result_bytes: int


def serve(parent: int) -> None:
    """Answer what comes over standard input until it ends, or until process `parent` does."""
    _end_with(parent)
    requests, answers = _take_pipes()
    order: Order = pickle.loads(_receive(requests))  # noqa: S301 (from our parent)
    module, _, name = order.target.partition(":")
    read = getattr(importlib.import_module(module), name)
    _limit_memory(order.max_memory_bytes)
    state = READY
    _send(answers, state)
    for files in range(1, _MOST_FILES + 1):
        request = _receive(requests)
        if not request:
            return
        # A worker that hangs is ended by its parent; this is for one whose parent is gone.
        signal.setitimer(signal.ITIMER_REAL, order.max_seconds + _BACKSTOP_S)
        try:
            packed = _packed(read, order, *pickle.loads(request))  # noqa: S301
            spent = files == _MOST_FILES or _resident_bytes() > _MOST_RESIDENT_BYTES
            state = REPLACE if spent else KEEP
        except MemoryError:
            packed, state = b"", OUT_OF_MEMORY
        signal.setitimer(signal.ITIMER_REAL, 0)
        _send(answers, state + packed)
        if state != KEEP:
            return


def _packed(
    read: Callable[[Path, str, str, object], ReadResult],
    order: Order,
    path: bytes,
    collection: str,
    source: str,
) -> bytes:
    outcome: ReadResult | DocumentError
    try:
        outcome = read(Path(os.fsdecode(path)), collection, source, order.limits)
    except DocumentError as error:
        outcome = type(error)(str(error))  # without its causes, which may not travel
    except MemoryError:
        raise
    except Exception as error:
        # A reader that does not know its own faults is no reason for the other files to wait.
        outcome = DocumentError(
            f"{source} cannot be read ({type(error).__name__}): save it anew, or leave it out"
        )
    packed = pickle.dumps(outcome, pickle.HIGHEST_PROTOCOL)
    if len(packed) > order.max_result_bytes:
        outcome = DocumentError(
            f"{source} holds {len(packed)} bytes of text, the limit is {order.max_result_bytes}: "
            "split it"
        )
        packed = pickle.dumps(outcome)
    return packed


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output, kept from libraries: what those print is no answer."""
    pipes = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b", buffering=0) as nowhere:
        os.dup2(nowhere.fileno(), 0)
        os.dup2(nowhere.fileno(), 1)
    return pipes


def _receive(pipe: BinaryIO) -> bytes:
    """The next message; empty when the other end is gone."""
    return pipe.read(int.from_bytes(pipe.read(FRAME_BYTES), "big"))


def _send(pipe: BinaryIO, message: bytes) -> None:
    pipe.write(len(message).to_bytes(FRAME_BYTES, "big"))
    pipe.write(message)
    pipe.flush()


def _end_with(parent: int) -> None:
    """See to it that the kernel ends this process with its parent, however that ends."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel was told
        sys.exit(1)


def _limit_memory(most_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    with contextlib.suppress(ValueError, OSError):  # not every platform keeps such a limit
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _resident_bytes() -> int:
    """Memory in use now; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
