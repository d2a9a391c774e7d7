"""What the dashboard reads: the document that an answer cites first, and kept questions."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, String, Text

revision = "0014"
down_revision = "0012"


def upgrade() -> None:
    """Bring the tables from version 0012 to 0014."""
    op.add_column("answers", Column("cited", String))
    op.drop_index("answers_by_time", "answers")
    op.create_index(
        "answers_over_time",
        "answers",
        [
            *("at", "tenant", "collection", "tier", "status", "confidence", "ms"),
            *("spent_pico_usd", "baseline_pico_usd", "answer_id"),
        ],
    )
    op.create_table(
        "asked_questions",
        Column("answer_id", String, primary_key=True),
        Column("question", Text, nullable=False),
        Column("at", String, nullable=False),
    )
    op.create_index("asked_questions_by_time", "asked_questions", ["at"])
