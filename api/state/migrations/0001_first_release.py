"""The tables of the release that had no versions: made, or taken over where they are."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Column, ForeignKeyConstraint, Integer, String, Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables that are not there."""
    op.create_table(
        "documents",
        Column("collection", String, primary_key=True),
        Column("document_id", String, primary_key=True),
        Column("version", String, nullable=False),
        Column("title", Text, nullable=False),
        Column("text", Text, nullable=False),
        Column("page_starts", Text, nullable=False),
        Column("metadata", Text, nullable=False),
        Column("chunks", Integer, nullable=False),
        Column("indexed_at", String, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "sources",
        Column("collection", String, primary_key=True),
        Column("source", String, primary_key=True),
        Column("document_id", String, nullable=False),
        Column("own_id", String, nullable=False),
        Column("position", Integer, nullable=False),
        Column("file", String, nullable=False),
        ForeignKeyConstraint(
            ["collection", "document_id"], ["documents.collection", "documents.document_id"]
        ),
        if_not_exists=True,
    )
    op.create_table(
        "files",
        Column("collection", String, primary_key=True),
        Column("file", String, primary_key=True),
        Column("content_hash", String, nullable=False),
        if_not_exists=True,
    )
    op.create_table(
        "jobs",
        Column("id", String, primary_key=True),
        Column("collection", String, nullable=False),
        Column("state", String, nullable=False),
        Column("created_at", String, nullable=False),
        Column("started_at", String),
        Column("finished_at", String),
        Column("report", Text),
        Column("reason", Text),
        if_not_exists=True,
    )
    for name, table, columns in (
        ("documents_by_version", "documents", ["collection", "version"]),
        ("sources_by_document", "sources", ["collection", "document_id"]),
        ("sources_by_own_id", "sources", ["collection", "own_id"]),
        ("sources_by_file", "sources", ["collection", "file"]),
        ("sources_by_position", "sources", ["collection", "position"]),
        ("ix_jobs_state", "jobs", ["state"]),
    ):
        op.create_index(name, table, columns, if_not_exists=True)
