"""The tables of the manifest. What their marks mean stands in `manifest`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()
UNFINISHED = ""  # for a version
UNSETTLED = ""  # for a time of indexing

DOCUMENTS = Table(
    "documents",
    METADATA,
    Column("collection", String, primary_key=True),
    Column("document_id", String, primary_key=True),
    Column("version", String, nullable=False),
    Column("revision", String, nullable=False),
    Column("wording", String, nullable=False),  # equal for documents that say the same
    Column("family", String, nullable=False),
    Column("dated", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("page_starts", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("indexed_at", String, nullable=False),
    Index("documents_by_version", "collection", "version"),
    Index("documents_by_wording", "collection", "wording"),
    Index("documents_by_indexed_at", "collection", "indexed_at"),
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
    Column("mark", String, nullable=False),  # of what stood there when it was indexed whole
)
BANDS = Table(
    "bands",
    METADATA,
    Column("collection", String, primary_key=True),
    Column("band", BigInteger, primary_key=True),  # a hash of a part of a MinHash sketch
    Column("document_id", String, primary_key=True),
    Index("bands_by_document", "collection", "document_id"),
)
COLLECTIONS = Table(
    "collections",
    METADATA,
    Column("collection", String, primary_key=True),
    Column("changes", BigInteger, nullable=False),  # how often what readers see was changed
)
QUOTES = Table(
    "quotes",
    METADATA,
    Column("collection", String, primary_key=True),
    Column("places", String, primary_key=True),  # a hash of what was asked for
    Column("documents", Integer, nullable=False),
    Column("chunks", Integer, nullable=False),
    Column("chunks_embedded", Integer, nullable=False),
    Column("tokens", Integer, nullable=False),
    Column("seconds", Float, nullable=False),
    Column("usd", String),
    Column("quoted_at", String, nullable=False),
)
