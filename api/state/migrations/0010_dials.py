"""What a dial was solved from, and which kept answers were due when a fresh one was made."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, Float, Integer, String, Text

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Bring the tables from version 0009 to 0010."""
    op.add_column("reuses", Column("was_due", Boolean))
    op.create_table(
        "dial_situations",
        Column("position", Integer, primary_key=True),
        Column("situation", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "dial_prices",
        Column("dial", String, primary_key=True),
        Column("error_usd", Float, nullable=False),
    )
