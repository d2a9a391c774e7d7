"""How a chunk is written beside its vectors, the same in every Qdrant store.

The vectors of the sentences are kept here as 8-bit numbers, scaled by the largest in each, since
only their direction counts: a tenth of their size as floats, and no index is wanted for them. Read
and written again they are the same to the byte.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np

from rag.errors import FilterError, StoreError
from rag.types import Chunk, Document, EmbeddedChunk, Embedding, Scalar, Span, StoredChunk, Vector

SCHEMA_VERSION = 2
"""Raise it when a payload or vector that is written today could not be read tomorrow."""

DENSE, SPARSE = "dense", "sparse"
"""The names of the two vectors of a chunk."""

PARTITION_FIELD = "collection"
INDEXED_FIELDS = ("document_id", "revision", "content", "sources", "family")
"""What is looked up by value, besides the collection."""

SENTENCE_VECTORS = "sentence_vectors"
EMBEDDING_FIELDS = ("content", "sentences", SENTENCE_VECTORS)
"""What `stored_embedding` reads."""

_OWN_PATHS = {
    "document_id": "document_id",
    "source": "sources",  # a list: one of them suffices
    "title": "title",
    "family": "family",
}
_INTEGER_BITS = 63
_CHANGED_DIGITS = 4  # in units of the last binary place; two were seen


def chunk_payload(chunk: Chunk) -> dict[str, Any]:
    """Everything about a chunk but its id and vectors.

    Raises StoreError for metadata that no store can hold.
    """
    _check_metadata(chunk.document_id, chunk.metadata)
    return {
        "collection": chunk.collection,
        "document_id": chunk.document_id,
        "version": chunk.version,
        "revision": chunk.revision,
        "content": chunk.content,
        "title": chunk.title,
        "sources": list(chunk.sources),
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
        "dated": chunk.dated,
        "family": chunk.family,
    }


def full_payload(embedded: EmbeddedChunk) -> dict[str, Any]:
    """`chunk_payload` and the vectors of the sentences."""
    vectors = embedded.embedding.span_vectors
    largest = np.abs(vectors).max(axis=1, keepdims=True, initial=1e-9)
    scaled = np.round(vectors / largest * 127).astype(np.int8)
    payload = chunk_payload(embedded.chunk)
    payload[SENTENCE_VECTORS] = base64.b64encode(scaled.tobytes()).decode()
    return payload


def description(document: Document) -> dict[str, Any]:
    """What every chunk of a document says of it as a whole, its title left out.

    The title is a part of what is embedded. Raises StoreError as `chunk_payload` does.
    """
    _check_metadata(document.document_id, document.metadata)
    return {
        "version": document.version,
        "sources": list(document.sources),
        "metadata": dict(document.metadata),
        "dated": document.dated,
        "family": document.family,
    }


def stored_chunk(chunk_id: str, payload: Mapping[str, Any]) -> StoredChunk:
    """The chunk back from what `full_payload` made of it."""
    start = payload["start"]
    offsets = [start + offset for offset in payload["sentences"]]
    chunk = Chunk(
        chunk_id=chunk_id,
        collection=payload["collection"],
        document_id=payload["document_id"],
        version=payload["version"],
        revision=payload["revision"],
        content=payload["content"],
        title=payload["title"],
        sources=tuple(payload["sources"]),
        headings=tuple(payload["headings"]),
        prefix=payload["prefix"],
        start=start,
        end=payload["end"],
        text=payload["text"],
        sentences=tuple(map(Span, offsets[::2], offsets[1::2])),
        page=payload.get("page"),  # the engine drops what is set to null
        page_breaks=tuple(payload["page_breaks"]),
        metadata=payload["metadata"],
        dated=payload["dated"],
        family=payload["family"],
    )
    return StoredChunk(chunk, _sentence_vectors(payload))


def stored_embedding(vector: Any, payload: Mapping[str, Any]) -> Embedding:
    """The embedding back; `vector` is the dense one as the engine gives it."""
    dense = np.asarray(vector, np.float32)
    return Embedding(dense, _sentence_vectors(payload).reshape(-1, len(dense)))


def stored_embedded_chunk(chunk_id: str, vector: Any, payload: Mapping[str, Any]) -> EmbeddedChunk:
    """The chunk with its embedding back, ready for another store."""
    return EmbeddedChunk(stored_chunk(chunk_id, payload).chunk, stored_embedding(vector, payload))


def field_path(field: str) -> str:
    """Where a filter's field stands in the payload: the chunk's own, else the metadata's.

    Raises FilterError for a name that no field can have.
    """
    if not field or '"' in field or "\\" in field:
        raise FilterError(
            f"{field!r} is no field to filter by: give a name without quotes and backslashes"
        )
    return _OWN_PATHS.get(field, f'metadata."{field}"')


def allowed_values(
    filters: Mapping[str, tuple[Scalar, ...]],
) -> list[tuple[str, tuple[Scalar, ...]]]:
    """The paths in the payload with the values that each may have.

    Raises FilterError for what no store can compare.
    """
    allowed = []
    for field, values in filters.items():
        if not values:  # an engine would take it for no condition
            raise FilterError(f"the filter {field!r} has no values: give one or more")
        for value in values:
            if isinstance(value, int) and value.bit_length() > _INTEGER_BITS:
                raise FilterError(
                    f"the filter {field!r} has the value {value}, which does not fit into 64 bits: "
                    "give a smaller number"
                )
        allowed.append((field_path(field), values))
    return allowed


def number_range(value: float) -> tuple[float, float]:
    """The least and the greatest number that count as equal to `value`.

    A range, since to the engine 4 is no 4.0; and a narrow one around a fraction, since the engine
    reads some of them back with another last digit.
    """
    slack = 0.0 if float(value).is_integer() else _CHANGED_DIGITS * math.ulp(value)
    return value - slack, value + slack


def _sentence_vectors(payload: Mapping[str, Any]) -> Vector:
    """Shape `[sentences, dimension]`, unit length."""
    count = len(payload["sentences"]) // 2
    scaled = np.frombuffer(base64.b64decode(payload[SENTENCE_VECTORS]), np.int8)
    vectors = scaled.reshape(count, len(scaled) // max(count, 1)).astype(np.float32)
    unit: Vector = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return unit


def _check_metadata(document_id: str, metadata: Mapping[str, Scalar]) -> None:
    for name, value in metadata.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise StoreError(
                f"the metadata {name!r} of {document_id} is {value}: give a finite number"
            )
