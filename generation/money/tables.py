"""The tables of what was spent. Money is in whole pico-dollars, 1e-12 dollars; null is unknown.

A line of the ledger is never changed: triggers of the database refuse it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA = MetaData()


def _columns_of_a_line() -> list[Column[Any]]:
    """Those of `rag.calls.LedgerLine`, its usage in columns of its own."""
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


LEDGER = Table(
    "ledger",
    METADATA,
    *_columns_of_a_line(),
    Index("ledger_by_answer", "answer_id"),
    Index("ledger_by_time", "at"),
)
RESERVATIONS = Table(
    "reservations",
    METADATA,
    *_columns_of_a_line(),  # the line that the ledger gets if nothing more is heard of the call
    Column("expires_at", String, nullable=False),
    Index("reservations_by_answer", "answer_id"),
    Index("reservations_by_expiry", "expires_at"),
)
BUDGETS = Table(
    "budgets",
    METADATA,
    Column("scope", String, primary_key=True),  # service, tenant or key
    Column("name", String, primary_key=True),  # of the tenant or the key
    Column("period", String, primary_key=True),  # a day or a month, as 2026-10-05 or 2026-10
    Column("spent_pico_usd", BigInteger, nullable=False),
    Column("reserved_pico_usd", BigInteger, nullable=False),
)
ANSWERS = Table(
    "answers",
    METADATA,
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
    Column("because", Text),  # why its tier answered
    Column("signals", Text),  # what its confidence was made from, as JSON
    Column("arm", String),  # experiment/arm; null outside experiments
    Column("conversation", String),  # a hash of its id; null outside conversations
    Column("cited", String),  # the document that it cites first
    Column("markers", Text),  # of its citations, each with its document, as JSON
    Column("visitor", String),  # a hash of what a web page calls its visitor; null elsewhere
    # holds all that the dashboard sums, so that it need not read the rows, which are long
    Index(
        "answers_over_time",
        *("at", "tenant", "collection", "tier", "status", "confidence", "ms"),
        *("spent_pico_usd", "baseline_pico_usd", "answer_id"),
    ),
    Index("answers_by_arm", "arm"),
    Index(
        "answers_by_visitor",
        "visitor",
        sqlite_where=text("visitor IS NOT NULL"),
        postgresql_where=text("visitor IS NOT NULL"),
    ),
)
