"""How a chunk is written beside its vectors, the same in every Qdrant store.

The vectors of the sentences are kept here as 8-bit numbers, scaled by the largest in each, since
only their direction counts: a tenth of their size as floats, and no index is wanted for them.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from rag.errors import FilterError
from rag.types import Chunk, EmbeddedChunk, Span, StoredChunk, Vector

SCHEMA_VERSION = 1
"""Raise it when a payload or vector that is written today could not be read tomorrow."""

_OWN_FIELDS = frozenset({"document_id", "source", "title", "version"})


def chunk_payload(chunk: Chunk) -> dict[str, Any]:
    """Everything about a chunk but its id and vectors."""
    return {
        "collection": chunk.collection,
        "document_id": chunk.document_id,
        "version": chunk.version,
        "title": chunk.title,
        "source": chunk.source,
        "headings": list(chunk.headings),
        "prefix": chunk.prefix,
        "start": chunk.start,
        "end": chunk.end,
        "text": chunk.text,
        # relative to the chunk: they stay true when the chunk moves within its document
        "sentences": [
            offset - chunk.start
            for offset in chain.from_iterable((s.start, s.end) for s in chunk.sentences)
        ],
        "page": chunk.page,
        "page_breaks": list(chunk.page_breaks),
        "metadata": dict(chunk.metadata),
    }


def full_payload(embedded: EmbeddedChunk) -> dict[str, Any]:
    """`chunk_payload` and the vectors of the sentences."""
    vectors = embedded.embedding.span_vectors
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-9)
    scaled = np.round(vectors / largest * 127).astype(np.int8)
    payload = chunk_payload(embedded.chunk)
    payload["sentence_vectors"] = base64.b64encode(scaled.tobytes()).decode()
    return payload


def stored_chunk(chunk_id: str, payload: Mapping[str, Any]) -> StoredChunk:
    """The chunk back from what `full_payload` made of it."""
    start = payload["start"]
    offsets = [start + offset for offset in payload["sentences"]]
    chunk = Chunk(
        chunk_id=chunk_id,
        collection=payload["collection"],
        document_id=payload["document_id"],
        version=payload["version"],
        title=payload["title"],
        source=payload["source"],
        headings=tuple(payload["headings"]),
        prefix=payload["prefix"],
        start=start,
        end=payload["end"],
        text=payload["text"],
        sentences=tuple(map(Span, offsets[::2], offsets[1::2])),
        page=payload.get("page"),  # the engine drops what is set to null
        page_breaks=tuple(payload["page_breaks"]),
        metadata=payload["metadata"],
    )
    return StoredChunk(chunk, _sentence_vectors(payload["sentence_vectors"], len(chunk.sentences)))


def field_path(field: str) -> str:
    """Where a filter's field stands in the payload: the chunk's own, else the metadata's.

    Raises FilterError for a name that no field can have.
    """
    if not field or '"' in field or "\\" in field:
        raise FilterError(
            f"{field!r} is no field to filter by: give a name without quotes and backslashes"
        )
    return field if field in _OWN_FIELDS else f'metadata."{field}"'


def sparse_text(chunk: Chunk) -> str:
    """What the sparse vector of a chunk is made of."""
    return f"{chunk.prefix}\n{chunk.text}"


def _sentence_vectors(encoded: str, count: int) -> Vector:
    if not count:
        return np.zeros((0, 0), np.float32)
    vectors = np.frombuffer(base64.b64decode(encoded), np.int8).reshape(count, -1)
    floats = vectors.astype(np.float32)
    unit: Vector = floats / np.maximum(np.linalg.norm(floats, axis=1, keepdims=True), 1e-9)
    return unit
