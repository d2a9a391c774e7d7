"""What is asked of a Qdrant server, in its own terms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import qdrant_edge
from qdrant_client import models

from indexing.stores.bm25 import single_words
from indexing.stores.payload import (
    DENSE,
    PARTITION_FIELD,
    SPARSE,
    allowed_values,
    full_payload,
    number_range,
)
from indexing.stores.qdrant_server_layout import Reading
from rag.types import EmbeddedChunk, Scalar, StoreQuery

_EXACT_AS_FLOAT = 2**53


def rankings(
    query: StoreQuery, terms: qdrant_edge.SparseVector | None, reading: Reading
) -> list[models.QueryRequest]:
    """Both legs' best, scored by the dense leg, and by the sparse one if there are `terms`.

    Behind them, for each of the terms, the chunk of the collection that is best for it. Raises
    FilterError for filters that cannot be understood.
    """
    chosen = chunks_matching(query.collection, query.filters)

    dense = models.NearestQuery(nearest=query.vector.tolist())
    legs = [
        models.Prefetch(
            query=dense, using=DENSE, filter=chosen, params=reading.find, limit=query.candidates
        )
    ]
    scored = [(dense, DENSE, reading.score)]
    words: list[models.QueryRequest] = []
    if terms is not None:
        sparse = models.NearestQuery(nearest=_sparse(terms))
        collection = chunks_matching(query.collection, {})
        idf = models.SearchParams(idf=models.IdfCorpusParams(corpus=collection))
        legs.append(
            models.Prefetch(
                query=sparse, using=SPARSE, filter=chosen, params=idf, limit=query.candidates
            )
        )
        scored.append((sparse, SPARSE, idf))
        words = [
            models.QueryRequest(
                query=models.NearestQuery(nearest=_sparse(word)),
                using=SPARSE,
                filter=collection,
                params=idf,
                limit=1,
                with_payload=False,
            )
            for word in single_words(terms)
        ]
    both = [
        models.QueryRequest(
            prefetch=legs,
            query=asked,
            using=using,
            params=params,
            limit=2 * query.candidates,
            with_payload=False,
        )
        for asked, using, params in scored
    ]
    return [*both, *words]


def point(embedded: EmbeddedChunk, terms: qdrant_edge.SparseVector | None) -> models.PointStruct:
    """A chunk with its vectors; without a sparse one where it has no terms."""
    vectors: dict[str, Any] = {DENSE: embedded.embedding.vector.tolist()}
    if terms is not None:
        vectors[SPARSE] = _sparse(terms)
    return models.PointStruct(
        id=embedded.chunk.chunk_id, vector=vectors, payload=full_payload(embedded)
    )


def dense_vector(record: models.Record) -> Any:
    """The dense vector of a record that was asked for with it."""
    vectors: Any = record.vector
    return vectors[DENSE]


def chunks_matching(collection: str, filters: Mapping[str, tuple[Scalar, ...]]) -> models.Filter:
    """The chunks of a collection that pass all filters; raises FilterError."""
    must: list[models.Condition] = [_equals(PARTITION_FIELD, collection)]
    for path, values in allowed_values(filters):
        must.append(models.Filter(should=[_equals(path, value) for value in values]))
    return models.Filter(must=must)


def chunks_of_document(collection: str, document_id: str) -> models.Filter:
    """The chunks of a document, of all revisions."""
    return models.Filter(
        must=[_equals(PARTITION_FIELD, collection), _equals("document_id", document_id)]
    )


def stale_chunks(collection: str, document_id: str, revision: str) -> models.Filter:
    """The chunks of a document that are of another revision."""
    chosen = chunks_of_document(collection, document_id)
    return models.Filter(must=chosen.must, must_not=[_equals("revision", revision)])


def chunks_with_contents(collection: str, contents: Sequence[str]) -> models.Filter:
    """The chunks of a collection that have one of these contents."""
    content = models.FieldCondition(key="content", match=models.MatchAny(any=[*contents]))
    return models.Filter(must=[_equals(PARTITION_FIELD, collection), content])


def _sparse(terms: qdrant_edge.SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=terms.indices, values=terms.values)


def _equals(path: str, value: Scalar) -> models.FieldCondition:
    if isinstance(value, bool | str) or (isinstance(value, int) and abs(value) >= _EXACT_AS_FLOAT):
        return models.FieldCondition(key=path, match=models.MatchValue(value=value))
    low, high = number_range(value)
    return models.FieldCondition(key=path, range=models.Range(gte=low, lte=high))
