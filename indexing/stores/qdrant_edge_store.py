"""The embedded store: Qdrant's engine in this process, on files in one folder.

Dense vectors and BM25-style sparse vectors, whose IDF the engine keeps for each collection, answer
in one batch: both legs are fetched first, and then each leg scores the union, so that every
candidate has both scores. Dense vectors come with unit length and are kept as they come, so that
their dot product is the cosine. Updates go through a write-ahead log. One process at a time may
hold the folder.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as qdrant

from indexing.stores.bm25 import SparseEncoder
from indexing.stores.payload import (
    DENSE,
    EMBEDDING_FIELDS,
    INDEXED_FIELDS,
    PARTITION_FIELD,
    SCHEMA_VERSION,
    SPARSE,
    allowed_values,
    description,
    full_payload,
    number_range,
    stored_chunk,
    stored_embedded_chunk,
    stored_embedding,
)
from rag.errors import RagError, StoreError, StoreLockedError, StoreMismatchError
from rag.types import (
    Candidate,
    Document,
    EmbeddedChunk,
    Embedding,
    Scalar,
    StoredChunk,
    StoreQuery,
)

_RECORD = "store.json"
_BATCH = 256
_SCROLL_PAGE = 1_000
_MOST_COLLECTIONS = 1_000_000
_OPTIMIZE_FROM_CHUNKS = 20_000  # below, brute force is as fast and exact
_EXACT_AS_FLOAT = 2**53
_T = TypeVar("_T")


class QdrantEdgeStore:
    """A ChunkStore in `folder`, made there if it is not.

    Raises StoreMismatchError when the folder was made with another embedding model, dimension or
    schema version, and StoreLockedError when another process holds it.
    """

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        self._shard = _open_shard(folder, fingerprint, dimension)
        self._collections = _collections(self._shard)  # may also name some that were emptied
        self._encoder = SparseEncoder()
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="store-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")

    async def search(self, query: StoreQuery) -> list[Candidate]:
        """The union of both legs' best, each with both scores, in order of chunk id."""
        return await self._run(self._readers, lambda: self._search(query))

    async def fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """The chunks of these ids, in the order given; ids that are gone are left out."""
        return await self._run(self._readers, lambda: self._fetch(chunk_ids))

    async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Insert, or replace by chunk id; in the write-ahead log when it returns."""
        for first in range(0, len(chunks), _BATCH):
            batch = chunks[first : first + _BATCH]
            await self._run(self._writer, partial(self._upsert, batch))

    async def describe(self, document: Document) -> None:
        """Replace what the chunks of a document say of it as a whole, in one step for all."""
        chosen = _document(document.collection, document.document_id)
        said = description(document)
        operation = qdrant.UpdateOperation.set_payload_by_filter(chosen, said)
        await self._run(self._writer, lambda: self._shard.update(operation))

    async def delete(self, collection: str, document_id: str) -> None:
        """Remove all chunks of a document; a document without any is no error."""
        chosen = _document(collection, document_id)
        await self._run(self._writer, lambda: self._delete(chosen))

    async def delete_stale(self, collection: str, document_id: str, revision: str) -> None:
        """Remove the chunks of a document that are of another revision."""
        stale = _document(collection, document_id, must_not=[_equals("revision", revision)])
        await self._run(self._writer, lambda: self._delete(stale))

    async def embeddings(self, collection: str, contents: Sequence[str]) -> dict[str, Embedding]:
        """By content, the embeddings that a collection holds already."""
        found: dict[str, Embedding] = {}
        for first in range(0, len(contents), _BATCH):
            wanted = set(contents[first : first + _BATCH])
            found |= await self._run(self._readers, partial(self._embeddings, collection, wanted))
        return found

    async def chunk_ids(self, collection: str, document_id: str) -> list[str]:
        """The ids of a document's chunks, of all revisions, sorted."""
        chosen = _document(collection, document_id)
        return await self._run(self._readers, lambda: self._scroll_ids(chosen))

    async def count(self, collection: str) -> int:
        """How many chunks a collection holds."""
        request = qdrant.CountRequest(filter=_filter(collection, {}), exact=True)
        return await self._run(self._readers, lambda: self._shard.count(request))

    async def scan(self, after: str | None, limit: int) -> list[EmbeddedChunk]:
        """The next `limit` chunks of the whole store behind the id `after`, in order of id."""
        return await self._run(self._readers, lambda: self._scan(after, limit))

    async def optimize(self) -> None:
        """Flush, and build the index of a large store: may take tens of seconds."""
        await self._run(self._writer, self._optimize)

    async def close(self) -> None:
        """Write everything to disk and let go of the folder."""
        await self._run(self._writer, self._shard.close)
        self._readers.shutdown()
        self._writer.shutdown()

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[[], _T]) -> _T:
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, call)
        except RagError:
            raise
        except Exception as error:  # the engine raises a plain Exception for all of its faults
            raise StoreError(f"the embedded store failed: {error}") from error

    def _search(self, query: StoreQuery) -> list[Candidate]:
        # where all chunks match, not to check it saves a third of the engine's time
        # where all chunks match, not to check saves a third of the engine's time
        matches_all = not query.filters and self._collections == {query.collection}
        chosen = None if matches_all else _filter(query.collection, query.filters)
        dense = qdrant.Query.Nearest(query.vector.tolist(), using=DENSE)
        scored: list[tuple[Any, qdrant.SearchParams | None]] = [(dense, None)]
        terms = self._encoder.question_terms(query.text)
        if terms is not None:
            idf = qdrant.SearchParams(idf=qdrant.IdfParams(corpus=_filter(query.collection, {})))
            scored.append((qdrant.Query.Nearest(terms, using=SPARSE), idf))
        legs = [
            qdrant.Prefetch(limit=query.candidates, query=asked, filter=chosen, params=params)
            for asked, params in scored
        ]
        union = 2 * query.candidates
        rankings = [
            qdrant.QueryRequest(limit=union, prefetches=legs, query=asked, params=params)
            for asked, params in scored
        ]
        by_dense, *by_sparse = self._shard.query_batch(qdrant.QueryBatchRequest(rankings))
        sparse_scores = {point.id: point.score for points in by_sparse for point in points}
        found = [
            Candidate(str(point.id), point.score, sparse_scores.get(point.id, 0.0))
            for point in by_dense
        ]
        return sorted(found, key=lambda candidate: candidate.chunk_id)

    def _fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        records = self._shard.retrieve(list(chunk_ids), with_payload=True, with_vector=False)
        found = {str(record.id): record.payload or {} for record in records}
        return [stored_chunk(key, found[key]) for key in chunk_ids if key in found]

    def _upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self._collections = self._collections | {embedded.chunk.collection for embedded in chunks}
        points = [
            qdrant.Point(embedded.chunk.chunk_id, self._vectors(embedded), full_payload(embedded))
            for embedded in chunks
        ]
        self._shard.update(qdrant.UpdateOperation.upsert_points(points))

    def _vectors(self, embedded: EmbeddedChunk) -> dict[str, Any]:
        vectors: dict[str, Any] = {DENSE: embedded.embedding.vector.tolist()}
        terms = self._encoder.chunk_terms(embedded.chunk)
        return vectors if terms is None else {**vectors, SPARSE: terms}

    def _delete(self, chosen: qdrant.Filter) -> None:
        self._shard.update(qdrant.UpdateOperation.delete_points_by_filter(chosen))

    def _embeddings(self, collection: str, wanted: Set[str]) -> dict[str, Embedding]:
        found: dict[str, Embedding] = {}
        offset = None
        while missing := sorted(wanted - found.keys()):
            content = qdrant.FieldCondition(key="content", match=qdrant.MatchAny(missing))
            request = qdrant.ScrollRequest(
                offset=offset,
                limit=len(missing),
                filter=qdrant.Filter(must=[_equals(PARTITION_FIELD, collection), content]),
                with_payload=qdrant.PayloadSelector.Include(list(EMBEDDING_FIELDS)),
                with_vector=[DENSE],
            )
            records, offset = self._shard.scroll(request)
            for record in records:
                payload = record.payload or {}
                found[payload["content"]] = stored_embedding(_dense(record), payload)
            if offset is None:
                break
        return found

    def _scan(self, after: str | None, limit: int) -> list[EmbeddedChunk]:
        request = qdrant.ScrollRequest(  # the engine begins with the offset itself
            offset=after, limit=limit + 1, with_payload=True, with_vector=[DENSE]
        )
        records, _ = self._shard.scroll(request)
        return [
            stored_embedded_chunk(str(record.id), _dense(record), record.payload or {})
            for record in records
            if str(record.id) != after
        ][:limit]

    def _scroll_ids(self, chosen: qdrant.Filter) -> list[str]:
        ids: list[str] = []
        offset = None
        while True:
            request = qdrant.ScrollRequest(
                offset=offset, limit=_SCROLL_PAGE, filter=chosen, with_payload=False
            )
            records, offset = self._shard.scroll(request)
            ids.extend(str(record.id) for record in records)
            if offset is None:
                return sorted(ids)

    def _optimize(self) -> None:
        self._shard.flush()
        info = self._shard.info()
        if info.points_count - info.indexed_vectors_count >= _OPTIMIZE_FROM_CHUNKS:
            self._shard.optimize()


def _open_shard(folder: Path, fingerprint: str, dimension: int) -> qdrant.EdgeShard:
    record = {"schema": SCHEMA_VERSION, "embedding": fingerprint, "dimension": dimension}
    try:
        if not (folder / _RECORD).exists():
            _make_shard(folder, record, dimension)
        _check_record(folder, json.loads((folder / _RECORD).read_text()), record)
        return qdrant.EdgeShard.load(str(folder))
    except RagError:
        raise
    except Exception as error:  # as above
        if "WouldBlock" in str(error):
            raise StoreLockedError(
                f"another process holds the store in {folder}: wait for it or end it"
            ) from error
        raise StoreError(f"the store in {folder} cannot be opened: {error}") from error


def _make_shard(folder: Path, record: Mapping[str, object], dimension: int) -> None:
    """An empty store with its record: there whole or not at all, also when killed."""
    fresh = folder.with_name(f".{folder.name}.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    fresh.mkdir(parents=True)
    shard = qdrant.EdgeShard.create(str(fresh), _shard_config(dimension))
    for field in (PARTITION_FIELD, *INDEXED_FIELDS):
        schema = qdrant.PayloadSchemaType.Keyword
        shard.update(qdrant.UpdateOperation.create_field_index(field, schema))
    shard.close()
    (fresh / _RECORD).write_text(json.dumps(record))
    fresh.rename(folder)  # fails where a folder that is not empty stands


def _shard_config(dimension: int) -> qdrant.EdgeConfig:
    return qdrant.EdgeConfig(
        vectors={DENSE: qdrant.EdgeVectorParams(size=dimension, distance=qdrant.Distance.Dot)},
        sparse_vectors={SPARSE: qdrant.EdgeSparseVectorParams(modifier=qdrant.Modifier.Idf)},
        wal_enabled=True,
    )


def _check_record(folder: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    for key, value in wanted.items():
        if found.get(key) != value:
            raise StoreMismatchError(
                f"the store in {folder} was made with {key} {found.get(key)!r}, the settings ask "
                f"for {value!r}: set them back, or give another RAG_DATA_DIR and ingest again"
            )


def _collections(shard: qdrant.EdgeShard) -> Set[str]:
    """The collections that have chunks in the shard."""
    request = qdrant.FacetRequest(key=PARTITION_FIELD, limit=_MOST_COLLECTIONS, exact=True)
    return {str(hit.value) for hit in shard.facet(request).hits}


def _filter(collection: str, filters: Mapping[str, tuple[Scalar, ...]]) -> qdrant.Filter:
    must: list[qdrant.ConditionType] = [_equals(PARTITION_FIELD, collection)]
    for path, values in allowed_values(filters):
        must.append(qdrant.Filter(should=[_equals(path, value) for value in values]))
    return qdrant.Filter(must=must)


def _document(
    collection: str, document_id: str, must_not: list[qdrant.ConditionType] | None = None
) -> qdrant.Filter:
    """The chunks of a document."""
    return qdrant.Filter(
        must=[_equals(PARTITION_FIELD, collection), _equals("document_id", document_id)],
        must_not=must_not,
    )


def _dense(record: qdrant.Record) -> Any:
    vectors: Any = record.vector
    return vectors[DENSE]


def _equals(path: str, value: Scalar) -> qdrant.FieldCondition:
    if isinstance(value, bool):  # the engine takes Python's own True for the number 1
        flag: Any = np.bool_(value)
        return qdrant.FieldCondition(key=path, match=qdrant.MatchValue(flag))
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < _EXACT_AS_FLOAT):
        low, high = number_range(value)
        return qdrant.FieldCondition(key=path, range=qdrant.RangeFloat(gte=low, lte=high))
    return qdrant.FieldCondition(key=path, match=qdrant.MatchValue(value))
