"""Whose questions on web pages were answered, as a hash, and who administered what.

An entry of the audit log is never changed; entries that are too old are deleted.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, String, text

revision = "0016"
down_revision = "0015"

_REFUSAL = "an entry of the audit log is never changed"


def upgrade() -> None:
    """Bring the tables from version 0015 to 0016."""
    op.add_column("answers", Column("visitor", String))
    where = text("visitor IS NOT NULL")
    op.create_index(
        "answers_by_visitor", "answers", ["visitor"], sqlite_where=where, postgresql_where=where
    )
    op.create_table(
        "audit",
        Column("position", Integer, primary_key=True),
        Column("at", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("action", String, nullable=False),
        Column("object", String, nullable=False),
        Column("outcome", String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_time", "audit", ["at"])
    _make_unchangeable()


def _make_unchangeable() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            "CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
        )
        return
    op.execute(
        "CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN RAISE EXCEPTION ''{_REFUSAL}'' USING ERRCODE = ''23001''; END'"
    )
    op.execute(
        "CREATE TRIGGER audit_is_not_updated BEFORE UPDATE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit()"
    )
