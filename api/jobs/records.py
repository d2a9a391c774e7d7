"""The records of jobs in the state: everything that is done to the table.

A job belongs to the service that took it, whose disk holds what it needs; any service shows it and
can cancel it. No job runs twice at a time: a service runs one at a time, and holds its data folder
alone. A payload, which may hold texts, is dropped as soon as it is not needed.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from api.jobs.assignment import Assignment
from api.jobs.tables import JOBS
from api.keys.reach import EVERYTHING, Reach
from api.models.documents import JobLineOut, JobOut, JobState, ProgressOut, ReportOut
from indexing.ingesting.report import IngestionReport, Progress
from rag.errors import ConflictError, NotFoundError, OverloadedError

MAX_WAITING = 32
MAX_KEPT = 1_000
MAX_ATTEMPTS = 3
RETRY_AFTER_S = 5.0
GAVE_UP = (
    f"the service went down {MAX_ATTEMPTS} times while it ran this job: "
    "see its log, give it more memory or the job in smaller parts, and retry"
)
UNREADABLE = "the job was recorded by another version of the service: send it again"

_LINE = (
    *(column for column in JOBS.c if column.name not in ("owner", "kind", "payload", "report")),
    JOBS.c.payload.is_not(None).label("has_payload"),
)
_UNFINISHED = JOBS.c.state.in_(("queued", "running"))
_FINISHED = JOBS.c.state.not_in(("queued", "running"))
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job to run now."""

    job_id: str
    assignment: Assignment


class JobRecords:
    """The jobs in a state, for the service called `owner`.

    A finished job is kept for `keep_days`, and what failed in it for `keep_failed_days`.
    """

    def __init__(
        self, engine: Engine, owner: str, *, keep_days: float = 90, keep_failed_days: float = 7
    ) -> None:
        self._engine = engine
        self._keep = timedelta(days=keep_days)
        self._keep_failed = timedelta(days=keep_failed_days)
        self._own = JOBS.c.owner == owner
        self._owner = owner

    def add(self, job_id: str, assignment: Assignment) -> None:
        """Put a job at the end of the queue. Raises OverloadedError when too much waits."""
        with self._engine.begin() as connection:
            self._add(connection, job_id, assignment)

    def get(self, job_id: str, reach: Reach = EVERYTHING) -> JobOut:
        """A job as it stands, without a report of another version.

        Raises NotFoundError, also for one out of reach.
        """
        query = select(*_LINE, JOBS.c.report).where(_is_it(job_id, reach))
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise _unknown(job_id)
        return JobOut(**_line(row).model_dump(), report=_report(row.report))

    def newest(self, limit: int, reach: Reach = EVERYTHING) -> list[JobLineOut]:
        """The newest jobs within reach, of all services, newest first."""
        query = select(*_LINE).where(reach.within(JOBS.c.collection))
        query = query.order_by(JOBS.c.created_at.desc(), JOBS.c.id).limit(limit)
        with self._engine.connect() as connection:
            return [_line(row) for row in connection.execute(query)]

    def counts(self) -> Mapping[str, int]:
        """How many jobs are in each state."""
        query = select(JOBS.c.state, func.count()).group_by(JOBS.c.state)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def claim(self) -> Claimed | None:
        """The job to run next, recorded as running; None when none waits.

        To be asked while nothing runs: what is recorded as running was left by a service that went
        down, and is run again, unless it took the service down too often.
        """
        running = and_(self._own, JOBS.c.state == "running")
        waiting = select(JOBS.c.id, JOBS.c.payload).where(self._own, JOBS.c.state == "queued")
        with self._engine.begin() as connection:
            too_often = update(JOBS).where(running, JOBS.c.attempts >= MAX_ATTEMPTS)
            connection.execute(too_often.values(state="failed", finished_at=_now(), reason=GAVE_UP))
            connection.execute(update(JOBS).where(running).values(state="queued", progress=None))
            for row in connection.execute(waiting.order_by(JOBS.c.created_at, JOBS.c.id)).all():
                assignment = _read(row.payload)
                if assignment is None:
                    _finish(connection, row.id, "failed", reason=UNREADABLE, payload=None)
                    continue
                taken = update(JOBS).where(JOBS.c.id == row.id, JOBS.c.state == "queued")
                values = {"state": "running", "started_at": _now(), "attempts": JOBS.c.attempts + 1}
                if connection.execute(taken.values(**values)).rowcount:
                    return Claimed(row.id, assignment)
        return None

    def note_progress(self, job_id: str, progress: Progress | None) -> bool:
        """Record how far a running job has come; False when it runs no more: it was cancelled."""
        noted = None if progress is None else ProgressOut.of(progress).model_dump_json()
        running = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.state == "running")
        with self._engine.begin() as connection:
            return bool(connection.execute(running.values(progress=noted)).rowcount)

    def finish(self, job_id: str, report: IngestionReport) -> Assignment | None:
        """Record a job as done, and give what failed of it, which is all that is kept of it."""
        shown = ReportOut.of(report).model_dump_json()
        with self._engine.begin() as connection:
            assignment = _assignment(connection, job_id)
            failed = None if assignment is None else assignment.failed(report)
            kept = None if failed is None or failed.is_empty else failed
            payload = None if kept is None else kept.to_json()
            done = _finish(connection, job_id, "done", report=shown, payload=payload)
            return kept if done else None

    def fail(self, job_id: str, reason: str) -> Assignment | None:
        """Record a job as failed, and give what is kept of it: all."""
        with self._engine.begin() as connection:
            failed = _finish(connection, job_id, "failed", reason=reason)
            return _assignment(connection, job_id) if failed else None

    def release(self, job_id: str) -> None:
        """Put a running job back to the head of the queue, as if it had never been begun."""
        running = update(JOBS).where(JOBS.c.id == job_id, JOBS.c.state == "running")
        values = {"state": "queued", "started_at": None, "attempts": JOBS.c.attempts - 1}
        with self._engine.begin() as connection:
            connection.execute(running.values(**values))

    def cancel(self, job_id: str, reach: Reach = EVERYTHING) -> Assignment | None:
        """Record an unfinished job as cancelled; gives what it would have done.

        None for a finished job, which stays as it is. Raises NotFoundError.
        """
        with self._engine.begin() as connection:
            if not connection.scalar(select(func.count()).where(_is_it(job_id, reach))):
                raise _unknown(job_id)
            assignment = _assignment(connection, job_id)
            stopped = update(JOBS).where(JOBS.c.id == job_id, _UNFINISHED)
            values = {"state": "cancelled", "finished_at": _now(), "payload": None}
            return assignment if connection.execute(stopped.values(**values)).rowcount else None

    def retry(self, job_id: str, new_id: str, reach: Reach = EVERYTHING) -> None:
        """Make a job of what failed in another one, which then keeps nothing of it.

        Raises NotFoundError, ConflictError when there is nothing to retry, and OverloadedError.
        """
        query = select(JOBS.c.state, JOBS.c.owner, JOBS.c.payload).where(_is_it(job_id, reach))
        with self._engine.begin() as connection:
            row = connection.execute(query.with_for_update()).one_or_none()
            if row is None:
                raise _unknown(job_id)
            if row.state in ("queued", "running"):
                raise ConflictError(f"{job_id} is {row.state}: retry it when it is finished")
            if row.payload is None:
                raise ConflictError(
                    f"{job_id} is {row.state}, and nothing that failed is kept of it: "
                    "send what shall be ingested"
                )
            sent = _read(row.payload)
            if sent is None:
                raise ConflictError(f"{job_id}: {UNREADABLE}")
            assignment = sent.still_there()
            if assignment.is_empty:
                raise ConflictError(f"what failed in {job_id} is not at its place any more")
            if assignment.kind == "files" and row.owner != self._owner:
                raise ConflictError(f"the files of {job_id} are kept by another service: ask that")
            connection.execute(update(JOBS).where(JOBS.c.id == job_id).values(payload=None))
            self._add(connection, new_id, assignment)

    def kept_files(self) -> dict[str, Collection[str]]:
        """By folder, the uploaded files that jobs of this service still need."""
        query = select(JOBS.c.payload).where(
            self._own, JOBS.c.kind == "files", JOBS.c.payload.is_not(None)
        )
        with self._engine.connect() as connection:
            kept = [_read(payload) for payload in connection.scalars(query)]
        return {one.folder: one.files for one in kept if one is not None}

    def drop_old(self) -> list[Assignment]:
        """Drop old finished jobs and what failed long ago; gives what was kept of them."""
        newest = select(JOBS.c.id).where(self._own, _FINISHED)
        newest = newest.order_by(JOBS.c.created_at.desc(), JOBS.c.id).limit(MAX_KEPT)
        is_past = or_(JOBS.c.id.not_in(newest), JOBS.c.finished_at < _now(-self._keep))
        is_old = and_(self._own, _FINISHED, is_past)
        is_stale = and_(self._own, _FINISHED, JOBS.c.finished_at < _now(-self._keep_failed))
        dropped = select(JOBS.c.payload).where(or_(is_old, is_stale), JOBS.c.payload.is_not(None))
        with self._engine.begin() as connection:
            payloads = list(connection.scalars(dropped))
            connection.execute(update(JOBS).where(is_stale).values(payload=None))
            connection.execute(delete(JOBS).where(is_old))
        return [kept for payload in payloads if (kept := _read(payload)) is not None]

    def _add(self, connection: Connection, job_id: str, assignment: Assignment) -> None:
        queued = select(func.count()).where(self._own, JOBS.c.state == "queued")
        waiting = connection.scalar(queued) or 0
        if waiting >= MAX_WAITING:
            raise OverloadedError(
                f"{waiting} ingestion jobs wait, the limit is {MAX_WAITING}: "
                f"come back in {RETRY_AFTER_S:g} s",
                retry_after_s=RETRY_AFTER_S,
            )
        values = {
            "id": job_id,
            "collection": assignment.collection,
            "owner": self._owner,
            "kind": assignment.kind,
            "payload": assignment.to_json(),
            "attempts": 0,
            "state": "queued",
            "created_at": _now(),
        }
        connection.execute(insert(JOBS).values(**values))


def purge_payloads(engine: Engine, collection: str, sources: Collection[str]) -> list[Assignment]:
    """Drop the copies of texts and files that came from these sources, in jobs of any service.

    Gives what is left of each job that lost one.
    """
    query = select(JOBS.c.id, JOBS.c.state, JOBS.c.payload).where(
        JOBS.c.collection == collection, JOBS.c.kind != "places", JOBS.c.payload.is_not(None)
    )
    changed = []
    with engine.begin() as connection:
        for row in connection.execute(query.with_for_update()).all():
            before = _read(row.payload)
            after = None if before is None else before.without(sources)
            if after is None or after == before:
                continue
            is_needed = not after.is_empty or row.state in ("queued", "running")
            payload = after.to_json() if is_needed else None
            connection.execute(update(JOBS).where(JOBS.c.id == row.id).values(payload=payload))
            changed.append(after)
    return changed


def _is_it(job_id: str, reach: Reach) -> ColumnElement[bool]:
    return and_(JOBS.c.id == job_id, reach.within(JOBS.c.collection))


def _finish(connection: Connection, job_id: str, state: JobState, **values: Any) -> bool:
    """Record the end of a job; False when it is finished already, as one that was cancelled is."""
    ended = update(JOBS).where(JOBS.c.id == job_id, _UNFINISHED)
    given = {"state": state, "finished_at": _now(), "progress": None, **values}
    return bool(connection.execute(ended.values(**given)).rowcount)


def _assignment(connection: Connection, job_id: str) -> Assignment | None:
    payload = connection.scalar(select(JOBS.c.payload).where(JOBS.c.id == job_id))
    return _read(payload)


def _read(payload: str | None) -> Assignment | None:
    """What a payload says; None where there is none, or one of another version."""
    try:
        return None if payload is None else Assignment.from_json(payload)
    except ValueError as error:
        _log.error("a job cannot be read: %s", type(error).__name__)  # it may hold texts
        return None


def _line(row: Any) -> JobLineOut:
    return JobLineOut(
        id=row.id,
        state=row.state,
        collection=row.collection,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        attempts=row.attempts,
        progress=None if row.progress is None else ProgressOut.model_validate_json(row.progress),
        reason=row.reason,
        can_be_retried=row.state in ("done", "failed") and bool(row.has_payload),
    )


def _report(shown: str | None) -> ReportOut | None:
    try:
        return None if shown is None else ReportOut.model_validate_json(shown)
    except ValidationError:
        return None


def _unknown(job_id: str) -> NotFoundError:
    return NotFoundError(f"no job {job_id[:100]!r}: its id is in the answer that made it")


def _now(shift: timedelta = timedelta()) -> str:
    return (datetime.now(UTC) + shift).isoformat(timespec="microseconds")
