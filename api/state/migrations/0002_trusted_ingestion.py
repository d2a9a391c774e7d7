"""What ingestion that can be trusted and jobs that survive a restart need.

Every document becomes unsettled and every file unread, so that the next ingestion writes all of
them again in the new form. Uploads get sources that no path can have.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Float, Integer, String, Text, text

revision = "0002"
down_revision = "0001"

_INTERRUPTED = "interrupted by the change to a newer version: send it again"
_IS_UPLOAD = (  # neither from the API, nor a path of this system, nor one of Windows
    "source NOT LIKE 'api:%' AND source NOT LIKE '/%' AND substr(source, 2, 2) <> ':\\'"
)


def upgrade() -> None:
    """Bring the tables from version 0001 to 0002."""
    _upgrade_manifest()
    _upgrade_jobs()


def _upgrade_manifest() -> None:
    _add_filled(
        "documents",
        *(
            Column(name, String, nullable=False, server_default="")
            for name in ("revision", "wording", "family", "dated")
        ),
    )
    op.execute("UPDATE documents SET indexed_at = ''")
    op.create_index("documents_by_wording", "documents", ["collection", "wording"])
    op.create_index("documents_by_indexed_at", "documents", ["collection", "indexed_at"])
    op.execute(
        f"UPDATE sources SET source = 'upload:' || source, file = 'upload:' || file "  # noqa: S608
        f"WHERE {_IS_UPLOAD}"
    )
    op.drop_table("files")
    op.create_table(
        "files",
        Column("collection", String, primary_key=True),
        Column("file", String, primary_key=True),
        Column("mark", String, nullable=False),
    )
    op.create_table(
        "bands",
        Column("collection", String, primary_key=True),
        Column("band", BigInteger, primary_key=True),
        Column("document_id", String, primary_key=True),
    )
    op.create_index("bands_by_document", "bands", ["collection", "document_id"])
    op.create_table(
        "quotes",
        Column("collection", String, primary_key=True),
        Column("places", String, primary_key=True),
        Column("documents", Integer, nullable=False),
        Column("chunks", Integer, nullable=False),
        Column("chunks_embedded", Integer, nullable=False),
        Column("tokens", Integer, nullable=False),
        Column("seconds", Float, nullable=False),
        Column("usd", String),
        Column("quoted_at", String, nullable=False),
    )


def _upgrade_jobs() -> None:
    _add_filled(
        "jobs",
        Column("owner", String, nullable=False, server_default=""),
        Column("kind", String, nullable=False, server_default=""),
        Column("attempts", Integer, nullable=False, server_default="0"),
    )
    op.add_column("jobs", Column("payload", Text))
    op.add_column("jobs", Column("progress", Text))
    op.execute(
        text(
            "UPDATE jobs SET state = 'failed', finished_at = :now, reason = :reason "
            "WHERE state IN ('queued', 'running')"
        ).bindparams(now=datetime.now(UTC).isoformat(timespec="microseconds"), reason=_INTERRUPTED)
    )
    op.drop_index("ix_jobs_state", "jobs")
    op.create_index("jobs_by_state", "jobs", ["state", "owner", "created_at"])
    op.create_index("jobs_by_created_at", "jobs", ["created_at"])


def _add_filled(table: str, *columns: Column[Any]) -> None:
    """Add columns that must have a value; their defaults fill the rows there are, and no others."""
    for column in columns:
        op.add_column(table, column)
    with op.batch_alter_table(table) as batch:
        for column in columns:
            batch.alter_column(column.name, server_default=None)
