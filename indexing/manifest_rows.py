"""The tables of the manifest, and what is done to single rows of them.

What the marks mean stands in `manifest`, which alone uses this.
"""

from __future__ import annotations

import json

from sqlalchemy import (
    Column,
    Connection,
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

from rag.types import Document

METADATA = MetaData()
UNFINISHED = ""  # for a version
UNSETTLED = ""  # for a time of indexing

DOCUMENTS = Table(
    "documents",
    METADATA,
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
SOURCES = Table(
    "sources",
    METADATA,
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
FILES = Table(
    "files",
    METADATA,
    Column("collection", String, primary_key=True),
    Column("file", String, primary_key=True),
    Column("content_hash", String, nullable=False),
)


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
    return Document(
        collection=collection,
        document_id=row.document_id,
        version=row.version,
        title=row.title,
        text=row.text,
        sources=sources_of(connection, collection, row.document_id),
        page_starts=tuple(json.loads(row.page_starts)),
        metadata=json.loads(row.metadata),
    )


def sources_of(connection: Connection, collection: str, document_id: str) -> tuple[str, ...]:
    """The sources of a document in order of discovery."""
    query = (
        select(SOURCES.c.source)
        .where(SOURCES.c.collection == collection, SOURCES.c.document_id == document_id)
        .order_by(SOURCES.c.position, SOURCES.c.source)
    )
    return tuple(connection.scalars(query))


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


def put_document(connection: Connection, document: Document, chunks: int) -> None:
    """Insert or replace a document, unsettled."""
    key = (
        DOCUMENTS.c.collection == document.collection,
        DOCUMENTS.c.document_id == document.document_id,
    )
    values = {
        "version": document.version,
        "title": document.title,
        "text": document.text,
        "page_starts": json.dumps(document.page_starts),
        "metadata": json.dumps(dict(document.metadata)),
        "chunks": chunks,
        "indexed_at": UNSETTLED,
    }
    if not connection.execute(update(DOCUMENTS).where(*key).values(**values)).rowcount:
        identity = {"collection": document.collection, "document_id": document.document_id}
        connection.execute(insert(DOCUMENTS).values(**identity, **values))


def announce_document(connection: Connection, collection: str, document_id: str) -> None:
    """Mark a document as unsettled; one that is not there comes as unfinished."""
    if mark_document(connection, collection, document_id, indexed_at=UNSETTLED):
        return
    connection.execute(
        insert(DOCUMENTS).values(
            collection=collection,
            document_id=document_id,
            version=UNFINISHED,
            title="",
            text="",
            page_starts="[]",
            metadata="{}",
            chunks=0,
            indexed_at=UNSETTLED,
        )
    )


def mark_document(connection: Connection, collection: str, document_id: str, **marks: str) -> bool:
    """Set marks of a document; gives whether it is there."""
    key = (DOCUMENTS.c.collection == collection, DOCUMENTS.c.document_id == document_id)
    return bool(connection.execute(update(DOCUMENTS).where(*key).values(**marks)).rowcount)


def put_source(
    connection: Connection,
    collection: str,
    document_id: str,
    source: str,
    *,
    own_id: str,
    file: str,
) -> None:
    """A source that comes to a document stands behind those that are there."""
    key = (SOURCES.c.collection == collection, SOURCES.c.source == source)
    own = {"own_id": own_id, "file": file}
    stays = update(SOURCES).where(*key, SOURCES.c.document_id == document_id)
    if connection.execute(stays.values(**own)).rowcount:
        return
    delete_source(connection, collection, source)
    last = connection.scalar(
        select(func.max(SOURCES.c.position)).where(SOURCES.c.collection == collection)
    )
    connection.execute(
        insert(SOURCES).values(
            collection=collection,
            source=source,
            document_id=document_id,
            position=0 if last is None else last + 1,
            **own,
        )
    )


def delete_source(connection: Connection, collection: str, source: str) -> None:
    """Delete a source; a document whose first it was becomes unsettled."""
    key = (SOURCES.c.collection == collection, SOURCES.c.source == source)
    owner = connection.scalar(select(SOURCES.c.document_id).where(*key))
    if owner is not None:
        if sources_of(connection, collection, owner)[0] == source:  # its chunks name it
            mark_document(connection, collection, owner, indexed_at=UNSETTLED)
        connection.execute(delete(SOURCES).where(*key))


def delete_sources_of(connection: Connection, collection: str, document_id: str) -> None:
    """Delete a document's sources, and the hashes of their files, so that they are read again."""
    where = (SOURCES.c.collection == collection, SOURCES.c.document_id == document_id)
    for file in list(connection.scalars(select(SOURCES.c.file).where(*where))):
        delete_file_hash(connection, collection, file)
    connection.execute(delete(SOURCES).where(*where))


def delete_file_hash(connection: Connection, collection: str, file: str) -> None:
    """Delete what says that a file is indexed whole."""
    connection.execute(delete(FILES).where(FILES.c.collection == collection, FILES.c.file == file))
