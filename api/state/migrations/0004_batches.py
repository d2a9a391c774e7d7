"""Batches of questions, and what their answers wait for."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, String, Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Bring the tables from version 0003 to 0004."""
    op.create_table(
        "batches",
        Column("batch_id", String, primary_key=True),
        Column("tenant", String, nullable=False),
        Column("key", String, nullable=False),
        Column("state", String, nullable=False),
        Column("provider", String, nullable=False),
        Column("model", String, nullable=False),
        Column("sent_as", String, nullable=False),
        Column("at_most_pico_usd", BigInteger, nullable=False),
        Column("changed_at", String, nullable=False),
    )
    op.create_table(
        "batch_entries",
        Column(
            "batch_id",
            String,
            ForeignKey("batches.batch_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("position", Integer, primary_key=True),
        Column("question_id", String, nullable=False),
        Column("waiting", Text, nullable=False),
        Column("given", Text, nullable=False),
    )
