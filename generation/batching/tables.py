"""The tables of batches of questions, in the order in which they were asked.

What an answer is to be made of waits with its entry, and is deleted once the answer is there.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table, Text

METADATA = MetaData()

BATCHES = Table(
    "batches",
    METADATA,
    Column("batch_id", String, primary_key=True),
    Column("tenant", String, nullable=False),
    Column("key", String, nullable=False),
    Column("state", String, nullable=False),  # reserving, sending, submitted, ended
    Column("provider", String, nullable=False),
    Column("model", String, nullable=False),
    Column("sent_as", String, nullable=False),  # what the provider calls it; empty before
    Column("at_most_pico_usd", BigInteger, nullable=False),
    Column("changed_at", String, nullable=False),  # when it came into its state
)
BATCH_ENTRIES = Table(
    "batch_entries",
    METADATA,
    Column(
        "batch_id", String, ForeignKey("batches.batch_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("position", Integer, primary_key=True),
    Column("question_id", String, nullable=False),
    Column("waiting", Text, nullable=False),  # JSON, empty once it is answered
    Column("given", Text, nullable=False),  # JSON, empty before it is answered
)
