"""What was administered, by whom and when: names, ids and counts, no secrets, no words of people.

Of people that were forgotten no id is noted either.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, Engine, delete, insert, select

from api.audit.tables import AUDIT
from api.settings import Settings
from api.state.opening import open_state

Action = Literal[
    "key.create",
    "key.revoke",
    "document.forget",
    "document.sync",
    "conversation.forget",
    "visitor.forget",
    "question.forget",
    "answer.pin",
    "answer.unpin",
    "calibration.keep",
    "experiment.start",
    "experiment.end",
    "experiment.stop_arm",
    "route.call",
]
Outcome = Literal["done", "refused"]

WITHOUT_KEY = "(no key)"
"""Who calls a service that asks for no keys, and does not say who he is."""

SETTINGS = "(settings)"
"""Who begins and ends what the settings name."""

WATCH = "(experiment)"
"""Who stops the arms of an experiment."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done. `actor` is the name of a key, `command-line`, or one in parentheses.

    `tenant` is whose the `object` is, empty for the operator's own.
    """

    actor: str
    tenant: str
    action: Action
    object: str
    outcome: Outcome = "done"


@dataclass(frozen=True, slots=True)
class Entry:
    """A deed, and when it was noted."""

    at: datetime
    deed: Deed


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


def note(connection: Connection, *deeds: Deed, now: datetime | None = None) -> None:
    """Note deeds in the transaction in which they are done."""
    at = _text(now or utc_now())
    if deeds:
        connection.execute(insert(AUDIT), [asdict(deed) | {"at": at} for deed in deeds])


class AuditLog:
    """The log in the table of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def note(self, *deeds: Deed) -> None:
        """Note what was done elsewhere than in the state."""
        with self._engine.begin() as connection:
            note(connection, *deeds, now=self._now())

    def note_experiment(self, name: str | None) -> None:
        """Note which experiment the settings name, None for none, unless that is known already."""
        of_settings = AUDIT.c.action.in_(("experiment.start", "experiment.end"))
        query = select(AUDIT.c.action, AUDIT.c.object).where(of_settings)
        with self._engine.begin() as connection:
            last = connection.execute(query.order_by(AUDIT.c.position.desc()).limit(1)).first()
            running = last.object if last and last.action == "experiment.start" else None
            if running == name:
                return
            if running is not None:
                ended = Deed(SETTINGS, "", "experiment.end", running)
                note(connection, ended, now=self._now())
            if name is not None:
                started = Deed(SETTINGS, "", "experiment.start", name)
                note(connection, started, now=self._now())

    def entries(self, since: datetime | None, limit: int, tenant: str | None = None) -> list[Entry]:
        """The newest entries, newest first; a `tenant` of None is any, a `since` of None always."""
        query = select(AUDIT).order_by(AUDIT.c.position.desc()).limit(limit)
        if since is not None:
            query = query.where(AUDIT.c.at >= _text(since))
        if tenant is not None:
            query = query.where(AUDIT.c.tenant == tenant)
        with self._engine.connect() as connection:
            return [
                Entry(
                    datetime.fromisoformat(row.at),
                    Deed(row.actor, row.tenant, row.action, row.object, row.outcome),
                )
                for row in connection.execute(query)
            ]

    def prune(self, keep_days: float) -> int:
        """Delete the entries that are older; gives how many."""
        before = _text(self._now() - timedelta(days=keep_days))
        with self._engine.begin() as connection:
            return connection.execute(delete(AUDIT).where(AUDIT.c.at < before)).rowcount


def opened_note(settings: Settings, *deeds: Deed) -> None:
    """Note deeds in the state that the settings name. Raises StateError."""
    state = open_state(settings.data_dir, settings.state_url)
    try:
        AuditLog(state).note(*deeds)
    finally:
        state.dispose()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
