"""Keys."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, Integer, String, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Bring the tables from version 0010 to 0011."""
    op.create_table(
        "keys",
        Column("name", String, primary_key=True),
        Column("token_hash", String, nullable=False),
        Column("hint", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("scopes", Text, nullable=False),
        Column("collections", Text),
        Column("origins", Text, nullable=False),
        Column("day_usd", String),
        Column("month_usd", String),
        Column("requests_per_minute", Integer),
        Column("visitor_requests_per_minute", Integer),
        Column("visitor_questions_per_day", Integer),
        Column("created_at", String, nullable=False),
        Column("expires_at", String),
        Column("revoked_at", String),
    )
    op.create_index("keys_by_token", "keys", ["token_hash"], unique=True)
