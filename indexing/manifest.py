"""What is indexed: documents, the files they came from, and where each was found.

Kept in SQL, apart from the vectors, and written after them: a document that stands here is whole
in the store. The text of every document is here once; citations are checked against it.

Two marks outlive a process that is killed. A document without a version is one of which the store
may hold a part: it was announced and never recorded, or released and not yet removed. A document
without a time of indexing may differ from its chunks in the store: it is being written, or its
first source is another now. Whoever comes next finishes what they stand for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine, delete, func, insert, or_, select

from indexing.manifest_rows import (
    DOCUMENTS,
    FILES,
    HAS_SOURCE,
    METADATA,
    SOURCES,
    UNFINISHED,
    UNSETTLED,
    announce_document,
    delete_file_hash,
    delete_source,
    delete_sources_of,
    find_document,
    mark_document,
    put_document,
    put_source,
    sources_by_document,
    sources_of,
)
from rag.errors import NotFoundError
from rag.types import Document


@dataclass(frozen=True, slots=True)
class DocumentRecord:
    """A line of the list of documents."""

    collection: str
    document_id: str
    title: str
    sources: tuple[str, ...]
    chunks: int
    version: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document was found: a source, the id it goes by there, and the file that holds it."""

    source: str
    own_id: str
    file: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A document to record: how many chunks it has, and where it was found."""

    document: Document
    chunks: int
    places: tuple[Place, ...]


class Manifest:
    """The tables of the indexing package, made in `engine` where they are not there yet.

    A document has an id of its own; ids that duplicates of it asked for lead to it too.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        METADATA.create_all(engine)

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

    def with_version(self, collection: str, version: str) -> str | None:
        """The id of the document with this content, if there is one; the lowest of several."""
        query = (
            select(DOCUMENTS.c.document_id)
            .where(DOCUMENTS.c.collection == collection, DOCUMENTS.c.version == version)
            .order_by(DOCUMENTS.c.document_id)
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def document_of_source(self, collection: str, source: str) -> str | None:
        """The id of the document found at `source`."""
        query = select(SOURCES.c.document_id).where(
            SOURCES.c.collection == collection, SOURCES.c.source == source
        )
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def file_hash(self, collection: str, file: str) -> str | None:
        """The hash of the file's bytes when it was last indexed whole."""
        query = select(FILES.c.content_hash).where(
            FILES.c.collection == collection, FILES.c.file == file
        )
        with self._engine.connect() as connection:
            return connection.scalar(query)

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

    def announce(self, collection: str, document_ids: Iterable[str]) -> None:
        """Record, before it is done, that chunks of these documents are written to the store."""
        with self._engine.begin() as connection:
            for document_id in document_ids:
                announce_document(connection, collection, document_id)

    def settle(self, collection: str, document_ids: Iterable[str]) -> None:
        """Record that the chunks of these documents are in the store, and no others of theirs."""
        with self._engine.begin() as connection:
            for document_id in document_ids:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                mark_document(connection, collection, document_id, indexed_at=now)

    def release(self, collection: str, document_id: str) -> None:
        """Record, before it is done, that the chunks of a document are deleted."""
        with self._engine.begin() as connection:
            delete_sources_of(connection, collection, document_id)
            mark_document(connection, collection, document_id, version=UNFINISHED)

    def put(self, entries: Sequence[Entry]) -> None:
        """Record documents whose chunks are all in the store; all or, on a fault, none of them.

        They are settled only once their stale chunks are gone.
        """
        with self._engine.begin() as connection:
            for entry in entries:
                put_document(connection, entry.document, entry.chunks)
                for place in entry.places:
                    key = (entry.document.collection, entry.document.document_id)
                    put_source(connection, *key, place.source, own_id=place.own_id, file=place.file)

    def add_source(self, collection: str, document_id: str, place: Place) -> None:
        """Record that a document was found at one more place."""
        with self._engine.begin() as connection:
            if not sources_of(connection, collection, document_id):
                mark_document(connection, collection, document_id, indexed_at=UNSETTLED)
            put_source(
                connection,
                collection,
                document_id,
                place.source,
                own_id=place.own_id,
                file=place.file,
            )

    def places(self, collection: str, document_id: str) -> list[Place]:
        """Where a document was found, in order of discovery."""
        query = (
            select(SOURCES.c.source, SOURCES.c.own_id, SOURCES.c.file)
            .where(SOURCES.c.collection == collection, SOURCES.c.document_id == document_id)
            .order_by(SOURCES.c.position, SOURCES.c.source)
        )
        with self._engine.connect() as connection:
            return [Place(row.source, row.own_id, row.file) for row in connection.execute(query)]

    def put_file_hash(self, collection: str, file: str, content_hash: str) -> None:
        """Record that a file is indexed whole."""
        with self._engine.begin() as connection:
            delete_file_hash(connection, collection, file)
            connection.execute(
                insert(FILES).values(collection=collection, file=file, content_hash=content_hash)
            )

    def remove_sources(self, collection: str, sources: Iterable[str]) -> None:
        """Forget that documents were found here; `unfinished` names those left with no source."""
        with self._engine.begin() as connection:
            for source in sources:
                delete_source(connection, collection, source)

    def remove_file(self, collection: str, file: str) -> None:
        """Forget a file's hash, so that it would be read again."""
        with self._engine.begin() as connection:
            delete_file_hash(connection, collection, file)

    def remove_document(self, collection: str, document_id: str) -> None:
        """Forget a document, its sources, and the hashes of the files that it came from."""
        with self._engine.begin() as connection:
            delete_sources_of(connection, collection, document_id)
            connection.execute(
                delete(DOCUMENTS).where(
                    DOCUMENTS.c.collection == collection,
                    DOCUMENTS.c.document_id == document_id,
                )
            )

    def count(self, collection: str) -> int:
        """How many documents a collection holds."""
        query = select(func.count()).where(
            DOCUMENTS.c.collection == collection, DOCUMENTS.c.version != UNFINISHED
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0
