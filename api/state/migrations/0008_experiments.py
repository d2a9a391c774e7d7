"""Arms of experiments: which one made an answer, what was done with it, and which are stopped."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, String, Text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Bring the tables from version 0007 to 0008."""
    for name in ("arm", "conversation"):
        op.add_column("answers", Column(name, String))
    op.create_index("answers_by_arm", "answers", ["arm"])
    with op.batch_alter_table("feedback") as feedback:
        feedback.alter_column("is_right", existing_type=Boolean(), nullable=True)
        feedback.add_column(Column("use", String))
        feedback.add_column(Column("used_at", String))
    op.create_table(
        "stopped_arms",
        Column("experiment", String, primary_key=True),
        Column("arm", String, primary_key=True),
        Column("at", String, nullable=False),
        Column("why", Text, nullable=False),
    )
