"""The tables of kept answers. What their columns mean to a reuse stands in `entries`.

A position is never used twice, so that whoever has seen those up to one finds what is new.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

KEPT_ANSWERS = Table(
    "kept_answers",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("entry_id", String, nullable=False),  # the id of the answer when it was made
    Column("tenant", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("binding", String, nullable=False),  # a hash of all that must be the same but the words
    Column("wording", String, nullable=False),  # a hash of the normalised question
    Column("question", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # of the question, float32
    Column("hits", String, nullable=False),  # a hash of what it was made from
    Column("changes", BigInteger, nullable=False),  # of the collection, when that was last found
    Column("answer", Text, nullable=False),  # JSON
    Column("says", String, nullable=False),  # a hash, equal for answers that say the same
    Column("kept_at", String, nullable=False),
    Index("kept_answers_by_entry", "entry_id", unique=True),
    Index("kept_answers_by_wording", "binding", "wording"),
    Index("kept_answers_by_time", "kept_at"),
    sqlite_autoincrement=True,
)
KEPT_ANSWER_DOCUMENTS = Table(
    "kept_answer_documents",
    METADATA,
    Column(
        "position",
        Integer,
        ForeignKey("kept_answers.position", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),  # that it was made from
    Index("kept_answer_documents_by_document", "collection", "document_id"),
)
REUSES = Table(
    "reuses",
    METADATA,
    Column("answer_id", String, primary_key=True),
    Column("entry_id", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("says", String, nullable=False),  # as the entry does
    Column("score", Float, nullable=False),  # that both questions are the same, 0 to 1
    Column("was_given", Boolean, nullable=False),  # else it was only compared with a fresh answer
    Column("is_right", Boolean),  # null: nobody has said
    Column("at", String, nullable=False),
    Column("judged_at", String),
    Column("was_due", Boolean),  # it would have been given, had it not been made afresh to compare
    Index("reuses_by_time", "at"),
    Index("reuses_by_verdict", "judged_at"),
)
