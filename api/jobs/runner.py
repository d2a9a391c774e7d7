"""Runs the jobs of one service, one at a time in the background.

What a job shall do is recorded before it is promised. A job that a stop or a crash interrupts is
run again by the next service over the same data folder, under its own id; ingestion does only what
was not done yet. A job that takes the service down again and again is given up.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from api.jobs.assignment import Assignment
from api.jobs.kept_files import FOLDER, keep_only, sweep
from api.jobs.records import Claimed, JobRecords, purge_payloads
from api.keys.reach import EVERYTHING, Reach
from api.models.documents import JobLineOut, JobOut, ProgressOut
from indexing.ingesting.report import IngestionReport, OnProgress, Progress
from rag.errors import RagError

Work = Callable[[Assignment, OnProgress], Coroutine[Any, Any, IngestionReport]]

UNEXPECTED = "something went wrong in the service: its log says what"
OWNER_FILE = "service-id"
NOTE_EVERY_S = 1.0
DROP_OLD_EVERY_S = 3_600.0
STATE_PAUSE_S = 5.0
_log = logging.getLogger(__name__)


class Jobs:
    """The jobs of the service over `data_dir`, which it alone holds; `work` does them.

    For how many days finished ones are kept, and what failed in them, is as `JobRecords` has it.
    """

    def __init__(
        self,
        engine: Engine,
        work: Work,
        data_dir: Path,
        *,
        keep_days: float = 90,
        keep_failed_days: float = 7,
    ) -> None:
        self._records = JobRecords(
            engine, service_id(data_dir), keep_days=keep_days, keep_failed_days=keep_failed_days
        )
        self._work = work
        self._uploads = data_dir / FOLDER
        self._progress: dict[str, Progress] = {}
        self._runner: asyncio.Task[None] | None = None
        self._running: tuple[str, asyncio.Task[IngestionReport]] | None = None
        self._wake = asyncio.Event()
        self._is_closing = False
        self._drop_old_at = 0.0
        sweep(self._uploads, self._records.kept_files())

    def start(self) -> None:
        """Run what waits, from now on; needs a running event loop."""
        self._wake.set()
        if self._runner is None:
            self._runner = asyncio.create_task(self._run_all())

    async def submit(self, assignment: Assignment) -> JobOut:
        """Put a job into the queue. Raises OverloadedError when too much waits."""
        job_id = _new_id()
        await asyncio.to_thread(self._records.add, job_id, assignment)
        self.start()
        return await self.get(job_id)

    async def get(self, job_id: str, reach: Reach = EVERYTHING) -> JobOut:
        """A job as it stands. Raises NotFoundError, as all do for one out of reach."""
        job = await asyncio.to_thread(self._records.get, job_id, reach)
        progress = self._progress.get(job_id)
        if progress is None or job.state != "running":
            return job
        return job.model_copy(update={"progress": ProgressOut.of(progress)})

    async def newest(self, limit: int, reach: Reach = EVERYTHING) -> list[JobLineOut]:
        """The newest jobs without their reports, newest first."""
        return await asyncio.to_thread(self._records.newest, limit, reach)

    async def cancel(self, job_id: str, reach: Reach = EVERYTHING) -> JobOut:
        """Stop a job; what it has written stays. A finished job is left as it is."""
        assignment = await asyncio.to_thread(self._records.cancel, job_id, reach)
        if self._running is not None and self._running[0] == job_id:
            self._running[1].cancel()
        elif assignment is not None:
            await self._keep_only(assignment, ())
        return await self.get(job_id)

    async def retry(self, job_id: str, reach: Reach = EVERYTHING) -> JobOut:
        """A new job of what failed in a finished one.

        Raises NotFoundError, ConflictError when there is nothing to retry, and OverloadedError.
        """
        new_id = _new_id()
        await asyncio.to_thread(self._records.retry, job_id, new_id, reach)
        self.start()
        return await self.get(new_id)

    def counts(self) -> Mapping[str, int]:
        """How many jobs are in each state."""
        return self._records.counts()

    async def close(self) -> None:
        """Stop what runs. It goes on, with what waits, when the next service starts."""
        self._is_closing = True
        self._wake.set()
        if self._running is not None:
            self._running[1].cancel()
        if self._runner is not None:
            await self._runner

    async def _run_all(self) -> None:
        while not self._is_closing:
            self._wake.clear()
            try:
                await self._drop_old()
                claimed = await asyncio.to_thread(self._records.claim)
                if claimed is None:
                    await self._pause(DROP_OLD_EVERY_S)
                else:
                    await self._run(claimed)
            except Exception as error:
                _log.error("jobs wait %g s: %s", STATE_PAUSE_S, error, exc_info=error)
                await self._pause(STATE_PAUSE_S)

    async def _run(self, claimed: Claimed) -> None:
        job_id = claimed.job_id
        on_progress = partial(self._progress.__setitem__, job_id)
        task = asyncio.create_task(self._work(claimed.assignment, on_progress))
        self._running = (job_id, task)
        try:
            await self._watch(job_id, task)
            if self._is_closing and task.cancelled():
                await asyncio.to_thread(self._records.release, job_id)
                return
            kept = await asyncio.to_thread(self._record, job_id, task)
            await self._keep_only(claimed.assignment, kept.files if kept is not None else ())
        finally:
            self._running = None
            self._progress.pop(job_id, None)

    async def _watch(self, job_id: str, task: asyncio.Task[IngestionReport]) -> None:
        """Wait for the end of a task; record its progress now and then, and stop what must stop."""
        while not task.done():
            if self._is_closing:
                task.cancel()
            await asyncio.wait({task}, timeout=NOTE_EVERY_S)
            if task.done():
                return
            progress = self._progress.get(job_id)
            try:
                runs = await asyncio.to_thread(self._records.note_progress, job_id, progress)
            except RagError as error:
                _log.warning("the progress of %s is not recorded: %s", job_id, error)
                continue
            if not runs:  # another service has cancelled it
                task.cancel()

    def _record(self, job_id: str, task: asyncio.Task[IngestionReport]) -> Assignment | None:
        """Record the end of a job, and give what is kept of it."""
        if task.cancelled():
            self._records.cancel(job_id)
            return None
        error = task.exception()
        if error is None:
            return self._records.finish(job_id, task.result())
        if isinstance(error, RagError):
            return self._records.fail(job_id, str(error))
        _log.error("unexpected error in %s", job_id, exc_info=error)
        return self._records.fail(job_id, UNEXPECTED)

    async def _drop_old(self) -> None:
        if time.monotonic() < self._drop_old_at:
            return
        for dropped in await asyncio.to_thread(self._records.drop_old):
            await self._keep_only(dropped, ())
        self._drop_old_at = time.monotonic() + DROP_OLD_EVERY_S

    async def _keep_only(self, assignment: Assignment, names: Collection[str]) -> None:
        if assignment.folder:
            await asyncio.to_thread(keep_only, self._uploads / assignment.folder, names)

    async def _pause(self, seconds: float) -> None:
        """Wait until there may be something to do."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), seconds)


async def purge(engine: Engine, data_dir: Path, collection: str, sources: Collection[str]) -> None:
    """Drop the copies that jobs keep of texts and files that came from these sources."""
    for left in await asyncio.to_thread(purge_payloads, engine, collection, sources):
        if left.folder:
            await asyncio.to_thread(keep_only, data_dir / FOLDER / left.folder, left.files)


def service_id(data_dir: Path) -> str:
    """The name under which the service over a data folder owns its jobs, whatever its address."""
    file = data_dir / OWNER_FILE
    if not file.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{OWNER_FILE}")
        fresh.write_text(uuid.uuid4().hex, "ascii")
        fresh.replace(file)
    return file.read_text("ascii").strip()


def _new_id() -> str:
    return f"job_{uuid.uuid4().hex}"
