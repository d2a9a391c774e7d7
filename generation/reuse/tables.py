"""The tables of kept and pinned answers. What they mean stands in `entries` and `pins`.

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
    Column("filters", Text),  # of the question, as JSON; null where an earlier version kept it
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
PINS = Table(
    "pins",
    METADATA,
    Column("position", Integer, primary_key=True),
    Column("pin_id", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("filters", Text, nullable=False),  # of the questions that get it, as JSON
    Column("scope", String, nullable=False),  # a hash of these three
    Column("wording", String, nullable=False),  # as of kept answers
    Column("question", Text, nullable=False),
    Column("vector", LargeBinary, nullable=False),
    Column("answer", Text, nullable=False),  # JSON; without text once a document of it is gone
    Column("says", String, nullable=False),
    Column("changes", BigInteger, nullable=False),  # of the collection, when it was last found good
    Column("pinned_at", String, nullable=False),
    Column("expired_at", String),  # null: it is given
    Column("expired_because", Text),
    Index("pins_by_id", "pin_id", unique=True),
    Index("pins_by_wording", "scope", "wording"),
    sqlite_autoincrement=True,
)
PIN_DOCUMENTS = Table(
    "pin_documents",
    METADATA,
    Column("position", Integer, ForeignKey("pins.position", ondelete="CASCADE"), primary_key=True),
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),  # that it cites
    Column("version", String, nullable=False),  # of that document when it was pinned
    Index("pin_documents_by_document", "collection", "document_id"),
)
