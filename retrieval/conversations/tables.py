"""The tables of conversations. What their columns mean stands in `kept`."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

TURNS = Table(
    "conversation_turns",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("answer_id", String, nullable=False),
    Column("at", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("key", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("conversation", String, nullable=False),  # a hash of its id
    Column("question", Text, nullable=False),  # as it was written
    Column("asked_as", Text, nullable=False),  # as it stands alone
    Column("names", Text, nullable=False),  # that the answer said, as JSON
    Index("conversation_turns_by_conversation", "conversation"),
    Index("conversation_turns_by_time", "at"),
    sqlite_autoincrement=True,
)
TURN_DOCUMENTS = Table(
    "conversation_turn_documents",
    METADATA,
    Column(
        "position",
        Integer,
        ForeignKey("conversation_turns.position", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),  # that the answer cites or was made from
    Index("conversation_turn_documents_by_document", "collection", "document_id"),
)
