"""What is indexed: documents, the files they came from, and where each was found.

Kept in SQL, apart from the vectors, and written after them: a document that stands here is whole
in the store. The text of every document is here once; citations are checked against it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from rag.errors import NotFoundError
from rag.types import Document

_METADATA = MetaData()

_DOCUMENTS = Table(
    "documents",
    _METADATA,
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("page_starts", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("indexed_at", String, nullable=False),
    Index("documents_by_version", "collection", "version"),
)
_SOURCES = Table(
    "sources",
    _METADATA,
    Column("collection", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("document_id", String, nullable=False),
    Column("own_id", String, nullable=False),  # the id the source gave its text
    Column("position", Integer, nullable=False),  # order of discovery
    Column("file", String, nullable=False),
    Index("sources_by_document", "collection", "document_id"),
    Index("sources_by_own_id", "collection", "own_id"),
    Index("sources_by_file", "collection", "file"),
    Index("sources_by_position", "collection", "position"),
    ForeignKeyConstraint(
        ["collection", "document_id"], ["documents.collection", "documents.document_id"]
    ),
)
_FILES = Table(
    "files",
    _METADATA,
    Column("collection", String, primary_key=True),
    Column("file", String, primary_key=True),
    Column("content_hash", String, nullable=False),
)


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
        _METADATA.create_all(engine)

    def collections(self) -> list[str]:
        """Names of the collections that hold documents, sorted."""
        query = select(_DOCUMENTS.c.collection).distinct().order_by(_DOCUMENTS.c.collection)
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def documents(self, collection: str | None) -> list[DocumentRecord]:
        """All documents, of one collection or (None) of all, by collection and id."""
        columns = _DOCUMENTS.c
        chosen = [] if collection is None else [columns.collection == collection]
        query = select(
            columns.collection,
            columns.document_id,
            columns.title,
            columns.chunks,
            columns.version,
        ).where(*chosen)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(columns.collection, columns.document_id)).all()
            sources = _all_sources(connection, collection)
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
            found = _find(connection, collection, document_id)
            if found is None:
                raise NotFoundError(
                    f"no document {document_id!r} in collection {collection!r}: "
                    "`rag documents` lists those that are there"
                )
            return found

    def find(self, collection: str, document_id: str) -> Document | None:
        """As `document`, None when there is none."""
        with self._engine.connect() as connection:
            return _find(connection, collection, document_id)

    def with_version(self, collection: str, version: str) -> str | None:
        """The id of the document with this content, if there is one; the lowest of several."""
        query = (
            select(_DOCUMENTS.c.document_id)
            .where(_DOCUMENTS.c.collection == collection, _DOCUMENTS.c.version == version)
            .order_by(_DOCUMENTS.c.document_id)
            .limit(1)
        )
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def document_of_source(self, collection: str, source: str) -> str | None:
        """The id of the document found at `source`."""
        query = select(_SOURCES.c.document_id).where(
            _SOURCES.c.collection == collection, _SOURCES.c.source == source
        )
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def file_hash(self, collection: str, file: str) -> str | None:
        """The hash of the file's bytes when it was last indexed whole."""
        query = select(_FILES.c.content_hash).where(
            _FILES.c.collection == collection, _FILES.c.file == file
        )
        with self._engine.connect() as connection:
            return connection.scalar(query)

    def files(self, collection: str) -> list[str]:
        """Every file that gave documents, sorted."""
        query = select(_SOURCES.c.file).where(_SOURCES.c.collection == collection).distinct()
        with self._engine.connect() as connection:
            return sorted(connection.scalars(query))

    def sources_of_file(self, collection: str, file: str) -> list[str]:
        """The sources within a file, itself or its rows, sorted."""
        query = select(_SOURCES.c.source).where(
            _SOURCES.c.collection == collection, _SOURCES.c.file == file
        )
        with self._engine.connect() as connection:
            return sorted(connection.scalars(query))

    def put(self, entries: Sequence[Entry]) -> None:
        """Record documents that are whole in the store; all of them or, on a fault, none."""
        with self._engine.begin() as connection:
            for entry in entries:
                _put_document(connection, entry.document, entry.chunks)
                for place in entry.places:
                    _put_source(connection, entry.document, place)

    def add_source(self, document: Document, place: Place) -> None:
        """Record that a document was found at one more place."""
        with self._engine.begin() as connection:
            _put_source(connection, document, place)

    def places(self, collection: str, document_id: str) -> list[Place]:
        """Where a document was found, in order of discovery."""
        query = (
            select(_SOURCES.c.source, _SOURCES.c.own_id, _SOURCES.c.file)
            .where(_SOURCES.c.collection == collection, _SOURCES.c.document_id == document_id)
            .order_by(_SOURCES.c.position, _SOURCES.c.source)
        )
        with self._engine.connect() as connection:
            return [Place(row.source, row.own_id, row.file) for row in connection.execute(query)]

    def put_file_hash(self, collection: str, file: str, content_hash: str) -> None:
        """Record that a file is indexed whole."""
        with self._engine.begin() as connection:
            _delete_file(connection, collection, file)
            connection.execute(
                insert(_FILES).values(collection=collection, file=file, content_hash=content_hash)
            )

    def remove_sources(self, collection: str, sources: Iterable[str]) -> list[str]:
        """Forget that documents were found here; gives the ids of those left with no source."""
        left: set[str] = set()
        with self._engine.begin() as connection:
            for source in sources:
                where = (_SOURCES.c.collection == collection, _SOURCES.c.source == source)
                owner = connection.scalar(select(_SOURCES.c.document_id).where(*where))
                connection.execute(delete(_SOURCES).where(*where))
                if owner is not None:
                    left.add(owner)
            return sorted(owner for owner in left if not _sources(connection, collection, owner))

    def remove_file(self, collection: str, file: str) -> None:
        """Forget a file's hash, so that it would be read again."""
        with self._engine.begin() as connection:
            _delete_file(connection, collection, file)

    def remove_document(self, collection: str, document_id: str) -> None:
        """Forget a document, its sources, and the hashes of the files that it came from."""
        with self._engine.begin() as connection:
            where = (
                _SOURCES.c.collection == collection,
                _SOURCES.c.document_id == document_id,
            )
            for file in list(connection.scalars(select(_SOURCES.c.file).where(*where))):
                _delete_file(connection, collection, file)
            connection.execute(delete(_SOURCES).where(*where))
            connection.execute(
                delete(_DOCUMENTS).where(
                    _DOCUMENTS.c.collection == collection,
                    _DOCUMENTS.c.document_id == document_id,
                )
            )

    def count(self, collection: str) -> int:
        """How many documents a collection holds."""
        query = select(func.count()).where(_DOCUMENTS.c.collection == collection)
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0


def _find(connection: Connection, collection: str, document_id: str) -> Document | None:
    where = (_DOCUMENTS.c.collection == collection, _DOCUMENTS.c.document_id == document_id)
    row = connection.execute(select(_DOCUMENTS).where(*where)).one_or_none()
    if row is None:
        alias = select(_SOURCES.c.document_id).where(
            _SOURCES.c.collection == collection, _SOURCES.c.own_id == document_id
        )
        owner = connection.scalar(alias.limit(1))
        return None if owner is None else _find(connection, collection, owner)
    return Document(
        collection=collection,
        document_id=row.document_id,
        version=row.version,
        title=row.title,
        text=row.text,
        sources=_sources(connection, collection, row.document_id),
        page_starts=tuple(json.loads(row.page_starts)),
        metadata=json.loads(row.metadata),
    )


def _sources(connection: Connection, collection: str, document_id: str) -> tuple[str, ...]:
    query = (
        select(_SOURCES.c.source)
        .where(_SOURCES.c.collection == collection, _SOURCES.c.document_id == document_id)
        .order_by(_SOURCES.c.position, _SOURCES.c.source)
    )
    return tuple(connection.scalars(query))


def _all_sources(
    connection: Connection, collection: str | None
) -> dict[tuple[str, str], list[str]]:
    query = select(_SOURCES.c.collection, _SOURCES.c.document_id, _SOURCES.c.source)
    if collection is not None:
        query = query.where(_SOURCES.c.collection == collection)
    found: dict[tuple[str, str], list[str]] = {}
    for row in connection.execute(query.order_by(_SOURCES.c.position, _SOURCES.c.source)):
        found.setdefault((row.collection, row.document_id), []).append(row.source)
    return found


def _put_document(connection: Connection, document: Document, chunks: int) -> None:
    key = (
        _DOCUMENTS.c.collection == document.collection,
        _DOCUMENTS.c.document_id == document.document_id,
    )
    values = {
        "version": document.version,
        "title": document.title,
        "text": document.text,
        "page_starts": json.dumps(document.page_starts),
        "metadata": json.dumps(dict(document.metadata)),
        "chunks": chunks,
        "indexed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    if not connection.execute(update(_DOCUMENTS).where(*key).values(**values)).rowcount:
        identity = {"collection": document.collection, "document_id": document.document_id}
        connection.execute(insert(_DOCUMENTS).values(**identity, **values))


def _put_source(connection: Connection, document: Document, place: Place) -> None:
    collection = document.collection
    key = (_SOURCES.c.collection == collection, _SOURCES.c.source == place.source)
    values = {
        "document_id": document.document_id,
        "own_id": place.own_id,
        "file": place.file,
    }
    if not connection.execute(update(_SOURCES).where(*key).values(**values)).rowcount:
        last = connection.scalar(
            select(func.max(_SOURCES.c.position)).where(_SOURCES.c.collection == collection)
        )
        position = 0 if last is None else last + 1
        row = {"collection": collection, "source": place.source, "position": position}
        connection.execute(insert(_SOURCES).values(**row, **values))


def _delete_file(connection: Connection, collection: str, file: str) -> None:
    connection.execute(
        delete(_FILES).where(_FILES.c.collection == collection, _FILES.c.file == file)
    )
