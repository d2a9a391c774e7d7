"""Which answers are looked at: a time, what is in reach, and if wanted one collection or tenant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, true

Within = Callable[[Column[str]], ColumnElement[bool]]
"""The condition that the collection in a column is within somebody's reach."""


def everywhere(_: Column[str]) -> ColumnElement[bool]:
    """Every collection."""
    return true()


@dataclass(frozen=True, slots=True)
class Selection:
    """What began in `[since, until)`, both with a time zone; None stands for any."""

    since: datetime
    until: datetime
    collection: str | None = None
    tenant: str | None = None
    within: Within = everywhere

    def of(self, table: Table) -> list[ColumnElement[bool]]:
        """The conditions on a table that tells of time, collection and tenant."""
        columns: Any = table.c
        found = [
            columns.at >= text_of(self.since),
            columns.at < text_of(self.until),
            self.within(columns.collection),
        ]
        if self.collection is not None:
            found.append(columns.collection == self.collection)
        if self.tenant is not None:
            found.append(columns.tenant == self.tenant)
        return found

    def between(self, since: datetime, until: datetime) -> Selection:
        """The same of another time."""
        return replace(self, since=since, until=until)


def text_of(at: datetime) -> str:
    """A time as the tables hold it."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")
