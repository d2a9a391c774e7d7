"""The ledger, the answers, the budgets and what is reserved of them.

A line of the ledger is never changed. To drop old ones, drop the trigger `ledger_is_not_deleted`
(in PostgreSQL: `ALTER TABLE ledger DISABLE TRIGGER ledger_is_not_deleted`), delete, and make it
anew, all in one transaction.
"""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, Float, Integer, String, Text

revision = "0003"
down_revision = "0002"

_REFUSAL = "a line of the ledger is never changed"


def upgrade() -> None:
    """Bring the tables from version 0002 to 0003."""
    op.create_table("ledger", *_columns_of_a_line())
    op.create_table(
        "reservations", *_columns_of_a_line(), Column("expires_at", String, nullable=False)
    )
    op.create_table(
        "budgets",
        Column("scope", String, primary_key=True),
        Column("name", String, primary_key=True),
        Column("period", String, primary_key=True),
        Column("spent_pico_usd", BigInteger, nullable=False),
        Column("reserved_pico_usd", BigInteger, nullable=False),
    )
    op.create_table(
        "answers",
        Column("answer_id", String, primary_key=True),
        Column("at", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("key", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("tier", String, nullable=False),
        Column("status", String, nullable=False),
        Column("confidence", Float, nullable=False),
        Column("spent_pico_usd", BigInteger),
        Column("baseline_pico_usd", BigInteger),
        Column("ms", Float, nullable=False),
    )
    for name, table, column in (
        ("ledger_by_answer", "ledger", "answer_id"),
        ("ledger_by_time", "ledger", "at"),
        ("reservations_by_answer", "reservations", "answer_id"),
        ("reservations_by_expiry", "reservations", "expires_at"),
        ("answers_by_time", "answers", "at"),
    ):
        op.create_index(name, table, [column])
    _refuse_changes()


def _columns_of_a_line() -> list[Column[Any]]:
    return [
        Column("line_id", String, primary_key=True),
        Column("answer_id", String, nullable=False),
        Column("at", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("key", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("tier", String, nullable=False),
        Column("stage", String, nullable=False),
        Column("provider", String, nullable=False),
        Column("model", String, nullable=False),
        Column("prompt_version", String, nullable=False),
        Column("input_tokens", Integer),
        Column("cached_input_tokens", Integer),
        Column("cache_write_tokens", Integer),
        Column("output_tokens", Integer),
        Column("reasoning_tokens", Integer),
        Column("reported", Text, nullable=False),
        Column("price", Text, nullable=False),
        Column("pico_usd", BigInteger),
        Column("at_most_pico_usd", BigInteger),
        Column("watt_hours", Float),
        Column("ms", Float, nullable=False),
        Column("outcome", String, nullable=False),
        Column("escalated_from", String),
        Column("is_batch", Boolean, nullable=False),
    ]


def _refuse_changes() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER ledger_is_not_{event.lower()}d BEFORE {event} ON ledger "
                f"BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_change_of_ledger() RETURNS trigger LANGUAGE plpgsql AS "
        f"'BEGIN RAISE EXCEPTION ''{_REFUSAL}'' USING ERRCODE = ''23001''; END'"
    )
    for event, rows in (("UPDATE", "ROW"), ("DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        op.execute(
            f"CREATE TRIGGER ledger_is_not_{event.lower()}d BEFORE {event} ON ledger "
            f"FOR EACH {rows} EXECUTE FUNCTION refuse_change_of_ledger()"
        )
