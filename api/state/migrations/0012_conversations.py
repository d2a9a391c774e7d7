"""What was asked in conversations, until it expires, and a secret under which their ids are hashed.

Conversations that took part in experiments had a plain hash of their id, which can be guessed.
"""

from __future__ import annotations

import secrets
from collections import defaultdict

from alembic import op
from sqlalchemy import Column, ForeignKey, Integer, LargeBinary, String, Text, column, table

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Bring the tables from version 0011 to 0012."""
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
    op.create_table(
        "secrets",
        Column("name", String, primary_key=True),
        Column("value", LargeBinary, nullable=False),
    )
    _replace_marks()


def _replace_marks() -> None:
    answers = table("answers", column("answer_id"), column("conversation"))
    connection = op.get_bind()
    query = answers.select().where(answers.c.conversation.is_not(None))
    marks: defaultdict[str, str] = defaultdict(lambda: secrets.token_hex(8))
    for answer_id, mark in connection.execute(query).all():
        theirs = answers.update().where(answers.c.answer_id == answer_id)
        connection.execute(theirs.values(conversation=marks[mark]))
