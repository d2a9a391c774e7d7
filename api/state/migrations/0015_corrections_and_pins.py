"""Answers as people corrected them, and answers that people pinned."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Text

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Bring the tables from version 0014 to 0015."""
    op.add_column("answers", Column("markers", Text))
    op.add_column("lessons", Column("excerpts", Text))
    op.add_column("kept_answers", Column("filters", Text))
    _create_corrections()
    _create_pins()
    for name, table, columns in (
        ("corrections_by_time", "corrections", ["at"]),
        ("correction_documents_by_document", "correction_documents", ["collection", "document_id"]),
        ("pins_by_wording", "pins", ["scope", "wording"]),
        ("pin_documents_by_document", "pin_documents", ["collection", "document_id"]),
    ):
        op.create_index(name, table, columns)
    op.create_index("pins_by_id", "pins", ["pin_id"], unique=True)


def _create_corrections() -> None:
    op.create_table(
        "corrections",
        Column("answer_id", String, primary_key=True),
        Column("collection", String, nullable=False),
        Column("correction", Text, nullable=False),
        Column("at", String, nullable=False),
    )
    op.create_table(
        "correction_documents",
        Column(
            "answer_id",
            String,
            ForeignKey("corrections.answer_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("collection", String, primary_key=True),
        Column("document_id", String, primary_key=True),
    )


def _create_pins() -> None:
    op.create_table(
        "pins",
        Column("position", Integer, primary_key=True),
        Column("pin_id", String, nullable=False),
        Column("tenant", String, nullable=False),
        Column("collection", String, nullable=False),
        Column("filters", Text, nullable=False),
        Column("scope", String, nullable=False),
        Column("wording", String, nullable=False),
        Column("question", Text, nullable=False),
        Column("vector", LargeBinary, nullable=False),
        Column("answer", Text, nullable=False),
        Column("says", String, nullable=False),
        Column("changes", BigInteger, nullable=False),
        Column("pinned_at", String, nullable=False),
        Column("expired_at", String),
        Column("expired_because", Text),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pin_documents",
        Column(
            "position",
            Integer,
            ForeignKey("pins.position", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("collection", String, primary_key=True),
        Column("document_id", String, primary_key=True),
        Column("version", String, nullable=False),
    )
