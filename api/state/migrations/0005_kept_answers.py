"""Answers that are kept to be given again, and how often each collection has changed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    String,
    Text,
)

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Bring the tables from version 0004 to 0005."""
    op.create_table(
        "collections",
        Column("collection", String, primary_key=True),
        Column("changes", BigInteger, nullable=False),
    )
    _create_kept_answers()
    _create_reuses()
    op.create_index("kept_answers_by_entry", "kept_answers", ["entry_id"], unique=True)
    for name, table, columns in (
        ("kept_answers_by_wording", "kept_answers", ["binding", "wording"]),
        ("kept_answers_by_time", "kept_answers", ["kept_at"]),
        (
            "kept_answer_documents_by_document",
            "kept_answer_documents",
            ["collection", "document_id"],
        ),
        ("reuses_by_time", "reuses", ["at"]),
        ("reuses_by_verdict", "reuses", ["judged_at"]),
    ):
        op.create_index(name, table, columns)


def _create_kept_answers() -> None:
    op.create_table(
        "kept_answers",
        Column("position", Integer, primary_key=True),
        Column("entry_id", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("binding", String, nullable=False),
        Column("wording", String, nullable=False),
        Column("question", Text, nullable=False),
        Column("vector", LargeBinary, nullable=False),
        Column("hits", String, nullable=False),
        Column("changes", BigInteger, nullable=False),
        Column("answer", Text, nullable=False),
        Column("says", String, nullable=False),
        Column("kept_at", String, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kept_answer_documents",
        Column(
            "position",
            Integer,
            ForeignKey("kept_answers.position", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("collection", String, primary_key=True),
        Column("document_id", String, primary_key=True),
    )


def _create_reuses() -> None:
    op.create_table(
        "reuses",
        Column("answer_id", String, primary_key=True),
        Column("entry_id", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("says", String, nullable=False),
        Column("score", Float, nullable=False),
        Column("was_given", Boolean, nullable=False),
        Column("is_right", Boolean),
        Column("at", String, nullable=False),
        Column("judged_at", String),
    )
