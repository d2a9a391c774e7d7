"""What is indexed: documents, the files they came from, and where each was found.

Kept in SQL, apart from the vectors, and written after them: a document that stands here is whole
in the store. The text of every document is here once; citations are checked against it.

Two marks outlive a process that is killed. A document without a version is one of which the store
may hold a part: it was announced and never recorded, or released and not yet removed. A document
without a time of indexing may differ from its chunks in the store: it is being written, or its
first source is another now. Whoever comes next finishes what they stand for.
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
    or_,
    select,
    update,
)

from rag.errors import NotFoundError
from rag.types import Document

_METADATA = MetaData()
_UNFINISHED = ""  # for a version
_UNSETTLED = ""  # for a time of indexing

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


_HAS_SOURCE = (
    select(_SOURCES.c.source)
    .where(
        _SOURCES.c.collection == _DOCUMENTS.c.collection,
        _SOURCES.c.document_id == _DOCUMENTS.c.document_id,
    )
    .exists()
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
        query = (
            select(_DOCUMENTS.c.collection)
            .where(_DOCUMENTS.c.version != _UNFINISHED)
            .distinct()
            .order_by(_DOCUMENTS.c.collection)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def documents(self, collection: str | None) -> list[DocumentRecord]:
        """All documents, of one collection or (None) of all, by collection and id."""
        columns = _DOCUMENTS.c
        chosen = [columns.version != _UNFINISHED]
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

    def unfinished(self, collection: str) -> list[str]:
        """Documents without a version or without a source, sorted: nobody should find them."""
        query = (
            select(_DOCUMENTS.c.document_id)
            .where(_DOCUMENTS.c.collection == collection)
            .where(or_(_DOCUMENTS.c.version == _UNFINISHED, ~_HAS_SOURCE))
            .order_by(_DOCUMENTS.c.document_id)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def unsettled(self, collection: str) -> list[str]:
        """Documents that may differ from their chunks in the store, sorted."""
        query = (
            select(_DOCUMENTS.c.document_id)
            .where(
                _DOCUMENTS.c.collection == collection,
                _DOCUMENTS.c.version != _UNFINISHED,
                _DOCUMENTS.c.indexed_at == _UNSETTLED,
                _HAS_SOURCE,
            )
            .order_by(_DOCUMENTS.c.document_id)
        )
        with self._engine.connect() as connection:
            return list(connection.scalars(query))

    def announce(self, collection: str, document_ids: Iterable[str]) -> None:
        """Record, before it is done, that chunks of these documents are written to the store."""
        with self._engine.begin() as connection:
            for document_id in document_ids:
                _announce(connection, collection, document_id)

    def settle(self, collection: str, document_ids: Iterable[str]) -> None:
        """Record that the chunks of these documents are in the store, and no others of theirs."""
        with self._engine.begin() as connection:
            for document_id in document_ids:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                _mark(connection, collection, document_id, indexed_at=now)

    def release(self, collection: str, document_id: str) -> None:
        """Record, before it is done, that the chunks of a document are deleted."""
        with self._engine.begin() as connection:
            _delete_sources(connection, collection, document_id)
            _mark(connection, collection, document_id, version=_UNFINISHED)

    def put(self, entries: Sequence[Entry]) -> None:
        """Record documents whose chunks are all in the store; all or, on a fault, none of them.

        They are settled only once their stale chunks are gone.
        """
        with self._engine.begin() as connection:
            for entry in entries:
                _put_document(connection, entry.document, entry.chunks)
                for place in entry.places:
                    key = (entry.document.collection, entry.document.document_id)
                    _put_source(connection, *key, place)

    def add_source(self, collection: str, document_id: str, place: Place) -> None:
        """Record that a document was found at one more place."""
        with self._engine.begin() as connection:
            if not _sources(connection, collection, document_id):
                _mark(connection, collection, document_id, indexed_at=_UNSETTLED)
            _put_source(connection, collection, document_id, place)

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

    def remove_sources(self, collection: str, sources: Iterable[str]) -> None:
        """Forget that documents were found here; `unfinished` names those left with no source."""
        with self._engine.begin() as connection:
            for source in sources:
                _delete_source(connection, collection, source)

    def remove_file(self, collection: str, file: str) -> None:
        """Forget a file's hash, so that it would be read again."""
        with self._engine.begin() as connection:
            _delete_file(connection, collection, file)

    def remove_document(self, collection: str, document_id: str) -> None:
        """Forget a document, its sources, and the hashes of the files that it came from."""
        with self._engine.begin() as connection:
            _delete_sources(connection, collection, document_id)
            connection.execute(
                delete(_DOCUMENTS).where(
                    _DOCUMENTS.c.collection == collection,
                    _DOCUMENTS.c.document_id == document_id,
                )
            )

    def count(self, collection: str) -> int:
        """How many documents a collection holds."""
        query = select(func.count()).where(
            _DOCUMENTS.c.collection == collection, _DOCUMENTS.c.version != _UNFINISHED
        )
        with self._engine.connect() as connection:
            return connection.scalar(query) or 0


def _find(connection: Connection, collection: str, document_id: str) -> Document | None:
    where = (
        _DOCUMENTS.c.collection == collection,
        _DOCUMENTS.c.document_id == document_id,
        _DOCUMENTS.c.version != _UNFINISHED,
    )
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
        "indexed_at": _UNSETTLED,
    }
    if not connection.execute(update(_DOCUMENTS).where(*key).values(**values)).rowcount:
        identity = {"collection": document.collection, "document_id": document.document_id}
        connection.execute(insert(_DOCUMENTS).values(**identity, **values))


def _announce(connection: Connection, collection: str, document_id: str) -> None:
    if _mark(connection, collection, document_id, indexed_at=_UNSETTLED):
        return
    connection.execute(
        insert(_DOCUMENTS).values(
            collection=collection,
            document_id=document_id,
            version=_UNFINISHED,
            title="",
            text="",
            page_starts="[]",
            metadata="{}",
            chunks=0,
            indexed_at=_UNSETTLED,
        )
    )


def _mark(connection: Connection, collection: str, document_id: str, **marks: str) -> bool:
    """Whether the document is there to be marked."""
    key = (_DOCUMENTS.c.collection == collection, _DOCUMENTS.c.document_id == document_id)
    return bool(connection.execute(update(_DOCUMENTS).where(*key).values(**marks)).rowcount)


def _put_source(connection: Connection, collection: str, document_id: str, place: Place) -> None:
    """A source that comes to a document stands behind those that are there."""
    key = (_SOURCES.c.collection == collection, _SOURCES.c.source == place.source)
    own = {"own_id": place.own_id, "file": place.file}
    stays = update(_SOURCES).where(*key, _SOURCES.c.document_id == document_id)
    if connection.execute(stays.values(**own)).rowcount:
        return
    _delete_source(connection, collection, place.source)
    last = connection.scalar(
        select(func.max(_SOURCES.c.position)).where(_SOURCES.c.collection == collection)
    )
    connection.execute(
        insert(_SOURCES).values(
            collection=collection,
            source=place.source,
            document_id=document_id,
            position=0 if last is None else last + 1,
            **own,
        )
    )


def _delete_source(connection: Connection, collection: str, source: str) -> None:
    key = (_SOURCES.c.collection == collection, _SOURCES.c.source == source)
    owner = connection.scalar(select(_SOURCES.c.document_id).where(*key))
    if owner is not None:
        if _sources(connection, collection, owner)[0] == source:  # its chunks name it
            _mark(connection, collection, owner, indexed_at=_UNSETTLED)
        connection.execute(delete(_SOURCES).where(*key))


def _delete_sources(connection: Connection, collection: str, document_id: str) -> None:
    """Delete a document's sources, and the hashes of their files, so that they are read again."""
    where = (_SOURCES.c.collection == collection, _SOURCES.c.document_id == document_id)
    for file in list(connection.scalars(select(_SOURCES.c.file).where(*where))):
        _delete_file(connection, collection, file)
    connection.execute(delete(_SOURCES).where(*where))


def _delete_file(connection: Connection, collection: str, file: str) -> None:
    connection.execute(
        delete(_FILES).where(_FILES.c.collection == collection, _FILES.c.file == file)
    )
