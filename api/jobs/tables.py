"""The table of the jobs."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()
JOBS = Table(
    "jobs",
    METADATA,
    Column("id", String, primary_key=True),
    Column("collection", String, nullable=False),
    Column("owner", String, nullable=False),  # the service whose disk holds what the job needs
    Column("kind", String, nullable=False),
    Column("payload", Text),  # what is to be done; once finished, what a retry would do
    Column("attempts", Integer, nullable=False),  # how often it was begun
    Column("state", String, nullable=False),
    Column("created_at", String, nullable=False),
    Column("started_at", String),
    Column("finished_at", String),
    Column("progress", Text),
    Column("report", Text),
    Column("reason", Text),
    Index("jobs_by_state", "state", "owner", "created_at"),
    Index("jobs_by_created_at", "created_at"),
)
