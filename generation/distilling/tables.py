"""The tables of lessons. What their columns mean stands in `lessons`."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, MetaData, String, Table, Text

METADATA = MetaData()

LESSONS = Table(
    "lessons",
    METADATA,
    Column("answer_id", String, primary_key=True),
    Column("at", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("collection", String, nullable=False),
    Column("question", Text, nullable=False),
    Column("prompt_version", String, nullable=False),
    Column("system", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("answer", Text, nullable=False),  # what a model shall write: markers as in the prompt
    Column("evidence", String, nullable=False),  # a hash, equal for equal contexts
    Column("model", String, nullable=False),  # that answered
    Column("escalated_from", String, nullable=False),  # the tier that answered before
    Column("is_abstained", Boolean, nullable=False),
    Column("excerpts", Text),  # by marker of the answer given, the excerpts of the prompt, as JSON
    Index("lessons_by_time", "at"),
)
LESSON_DOCUMENTS = Table(
    "lesson_documents",
    METADATA,
    Column(
        "answer_id", String, ForeignKey("lessons.answer_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),  # of which the context holds a part
    Column("revision", String, nullable=False),  # of that document then
    Index("lesson_documents_by_document", "collection", "document_id"),
)
