"""Reads files in worker processes, so that a parser that hangs or dies takes down only its own.

A worker is a fresh interpreter, never a fork: this process has threads of the engine and of the
model. It starts at the first file, stays for the next ones, and ends with this process, also when
that is killed. A file that crashes a worker which has read others before is given to a fresh one
before it is blamed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from indexing.readers.worker_process import (
    FRAME_BYTES,
    KEEP,
    OUT_OF_MEMORY,
    READY,
    Order,
)
from rag.errors import DocumentError, GoneError
from rag.sources import FailedPart, ReadResult
from rag.types import Document

DEFAULT_MAX_READ_SECONDS = 120.0
DEFAULT_MAX_READ_MEMORY_BYTES = 2_000_000_000
MAX_RESULT_BYTES = 200_000_000
"""What one file may give, as it travels between the processes."""

_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_PIPE_BYTES = 1 << 20
_UNPACK_HERE_BYTES = 1 << 20  # more is unpacked in a thread


class WorkerReader:
    """A `Reader` that reads in at most `workers` processes, by default 2, or 1 on a single core.

    `target` names the function that reads, as `module:function`; it is called with a path, a
    collection, a source and `limits`, and returns a ReadResult or raises DocumentError. A file
    that takes longer than `max_seconds`, more than `max_memory_bytes` of address space, or that
    ends its worker fails with a DocumentError that says so.
    """

    def __init__(
        self,
        limits: object,
        *,
        max_seconds: float = DEFAULT_MAX_READ_SECONDS,
        max_memory_bytes: int = DEFAULT_MAX_READ_MEMORY_BYTES,
        workers: int | None = None,
        target: str = "indexing.readers.by_extension:read_file",
        max_result_bytes: int = MAX_RESULT_BYTES,
    ) -> None:
        self._order = Order(target, limits, max_seconds, max_memory_bytes, max_result_bytes)
        self._free = asyncio.Semaphore(workers or min(2, os.cpu_count() or 1))
        self._idle: list[_Worker] = []
        self._closed = False

    async def read(self, path: Path, collection: str, source: str) -> ReadResult:
        """The documents in the file, and the parts of it that could not be read.

        Raises DocumentError as the target does, and when the file takes too long or too much
        memory, gives too much text, or ends its worker.
        """
        async with self._free:
            request = pickle.dumps((os.fsencode(path), collection, source))
            used = self._idle.pop() if self._idle else None
            if used is not None:
                with contextlib.suppress(_WorkerFailedError):
                    return await self._ask(used, request, source)
            try:
                return await self._ask(await _Worker.start(self._order), request, source)
            except _WorkerFailedError as failure:
                raise DocumentError(f"{source} {failure}") from None

    async def close(self) -> None:
        """End the workers."""
        self._closed = True
        while self._idle:
            await self._idle.pop().stop()

    async def _ask(self, worker: _Worker, request: bytes, source: str) -> ReadResult:
        order = self._order
        stays = False
        try:
            async with asyncio.timeout(order.max_seconds):
                state, packed = await worker.ask(request, order.max_result_bytes)
            if state == OUT_OF_MEMORY:
                raise _WorkerFailedError(_out_of_memory(order.max_memory_bytes))
            outcome = await _unpacked(packed)
            stays = state == KEEP and not self._closed
        except TimeoutError:
            raise DocumentError(
                f"{source} takes longer to read than {order.max_seconds:g} seconds, the limit: "
                "split it or raise ingestion.max_read_seconds"
            ) from None
        finally:
            # Also when the caller has left: nobody waits for what the worker does.
            if stays:
                self._idle.append(worker)
            else:
                await worker.stop()
        if isinstance(outcome, DocumentError):
            raise outcome
        return outcome


class _WorkerFailedError(Exception):
    """A worker ended, or ran out of memory. `str(error)` follows the name of the file."""


class _Worker:
    """One process, which does one thing at a time."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, order: Order) -> _Worker:
        """A worker that waits for its first file. Raises DocumentError when none can start."""
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; "
            f"from indexing.readers.worker_process import serve; serve({os.getpid()})"
        )
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                code,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                # More threads would only reserve memory that counts against the limit.
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                limit=_PIPE_BYTES,
                start_new_session=True,  # Ctrl-C is for the parent, which may want to finish
            )
        except OSError as error:
            raise DocumentError(
                f"no process that reads files could be started ({error.strerror}): "
                "end other processes or raise the limits of this one"
            ) from error
        worker = cls(process)
        try:
            async with asyncio.timeout(_START_SECONDS):
                state, _ = await worker.ask(pickle.dumps(order), 0)
            if state != READY:
                raise _WorkerFailedError("does not begin as a worker does")
        except (TimeoutError, _WorkerFailedError) as error:
            await worker.stop()
            raise DocumentError(
                f"the process that reads files could not be started ({process.returncode}): "
                f"check that it may use {order.max_memory_bytes} bytes of memory, "
                "ingestion.max_read_memory_bytes"
            ) from error
        except BaseException:
            await worker.stop()
            raise
        return worker

    async def ask(self, message: bytes, max_answer_bytes: int) -> tuple[bytes, bytes]:
        """The state of the worker after its answer, and the answer."""
        requests, answers = self._process.stdin, self._process.stdout
        assert requests is not None
        assert answers is not None
        try:
            requests.write(len(message).to_bytes(FRAME_BYTES, "big") + message)
            await requests.drain()
            size = int.from_bytes(await answers.readexactly(FRAME_BYTES), "big")
            if not 1 <= size <= max_answer_bytes + 1:
                raise _WorkerFailedError(f"had its reader answer {size} bytes: leave it out")
            state = await answers.readexactly(1)
            return state, await answers.readexactly(size - 1)
        except (asyncio.IncompleteReadError, OSError):
            how = await self._cause_of_death()
            raise _WorkerFailedError(
                f"crashed its reader ({how}): it is damaged or hostile; save it anew, leave it "
                "out, or raise ingestion.max_read_memory_bytes"
            ) from None

    async def stop(self) -> None:
        """End the process, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _cause_of_death(self) -> str:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._process.wait()
        status = self._process.returncode
        if status is None:
            return "it closed its pipe"
        if status < 0:
            return f"signal {-status}: {signal.strsignal(-status)}"
        return f"exit status {status}"


def _out_of_memory(limit: int) -> str:
    return (
        f"takes more memory to read than {limit} bytes, the limit: "
        "split it or raise ingestion.max_read_memory_bytes"
    )


async def _unpacked(packed: bytes) -> ReadResult | DocumentError:
    if len(packed) <= _UNPACK_HERE_BYTES:
        return _unpack(packed)
    return await asyncio.to_thread(_unpack, packed)


def _unpack(packed: bytes) -> ReadResult | DocumentError:
    try:
        outcome = _Unpickler(BytesIO(packed)).load()
    except Exception:  # a worker that a file has taken over may send anything
        outcome = None
    if not isinstance(outcome, ReadResult | DocumentError):
        raise _WorkerFailedError("had its reader answer nonsense: it is hostile, leave it out")
    return outcome


_TOLD = {
    (kind.__module__, kind.__name__): kind
    for kind in (ReadResult, Document, FailedPart, DocumentError, GoneError)
}


class _Unpickler(pickle.Unpickler):
    """Makes only what a worker has to tell, lest a file that took one over get to this process."""

    def find_class(self, module: str, name: str) -> Any:
        """One of ours, or pickle.UnpicklingError."""
        if (module, name) not in _TOLD:
            raise pickle.UnpicklingError(f"{module}.{name} is not told by workers")
        return _TOLD[module, name]
