"""What `rag audit` prints for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from api.cli.tables.answers import open_console
from api.models.audit import AuditEntryOut


def print_entries(entries: Sequence[AuditEntryOut]) -> None:
    """A row for each entry."""
    table = Table("at (UTC)", "actor", "tenant", "action", "object", "outcome")
    for one in entries:
        at = f"{one.at:%Y-%m-%d %H:%M:%S}"
        cells = (at, one.actor, one.tenant, one.action, one.object, one.outcome)
        table.add_row(*map(Text, cells))
    open_console().print(table)
