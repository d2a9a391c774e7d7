"""The table of the keys. What a key is made of is not in it: only its hash is."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()
KEYS = Table(
    "keys",
    METADATA,
    Column("name", String, primary_key=True),
    Column("token_hash", String, nullable=False),
    Column("hint", String, nullable=False),  # its first characters, to tell it from others
    Column("tenant", String, nullable=False),  # empty: the operator's own
    Column("scopes", Text, nullable=False),  # JSON
    Column("collections", Text),  # JSON; null: all
    Column("origins", Text, nullable=False),  # JSON
    Column("day_usd", String),  # null: no wall
    Column("month_usd", String),
    Column("requests_per_minute", Integer),  # null: no limit
    Column("visitor_requests_per_minute", Integer),
    Column("visitor_questions_per_day", Integer),
    Column("created_at", String, nullable=False),
    Column("expires_at", String),
    Column("revoked_at", String),
    Index("keys_by_token", "token_hash", unique=True),
)
