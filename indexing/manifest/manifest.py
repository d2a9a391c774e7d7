"""What is indexed: documents, the files they came from, and where each was found.

Kept in SQL, apart from the vectors, and written after them: a document that stands here is whole
in the store. The text of every document is here once; citations are checked against it.

Two marks outlive a process that is killed. A document without a version is one of which the store
may hold a part: it was announced and never recorded, or released and not yet removed. A document
without a time of indexing may differ from its chunks in the store: it is being written, or its
sources are others now. Whoever comes next finishes what they stand for.

Each transaction after which readers may find something else in a collection counts as a change of
it, once more when the store has followed: while the count stays, so does what is found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, bindparam, delete, func, or_, select, update

from indexing.manifest.changes import Change, CloseFile, OpenFile, Place, PutDocument
from indexing.manifest.commit import Commit
from indexing.manifest.remembered import RememberedRevisions
from indexing.manifest.rows import (
    HAS_SOURCE,
    announce_documents,
    count_change,
    delete_bands,
    delete_sources_of,
    find_document,
    mark_document,
    owner_of,
    places_of,
    sources_by_document,
)
from indexing.manifest.tables import (
    BANDS,
    COLLECTIONS,
    DOCUMENTS,
    FILES,
    SOURCES,
    UNFINISHED,
    UNSETTLED,
)
from rag.errors import NotFoundError
from rag.types import Document

_AT_ONCE = 1_000
_MOST_NEAR = 64  # rows looked at, lest a thousand pages made from one form be compared with each

_REVISIONS = select(DOCUMENTS.c.document_id, DOCUMENTS.c.revision).where(
    DOCUMENTS.c.collection == bindparam("collection"),
    DOCUMENTS.c.document_id.in_(bindparam("document_ids", expanding=True)),
    DOCUMENTS.c.version != UNFINISHED,
)
"""Made once, since every question asks it."""

_VERSIONS = select(DOCUMENTS.c.document_id, DOCUMENTS.c.version).where(
    DOCUMENTS.c.collection == bindparam("collection"),
    DOCUMENTS.c.document_id.in_(bindparam("document_ids", expanding=True)),
    DOCUMENTS.c.version != UNFINISHED,
)
_CHANGES = select(COLLECTIONS.c.changes).where(COLLECTIONS.c.collection == bindparam("collection"))


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A line of the list of documents."""

    collection: str
    document_id: str
    title: str
    sources: tuple[str, ...]
    chunks: int
    version: str
    family: str


class Manifest:
    """The tables of the indexing package in `engine`, which must be there.

    A document has an id of its own; ids that duplicates of it asked for lead to it too.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._is_file = engine.dialect.name == "sqlite"
        self._remembered = RememberedRevisions(self._changes, self._revisions)

    def collections(self) -> list[str]:
        """Names of the collections that hold documents, sorted."""
        query = (
            select(DOCUMENTS.c.collection)
            .where(DOCUMENTS.c.version != UNFINISHED)
            .distinct()
            .order_by(DOCUMENTS.c.collection)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def documents(self, collection: str | None) -> list[DocumentRecord]:
        """All documents, of one collection or (None) of all, by collection and id."""
        columns = DOCUMENTS.c
        chosen = [columns.version != UNFINISHED]
        if collection is not None:
            chosen.append(columns.collection == collection)
        query = select(
            columns.collection,
            columns.document_id,
            columns.title,
            columns.chunks,
            columns.version,
            columns.family,
        ).where(*chosen)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.collection, columns.document_id)).all()
            sources = sources_by_document(connection, collection)
        return [
            DocumentRecord(
                row.collection,
                row.document_id,
                row.title,
                tuple(sources.get((row.collection, row.document_id), ())),
                row.chunks,
                row.version,
                row.family,
            )
            for row in rows
        ]

    def document(self, collection: str, document_id: str) -> Document:
        """A document by its id, or by the id that a duplicate of it asked for.

        Raises NotFoundError.
        """
        with self._engine.connect() as connection:
            found = find_document(connection, collection, document_id)
            if found is None:
                raise NotFoundError(
                    f"no document {document_id!r} in collection {collection!r}: "
                    "`rag documents` lists those that are there"
                )
            return found

    def find(self, collection: str, document_id: str) -> Document | None:
        """As `document`, None when there is none."""
        with self._engine.connect() as connection:
            return find_document(connection, collection, document_id)

    def title(self, collection: str, document_id: str) -> str | None:
        """The title of a document; None when there is none."""
        columns = DOCUMENTS.c
        here = (columns.collection == collection, columns.document_id == document_id)
        query = select(columns.title).where(*here, columns.version != UNFINISHED)
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def with_wording(self, collection: str, wording: str) -> str | None:
        """The id of the document that says this, if there is one; the lowest of several."""
        # Without an order: to keep one, SQLite would walk through all documents by their ids.
        query = select(DOCUMENTS.c.document_id).where(
            DOCUMENTS.c.collection == collection,
            DOCUMENTS.c.wording == wording,
            DOCUMENTS.c.version != UNFINISHED,
        )
        with self._engine.connect() as connection:
            return min(connection.scalars(query), default=None)

    def near(self, collection: str, bands: Sequence[int]) -> list[str]:
        """Documents that share bands of their sketches, those that share the most first."""
        query = (
            select(BANDS.c.document_id)
            .where(BANDS.c.collection == collection, BANDS.c.band.in_(bands))
            .order_by(BANDS.c.band, BANDS.c.document_id)
            .limit(_MOST_NEAR)
        )
        with self._engine.connect() as connection:
            found = list(connection.scalars(query))
        return sorted(set(found), key=lambda name: (-found.count(name), name))

    def revision(self, collection: str, document_id: str) -> str | None:
        """The revision of a document's chunks that readers shall see."""
        return self._revisions(collection, [document_id]).get(document_id)

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        """By document, the revision that readers shall see; unrecorded documents are left out."""
        if self._is_file:  # read in less time than a thread takes to wake up
            return self._remembered.current(collection, document_ids)
        return await asyncio.to_thread(self._remembered.current, collection, document_ids)

    async def versions(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        """By document, the version that stands here; unrecorded documents are left out."""
        return await asyncio.to_thread(self._versions, collection, document_ids)

    async def changes(self, collection: str) -> int:
        """How often what readers see of a collection has changed; 0 for one that never was."""
        if self._is_file:
            return self._changes(collection)
        return await asyncio.to_thread(self._changes, collection)

    async def holds(self, collection: str) -> bool:
        """Whether there is any document in a collection."""
        return await asyncio.to_thread(self.count, collection) > 0

    def document_of_source(self, collection: str, source: str) -> str | None:
        """The id of the document found at `source`."""
        with self._engine.connect() as connection:
            return owner_of(connection, collection, source)

    def marks(self, collection: str) -> dict[str, str]:
        """By file, what it was when it was last indexed whole."""
        query = select(FILES.c.file, FILES.c.mark).where(FILES.c.collection == collection)
        with self._engine.connect() as connection:
            return {row.file: row.mark for row in connection.execute(query)}

    def files(self, collection: str) -> list[str]:
        """Every file that gave documents, sorted."""
        query = select(SOURCES.c.file).where(SOURCES.c.collection == collection).distinct()
        with self._engine.connect() as connection:
            return sorted(connection.scalars(query))

    def sources_of_file(self, collection: str, file: str) -> list[str]:
        """The sources within a file, itself or its rows, sorted."""
        query = select(SOURCES.c.source).where(
            SOURCES.c.collection == collection, SOURCES.c.file == file
        )
        with self._engine.connect() as connection:
            return sorted(connection.scalars(query))

    def collections_to_mend(self) -> list[str]:
        """Collections in which something is unfinished or unsettled, sorted."""
        columns = DOCUMENTS.c
        open_ends = (columns.version == UNFINISHED, columns.indexed_at == UNSETTLED, ~HAS_SOURCE)
        query = select(columns.collection).where(or_(*open_ends)).distinct()
        with self._engine.connect() as connection:
            return sorted(connection.scalars(query))

    def abandoned(self, collection: str) -> list[str]:
        """Documents without a version, sorted: whoever wrote or removed them was killed."""
        query = (
            select(DOCUMENTS.c.document_id)
            .where(DOCUMENTS.c.collection == collection, DOCUMENTS.c.version == UNFINISHED)
            .order_by(DOCUMENTS.c.document_id)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def unfinished(self, collection: str) -> list[str]:
        """Documents without a version or without a source, sorted: nobody should find them."""
        query = (
            select(DOCUMENTS.c.document_id)
            .where(DOCUMENTS.c.collection == collection)
            .where(or_(DOCUMENTS.c.version == UNFINISHED, ~HAS_SOURCE))
            .order_by(DOCUMENTS.c.document_id)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def unsettled(self, collection: str) -> list[str]:
        """Documents that may differ from their chunks in the store, sorted."""
        query = (
            select(DOCUMENTS.c.document_id)
            .where(
                DOCUMENTS.c.collection == collection,
                DOCUMENTS.c.version != UNFINISHED,
                DOCUMENTS.c.indexed_at == UNSETTLED,
                HAS_SOURCE,
            )
            .order_by(DOCUMENTS.c.document_id)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def announce(self, collection: str, document_ids: Sequence[str]) -> list[str]:
        """Record, before it is done, that chunks of these documents are written to the store.

        Gives those of which the store may hold some already.
        """
        with self._engine.begin() as connection:
            return announce_documents(connection, collection, document_ids)

    def settle(self, collection: str, document_ids: Sequence[str]) -> None:
        """Record that the chunks of these documents are in the store, and no others of theirs."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._engine.begin() as connection:
            for first in range(0, len(document_ids), _AT_ONCE):
                some = document_ids[first : first + _AT_ONCE]
                connection.execute(
                    update(DOCUMENTS)
                    .where(DOCUMENTS.c.collection == collection, DOCUMENTS.c.document_id.in_(some))
                    .values(indexed_at=now)
                )
            if document_ids:
                count_change(connection, collection)

    def release(self, collection: str, document_id: str) -> None:
        """Record, before it is done, that the chunks of a document are deleted."""
        with self._engine.begin() as connection:
            delete_sources_of(connection, collection, document_id)
            mark_document(connection, collection, document_id, version=UNFINISHED)
            count_change(connection, collection)

    def commit(self, collection: str, changes: Sequence[PutDocument | Change]) -> list[str]:
        """Make all the changes in order or, on a fault, none of them.

        The chunks of every document that is put must be in the store: from now on readers see
        them. The document is settled once its stale chunks are gone. Gives the documents whose
        chunks now name other sources than they have. A file stays open when a document that it was
        to be a source of is not there any more.
        """
        with self._engine.begin() as connection:
            commit = Commit(connection, collection)
            for change in changes:
                commit.make(change)
            if not all(isinstance(change, OpenFile | CloseFile) for change in changes):
                count_change(connection, collection)
            return list(commit.moved)

    def places(self, collection: str, document_id: str) -> list[Place]:
        """Where a document was found, in order of discovery."""
        with self._engine.connect() as connection:
            return places_of(connection, collection, document_id)

    def remove_document(self, collection: str, document_id: str) -> None:
        """Forget a document, its sources, and the marks of the files that it came from."""
        with self._engine.begin() as connection:
            delete_sources_of(connection, collection, document_id)
            delete_bands(connection, collection, document_id)
            connection.execute(
                delete(DOCUMENTS).where(
                    DOCUMENTS.c.collection == collection,
                    DOCUMENTS.c.document_id == document_id,
                )
            )
            count_change(connection, collection)

    def count(self, collection: str) -> int:
        """How many documents a collection holds."""
        query = select(func.count()).where(
            DOCUMENTS.c.collection == collection, DOCUMENTS.c.version != UNFINISHED
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0

    def _revisions(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        wanted = {"collection": collection, "document_ids": list(document_ids)}
        with self._engine.connect() as connection:
            rows = connection.execute(_REVISIONS, wanted)
            return {row.document_id: row.revision for row in rows}

    def _versions(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        wanted = {"collection": collection, "document_ids": list(document_ids)}
        with self._engine.connect() as connection:
            rows = connection.execute(_VERSIONS, wanted)
            return {row.document_id: row.version for row in rows}

    def _changes(self, collection: str) -> int:
        with self._engine.connect() as connection:
            return connection.scalar(_CHANGES, {"collection": collection}) or 0
