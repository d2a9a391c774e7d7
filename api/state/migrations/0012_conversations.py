"""What was asked in conversations, until it expires."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, String, Text

revision = "0012"
down_revision = "0010"


def upgrade() -> None:
    """Bring the tables from version 0010 to 0012."""
    op.create_table(
        "conversation_turns",
        Column("position", Integer, primary_key=True),
        Column("answer_id", String, nullable=False),
        Column("at", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("key", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("conversation", String, nullable=False),
        Column("question", Text, nullable=False),
        Column("asked_as", Text, nullable=False),
        Column("names", Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "conversation_turn_documents",
        Column(
            "position",
            Integer,
            ForeignKey("conversation_turns.position", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("collection", String, primary_key=True),
        Column("document_id", String, primary_key=True),
    )
    op.create_index("conversation_turns_by_conversation", "conversation_turns", ["conversation"])
    op.create_index("conversation_turns_by_time", "conversation_turns", ["at"])
    op.create_index(
        "conversation_turn_documents_by_document",
        "conversation_turn_documents",
        ["collection", "document_id"],
    )
