"""Lessons: what dearer tiers taught, kept as training data."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, Column, ForeignKey, String, Text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Bring the tables from version 0008 to 0009."""
    op.create_table(
        "lessons",
        Column("answer_id", String, primary_key=True),
        Column("at", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("question", Text, nullable=False),
        Column("prompt_version", String, nullable=False),
        Column("system", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("answer", Text, nullable=False),
        Column("evidence", String, nullable=False),
        Column("model", String, nullable=False),
        Column("escalated_from", String, nullable=False),
        Column("is_abstained", Boolean, nullable=False),
    )
    op.create_table(
        "lesson_documents",
        Column(
            "answer_id",
            String,
            ForeignKey("lessons.answer_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("collection", String, primary_key=True),
        Column("document_id", String, primary_key=True),
        Column("revision", String, nullable=False),
    )
    op.create_index("lessons_by_time", "lessons", ["at"])
    op.create_index(
        "lesson_documents_by_document", "lesson_documents", ["collection", "document_id"]
    )
