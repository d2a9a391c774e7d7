"""The audit log: what a caller may ask of it, and its entries."""

from __future__ import annotations

from datetime import UTC, datetime, time

from pydantic import Field

from api.audit.log import Action, Entry, Outcome
from api.models.costs import Day
from api.models.inputs import Input
from api.models.output import Output

MOST = 10_000


class AuditIn(Input):
    """Which entries."""

    since: Day | None = Field(default=None, description="First day, in UTC; unset: the first.")
    limit: int = Field(default=1_000, ge=1, le=MOST, description="Entries at most, the newest.")

    @property
    def begin(self) -> datetime | None:
        """The first moment that is meant."""
        return None if self.since is None else datetime.combine(self.since, time(), UTC)


class AuditEntryOut(Output):
    """What was done. `actor` is the name of a key, `command-line`, or one in parentheses.

    `tenant` is whose the object is, empty for the operator's own.
    """

    at: datetime
    actor: str
    tenant: str
    action: Action
    object: str
    outcome: Outcome

    @classmethod
    def of(cls, entry: Entry) -> AuditEntryOut:
        deed = entry.deed
        return cls(
            at=entry.at,
            actor=deed.actor,
            tenant=deed.tenant,
            action=deed.action,
            object=deed.object,
            outcome=deed.outcome,
        )


class AuditOut(Output):
    """Entries, the newest first."""

    entries: list[AuditEntryOut]
