"""What is done to single rows of the manifest; `manifest` alone uses this."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from indexing.manifest.changes import Place, PutDocument
from indexing.manifest.tables import (
    BANDS,
    COLLECTIONS,
    DOCUMENTS,
    FILES,
    SOURCES,
    UNFINISHED,
    UNSETTLED,
)
from rag.types import Document

HAS_SOURCE = (
    select(SOURCES.c.source)
    .where(
        SOURCES.c.collection == DOCUMENTS.c.collection,
        SOURCES.c.document_id == DOCUMENTS.c.document_id,
    )
    .exists()
)


def find_document(connection: Connection, collection: str, document_id: str) -> Document | None:
    """A document by its id, or by the id that a duplicate of it asked for."""
    where = (
        DOCUMENTS.c.collection == collection,
        DOCUMENTS.c.document_id == document_id,
        DOCUMENTS.c.version != UNFINISHED,
    )
    row = connection.execute(select(DOCUMENTS).where(*where)).one_or_none()
    if row is None:
        alias = select(SOURCES.c.document_id).where(
            SOURCES.c.collection == collection, SOURCES.c.own_id == document_id
        )
        owner = connection.scalar(alias.limit(1))
        return None if owner is None else find_document(connection, collection, owner)
    return _document(row, sources_of(connection, collection, document_id))


def places_of(connection: Connection, collection: str, document_id: str) -> list[Place]:
    """Where a document was found, in order of discovery."""
    columns = SOURCES.c
    # Sorted here: to have it in order, SQLite would walk through the sources of all documents.
    query = select(columns.position, columns.source, columns.own_id, columns.file).where(
        columns.collection == collection, columns.document_id == document_id
    )
    return [Place(row[1], row[2], row[3]) for row in sorted(map(tuple, connection.execute(query)))]


def sources_of(connection: Connection, collection: str, document_id: str) -> tuple[str, ...]:
    """The sources of a document in order of discovery."""
    return tuple(place.source for place in places_of(connection, collection, document_id))


def sources_by_document(
    connection: Connection, collection: str | None
) -> dict[tuple[str, str], list[str]]:
    """By collection and document, the sources in order of discovery."""
    query = select(SOURCES.c.collection, SOURCES.c.document_id, SOURCES.c.source)
    if collection is not None:
        query = query.where(SOURCES.c.collection == collection)
    found: dict[tuple[str, str], list[str]] = {}
    for row in connection.execute(query.order_by(SOURCES.c.position, SOURCES.c.source)):
        found.setdefault((row.collection, row.document_id), []).append(row.source)
    return found


def put_document(connection: Connection, put: PutDocument) -> None:
    """Insert or replace a document, unsettled, with its bands and without its places."""
    document = put.document
    values: dict[str, object] = {
        "version": document.version,
        "wording": document.wording,
        "family": document.family,
        "dated": document.dated,
        "title": document.title,
        "text": document.text,
        "page_starts": json.dumps(document.page_starts),
        "metadata": json.dumps(dict(document.metadata)),
        "revision": put.revision,
        "indexed_at": UNSETTLED,
    }
    if put.chunks is not None:
        values["chunks"] = put.chunks
    collection, document_id = document.collection, document.document_id
    if not mark_document(connection, collection, document_id, **values):
        key = {"collection": collection, "document_id": document_id}
        connection.execute(insert(DOCUMENTS).values(key | values))
    delete_bands(connection, collection, document_id)
    if put.bands:
        key = {"collection": collection, "document_id": document_id}
        connection.execute(insert(BANDS), [{**key, "band": band} for band in set(put.bands)])


def announce_documents(
    connection: Connection, collection: str, document_ids: Sequence[str]
) -> list[str]:
    """Mark documents as unsettled, or record them as unfinished; gives those that were there."""
    where = (DOCUMENTS.c.collection == collection, DOCUMENTS.c.document_id.in_(document_ids))
    known = set(connection.scalars(select(DOCUMENTS.c.document_id).where(*where)))
    if known:
        connection.execute(update(DOCUMENTS).where(*where).values(indexed_at=UNSETTLED))
    blank = {column.name: "" for column in DOCUMENTS.columns} | {
        "collection": collection,
        "version": UNFINISHED,
        "page_starts": "[]",
        "metadata": "{}",
        "chunks": 0,
        "indexed_at": UNSETTLED,
    }
    new = [blank | {"document_id": name} for name in document_ids if name not in known]
    if new:
        connection.execute(insert(DOCUMENTS), new)
    return [name for name in document_ids if name in known]


def mark_document(
    connection: Connection, collection: str, document_id: str, **values: object
) -> bool:
    """Set columns of a document; gives whether it is there."""
    key = (DOCUMENTS.c.collection == collection, DOCUMENTS.c.document_id == document_id)
    return bool(connection.execute(update(DOCUMENTS).where(*key).values(**values)).rowcount)


def owner_of(connection: Connection, collection: str, source: str) -> str | None:
    """The document that was found at a source."""
    where = (SOURCES.c.collection == collection, SOURCES.c.source == source)
    return connection.scalar(select(SOURCES.c.document_id).where(*where))


def last_position(connection: Connection, collection: str) -> int:
    """That of the source that was discovered last; -1 where there is none."""
    query = select(func.max(SOURCES.c.position)).where(SOURCES.c.collection == collection)
    last = connection.scalar(query)
    return -1 if last is None else last


def insert_source(
    connection: Connection, collection: str, document_id: str, place: Place, position: int
) -> None:
    """Record a source that no document has."""
    connection.execute(
        insert(SOURCES).values(
            collection=collection,
            source=place.source,
            document_id=document_id,
            own_id=place.own_id,
            position=position,
            file=place.file,
        )
    )


def update_source(connection: Connection, collection: str, place: Place) -> None:
    """Record anew what a source is called and which file holds it."""
    where = (SOURCES.c.collection == collection, SOURCES.c.source == place.source)
    own = {"own_id": place.own_id, "file": place.file}
    connection.execute(update(SOURCES).where(*where).values(**own))


def delete_source(connection: Connection, collection: str, source: str) -> str | None:
    """Delete a source; gives the document that was found there, now unsettled."""
    owner = owner_of(connection, collection, source)
    if owner is not None:
        where = (SOURCES.c.collection == collection, SOURCES.c.source == source)
        mark_document(connection, collection, owner, indexed_at=UNSETTLED)
        connection.execute(delete(SOURCES).where(*where))
    return owner


def delete_sources_of(connection: Connection, collection: str, document_id: str) -> None:
    """Delete a document's sources, and the marks of their files, so that they are read again."""
    where = (SOURCES.c.collection == collection, SOURCES.c.document_id == document_id)
    for file in list(connection.scalars(select(SOURCES.c.file).where(*where))):
        delete_mark(connection, collection, file)
    connection.execute(delete(SOURCES).where(*where))


def delete_bands(connection: Connection, collection: str, document_id: str) -> None:
    """Delete what finds documents that are nearly the same."""
    where = (BANDS.c.collection == collection, BANDS.c.document_id == document_id)
    connection.execute(delete(BANDS).where(*where))


def put_mark(connection: Connection, collection: str, file: str, mark: str) -> None:
    """Record that a file is indexed whole."""
    delete_mark(connection, collection, file)
    connection.execute(insert(FILES).values(collection=collection, file=file, mark=mark))


def delete_mark(connection: Connection, collection: str, file: str) -> None:
    """Delete what says that a file is indexed whole."""
    connection.execute(delete(FILES).where(FILES.c.collection == collection, FILES.c.file == file))


def count_change(connection: Connection, collection: str) -> None:
    """What readers see of a collection is another from now on, and its count of changes too."""
    changed = (
        update(COLLECTIONS)
        .where(COLLECTIONS.c.collection == collection)
        .values(changes=COLLECTIONS.c.changes + 1)
    )
    if not connection.execute(changed).rowcount:
        connection.execute(insert(COLLECTIONS).values(collection=collection, changes=1))


def _document(row: Row[tuple[object, ...]], sources: tuple[str, ...]) -> Document:
    return Document(
        collection=row.collection,
        document_id=row.document_id,
        version=row.version,
        wording=row.wording,
        title=row.title,
        text=row.text,
        sources=sources,
        page_starts=tuple(json.loads(row.page_starts)),
        metadata=json.loads(row.metadata),
        dated=row.dated,
        family=row.family,
    )
