"""Answers as people corrected them, each with the documents that the answer cites.

A correction is what the answer should have been. It goes with its documents, like all that was made
from them, and when somebody says that the answer was right after all.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Index,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from generation.money.tables import ANSWERS
from generation.writing.claims import claims_of
from rag.errors import InputError

METADATA = MetaData()
CORRECTIONS = Table(
    "corrections",
    METADATA,
    Column("answer_id", String, primary_key=True),
    Column("collection", String, nullable=False),
    Column("correction", Text, nullable=False),  # its markers are those of the answer
    Column("at", String, nullable=False),
    Index("corrections_by_time", "at"),
)
CORRECTION_DOCUMENTS = Table(
    "correction_documents",
    METADATA,
    Column(
        "answer_id",
        String,
        ForeignKey("corrections.answer_id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),  # that the answer cites
    Index("correction_documents_by_document", "collection", "document_id"),
)
_MOST_KEPT = 10_000
_AT_ONCE = 500  # names in one query


class Corrections:
    """The newest 10,000 corrections, in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def delete_older(self, before: datetime) -> int:
        """Delete those that were made before; gives how many."""
        at = before.isoformat(timespec="microseconds")
        with self._engine.begin() as connection:
            return connection.execute(delete(CORRECTIONS).where(CORRECTIONS.c.at < at)).rowcount

    def delete_made_from(self, collection: str, document_ids: Sequence[str]) -> int:
        """Delete the corrections of answers that cite one of these documents; gives how many."""
        columns = CORRECTION_DOCUMENTS.c
        deleted = 0
        with self._engine.begin() as connection:
            for first in range(0, len(document_ids), _AT_ONCE):
                theirs = select(columns.answer_id).where(
                    columns.collection == collection,
                    columns.document_id.in_(document_ids[first : first + _AT_ONCE]),
                )
                gone = delete(CORRECTIONS).where(CORRECTIONS.c.answer_id.in_(theirs))
                deleted += connection.execute(gone).rowcount
        return deleted


def put_correction(connection: Connection, answer_id: str, correction: str, at: str) -> None:
    """Keep a correction of an answer that is there, instead of an earlier one.

    Raises InputError for a marker that the answer does not have.
    """
    answer = connection.execute(select(ANSWERS).where(ANSWERS.c.answer_id == answer_id)).one()
    cited: dict[str, str] = json.loads(answer.markers or "{}")
    _check_markers(correction, cited)
    delete_correction(connection, answer_id)
    key = {"answer_id": answer_id, "collection": answer.collection}
    connection.execute(insert(CORRECTIONS), key | {"correction": correction, "at": at})
    documents = [{**key, "document_id": name} for name in sorted(set(cited.values()))]
    if documents:
        connection.execute(insert(CORRECTION_DOCUMENTS), documents)
    newest_first = select(CORRECTIONS.c.at).order_by(CORRECTIONS.c.at.desc())
    last = connection.scalar(newest_first.offset(_MOST_KEPT).limit(1))
    if last is not None:
        connection.execute(delete(CORRECTIONS).where(CORRECTIONS.c.at <= last))


def delete_correction(connection: Connection, answer_id: str) -> None:
    """Delete the correction of an answer, if there is one."""
    connection.execute(delete(CORRECTIONS).where(CORRECTIONS.c.answer_id == answer_id))


def _check_markers(correction: str, cited: dict[str, str]) -> None:
    used = dict.fromkeys(number for claim in claims_of(correction) for number in claim.numbers)
    unknown = [number for number in used if str(number) not in cited]
    if unknown:
        known = ", ".join(f"[{marker}]" for marker in cited) or "none"
        raise InputError(
            f"the correction cites [{unknown[0]}], and the citations of the answer are {known}: "
            "use those markers, or leave the marker out"
        )
