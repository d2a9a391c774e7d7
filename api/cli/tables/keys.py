"""What `rag keys list` prints for people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from api.cli.tables.answers import open_console
from api.models.keys import KeyOut


def print_keys(keys: Sequence[KeyOut]) -> None:
    """A row for each key."""
    table = Table("name", "begins", "tenant", "scopes", "collections", "origins", "limits", "until")
    for key in keys:
        cells = (
            key.name,
            f"{key.hint}…",
            key.tenant,
            ", ".join(key.scopes),
            "all" if key.collections is None else ", ".join(key.collections),
            ", ".join(key.origins),
            ", ".join(_limits(key)),
            _until(key),
        )
        table.add_row(*(Text(cell) for cell in cells))
    open_console().print(table)


def _limits(key: KeyOut) -> list[str]:
    limits = {
        "${} a day": key.day_usd,
        "${} a month": key.month_usd,
        "{:,} requests a minute": key.requests_per_minute,
        "{:,} a minute of a visitor": key.visitor_requests_per_minute,
        "{:,} questions a day of a visitor": key.visitor_questions_per_day,
    }
    return [told.format(limit) for told, limit in limits.items() if limit is not None]


def _until(key: KeyOut) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at:%Y-%m-%d}"
    return "" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M} UTC"
