"""What is kept for a time only: the sweep that deletes what is older, and who sweeps."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, update

from api.assembly.conversing import open_turns
from api.assembly.distilling import open_lessons
from api.assembly.reusing import open_entries
from api.audit.log import AuditLog
from api.settings import Settings
from generation.batching.records import BatchRecords
from generation.deciding.corrections import Corrections
from generation.money.tables import ANSWERS
from generation.overview.asked import AskedQuestions
from rag.errors import RagError

SWEEP_EVERY_S = 3_600.0
_log = logging.getLogger(__name__)


def sweep(settings: Settings, state: Engine) -> Mapping[str, int]:
    """Delete what is too old; by what it is called, how many there were.

    Jobs are swept where they run, since their files lie there. Raises StateError.
    """
    now, chosen = datetime.now(UTC), settings.retention
    return {
        "questions of conversations": open_turns(settings, state).prune(),
        "kept answers": open_entries(settings, state).prune(),
        "lessons": open_lessons(settings, state).prune(),
        "corrections": Corrections(state).delete_older(
            now - timedelta(days=settings.distillation.keep_days)
        ),
        "questions of the dashboard": AskedQuestions(state).drop_older(
            settings.dashboard.keep_days
        ),
        "batches": BatchRecords(state).delete_old(now - timedelta(days=chosen.batch_days)),
        "marks of visitors": _unlink_visitors(state, now - words_kept_for(settings)),
        "entries of the audit log": AuditLog(state).prune(chosen.audit_days),
    }


def words_kept_for(settings: Settings) -> timedelta:
    """For how long words of a visitor can be there, to be found by his mark and forgotten."""
    return max(
        timedelta(days=settings.reuse.keep_days),
        timedelta(days=settings.distillation.keep_days),
        timedelta(days=settings.dashboard.keep_days),
        timedelta(minutes=settings.conversations.keep_minutes),
    )


def _unlink_visitors(state: Engine, before: datetime) -> int:
    """Take the marks of visitors off the answers that are older; gives how many."""
    at = before.isoformat(timespec="microseconds")
    is_old = ANSWERS.c.visitor.is_not(None) & (ANSWERS.c.at < at)
    with state.begin() as connection:
        return connection.execute(update(ANSWERS).where(is_old).values(visitor=None)).rowcount


class Sweeper:
    """Sweeps when it is started, and every hour from then on. What was deleted stands in the log.

    Several services over one state may all do so.
    """

    def __init__(self, settings: Settings, state: Engine) -> None:
        self._settings = settings
        self._state = state
        self._stop = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sweep from now on; needs a running event loop."""
        self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, once a sweep that was begun has ended."""
        self._stop.set()
        if self._running is not None:
            await self._running

    async def _run(self) -> None:
        while not self._stop.is_set():
            try:
                deleted = await asyncio.to_thread(sweep, self._settings, self._state)
            except RagError as error:
                _log.warning("what is too old could not be deleted: %s", error)
            else:
                told = [f"{count:,} {what}" for what, count in deleted.items() if count]
                if told:
                    _log.info("deleted, since they are too old: %s", ", ".join(told))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), SWEEP_EVERY_S)
