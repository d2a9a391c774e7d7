"""What people say of answers."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, String

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Bring the tables from version 0006 to 0007."""
    op.create_table(
        "feedback",
        Column("answer_id", String, primary_key=True),
        Column("is_right", Boolean, nullable=False),
        Column("at", String, nullable=False),
    )
    op.create_index("feedback_by_time", "feedback", ["at"])
