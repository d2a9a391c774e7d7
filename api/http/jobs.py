"""Ingestion jobs: one at a time in the background, with records that outlive the service.

The work itself lives in memory: a job that a stop interrupts is shown as failed, and its sender
sends it again, which costs only what was not done yet.
"""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from api.models.documents import JobOut, JobState, ProgressOut, ReportOut
from indexing.report import IngestionReport, OnProgress, Progress
from rag.errors import NotFoundError, OverloadedError, RagError

Work = Callable[[OnProgress], Coroutine[Any, Any, IngestionReport]]

MAX_WAITING = 32
MAX_KEPT = 1_000
RETRY_AFTER_S = 5.0
INTERRUPTED = "interrupted: the service stopped before it was done; send it again"
UNEXPECTED = "something went wrong in the service: its log says what"

_METADATA = MetaData()
_JOBS = Table(
    "jobs",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("collection", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("created_at", String, nullable=False),
    Column("started_at", String),
    Column("finished_at", String),
    Column("report", Text),
    Column("reason", Text),
)
_log = logging.getLogger(__name__)


class Jobs:
    """The jobs of one service. Jobs that an earlier service left unfinished become failed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: dict[str, Work] = {}
        self._progress: dict[str, Progress] = {}
        self._runner: asyncio.Task[None] | None = None
        self._running: tuple[str, asyncio.Task[IngestionReport]] | None = None
        self._closing = False
        _METADATA.create_all(engine)
        self._fail_unfinished()
        self._drop_old()

    def submit(self, collection: str, work: Work) -> JobOut:
        """Put work into the queue. Raises OverloadedError when too much waits."""
        if len(self._waiting) >= MAX_WAITING:
            raise OverloadedError(
                f"{len(self._waiting)} ingestion jobs wait, the limit is {MAX_WAITING}: "
                f"come back in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
            )
        job_id = f"job_{uuid.uuid4().hex}"
        with self._engine.begin() as connection:
            connection.execute(
                insert(_JOBS).values(
                    id=job_id, collection=collection, state="queued", created_at=_now()
                )
            )
        self._waiting[job_id] = work
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(self._run_all())
        return self.get(job_id)

    def get(self, job_id: str) -> JobOut:
        """A job as it stands. Raises NotFoundError."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_JOBS).where(_JOBS.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFoundError(f"no job {job_id[:100]!r}: its id is in the answer that made it")
        progress = self._progress.get(job_id)
        report = None if row.report is None else ReportOut.model_validate(json.loads(row.report))
        return JobOut(
            id=row.id,
            state=row.state,
            collection=row.collection,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            progress=None if progress is None else ProgressOut.of(progress),
            report=report,
            reason=row.reason,
        )

    def cancel(self, job_id: str) -> JobOut:
        """Stop a job; what it has written stays. A finished job is left as it is."""
        if self._waiting.pop(job_id, None) is not None:
            self._record(job_id, "cancelled", finished_at=_now())
        elif self._running is not None and self._running[0] == job_id:
            self._running[1].cancel()
        return self.get(job_id)

    def counts(self) -> Mapping[str, int]:
        """How many jobs are in each state."""
        query = select(_JOBS.c.state, func.count()).group_by(_JOBS.c.state)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    async def close(self) -> None:
        """Stop what runs; it and what waits are recorded as interrupted."""
        self._closing = True
        self._waiting.clear()
        if self._running is not None:
            self._running[1].cancel()
        if self._runner is not None:
            await self._runner
        self._fail_unfinished()

    async def _run_all(self) -> None:
        while self._waiting:
            job_id, work = next(iter(self._waiting.items()))
            del self._waiting[job_id]
            self._record(job_id, "running", started_at=_now())
            task = asyncio.create_task(work(partial(self._progress.__setitem__, job_id)))
            self._running = (job_id, task)
            await asyncio.wait({task})
            self._running = None
            self._finish(job_id, task)
            self._progress.pop(job_id, None)

    def _finish(self, job_id: str, task: asyncio.Task[IngestionReport]) -> None:
        if task.cancelled():
            if not self._closing:
                self._record(job_id, "cancelled", finished_at=_now())
            return
        error = task.exception()
        if error is None:
            report = ReportOut.of(task.result()).model_dump_json()
            self._record(job_id, "done", finished_at=_now(), report=report)
            return
        if not isinstance(error, RagError):
            _log.error("unexpected error in %s", job_id, exc_info=error)
        reason = str(error) if isinstance(error, RagError) else UNEXPECTED
        self._record(job_id, "failed", finished_at=_now(), reason=reason)

    def _record(self, job_id: str, state: JobState, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                update(_JOBS).where(_JOBS.c.id == job_id).values(state=state, **values)
            )

    def _fail_unfinished(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                update(_JOBS)
                .where(_JOBS.c.state.in_(("queued", "running")))
                .values(state="failed", finished_at=_now(), reason=INTERRUPTED)
            )

    def _drop_old(self) -> None:
        newest = select(_JOBS.c.id).order_by(_JOBS.c.created_at.desc()).limit(MAX_KEPT)
        with self._engine.begin() as connection:
            connection.execute(delete(_JOBS).where(_JOBS.c.id.not_in(newest)))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
