"""The table of the audit log. Entries are added and, once too old, deleted; a trigger of the
database refuses to change one."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table

METADATA = MetaData()
AUDIT = Table(
    "audit",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),  # the name of a key, or who stands for it
    Column("tenant", String, nullable=False),  # whose it is; empty: the operator's own
    Column("action", String, nullable=False),
    Column("object", String, nullable=False),  # names, ids and counts
    Column("outcome", String, nullable=False),
    Index("audit_by_time", "at"),
    sqlite_autoincrement=True,
)
