"""The embedded store: Qdrant's engine in this process, on files in one folder.

Dense vectors (cosine) and BM25-style sparse vectors, whose IDF the engine keeps for each
collection, answer in one batch: both legs are fetched first, and then each leg scores the union,
so that every candidate has both scores. Updates go through a write-ahead log. One process at a
time may hold the folder.
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

from indexing.stores.payload import (
    SCHEMA_VERSION,
    chunk_payload,
    field_path,
    full_payload,
    sparse_text,
    stored_chunk,
)
from rag.errors import (
    FilterError,
    RagError,
    StoreError,
    StoreLockedError,
    StoreMismatchError,
)
from rag.types import Candidate, Chunk, EmbeddedChunk, Scalar, StoredChunk, StoreQuery

DENSE, SPARSE = "dense", "sparse"
_RECORD = "store.json"
_BM25_AVERAGE_TOKENS = 100.0  # of our chunks, stop words left out
_UPSERT_BATCH = 256
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
        self._encoder = qdrant.Bm25(
            qdrant.Bm25Config(avg_len=_BM25_AVERAGE_TOKENS, language="english", ascii_folding=True)
        )
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
        for first in range(0, len(chunks), _UPSERT_BATCH):
            batch = chunks[first : first + _UPSERT_BATCH]
            await self._run(self._writer, partial(self._upsert, batch))

    async def describe(self, chunks: Sequence[Chunk]) -> None:
        """Replace everything but the vectors of chunks that are there already."""
        await self._run(self._writer, lambda: self._describe(chunks))

    async def delete(self, chunk_ids: Sequence[str]) -> None:
        """Remove; ids that are not there are no error."""
        if chunk_ids:
            await self._run(self._writer, lambda: self._delete(chunk_ids))

    async def chunk_ids(self, collection: str, document_id: str) -> list[str]:
        """The ids of a document's chunks, sorted."""
        chosen = _filter(collection, {"document_id": (document_id,)})
        return await self._run(self._readers, lambda: self._scroll_ids(chosen))

    async def count(self, collection: str) -> int:
        """How many chunks a collection holds."""
        request = qdrant.CountRequest(filter=_filter(collection, {}), exact=True)
        return await self._run(self._readers, lambda: self._shard.count(request))

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
        matches_all = not query.filters and self._collections == {query.collection}
        chosen = None if matches_all else _filter(query.collection, query.filters)
        idf = qdrant.SearchParams(idf=qdrant.IdfParams(corpus=_filter(query.collection, {})))
        dense = qdrant.Query.Nearest(query.vector.tolist(), using=DENSE)
        sparse = qdrant.Query.Nearest(self._encoder.embed_query(query.text), using=SPARSE)
        legs = [
            qdrant.Prefetch(limit=query.candidates, query=dense, filter=chosen),
            qdrant.Prefetch(limit=query.candidates, query=sparse, filter=chosen, params=idf),
        ]
        union = 2 * query.candidates
        by_dense, by_sparse = self._shard.query_batch(
            qdrant.QueryBatchRequest(
                [
                    qdrant.QueryRequest(limit=union, prefetches=legs, query=dense),
                    qdrant.QueryRequest(limit=union, prefetches=legs, query=sparse, params=idf),
                ]
            )
        )
        sparse_scores = {point.id: point.score for point in by_sparse}
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
            qdrant.Point(
                embedded.chunk.chunk_id,
                {
                    DENSE: embedded.embedding.vector.tolist(),
                    SPARSE: self._encoder.embed_document(sparse_text(embedded.chunk)),
                },
                full_payload(embedded),
            )
            for embedded in chunks
        ]
        self._shard.update(qdrant.UpdateOperation.upsert_points(points))

    def _delete(self, chunk_ids: Sequence[str]) -> None:
        self._shard.update(qdrant.UpdateOperation.delete_points(list(chunk_ids)))

    def _describe(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            payload = chunk_payload(chunk)
            self._shard.update(qdrant.UpdateOperation.set_payload([chunk.chunk_id], payload))

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
    for field in ("collection", "document_id"):
        schema = qdrant.PayloadSchemaType.Keyword
        shard.update(qdrant.UpdateOperation.create_field_index(field, schema))
    shard.close()
    (fresh / _RECORD).write_text(json.dumps(record))
    fresh.rename(folder)  # fails where a folder that is not empty stands


def _shard_config(dimension: int) -> qdrant.EdgeConfig:
    return qdrant.EdgeConfig(
        vectors={DENSE: qdrant.EdgeVectorParams(size=dimension, distance=qdrant.Distance.Cosine)},
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
    request = qdrant.FacetRequest(key="collection", limit=_MOST_COLLECTIONS, exact=True)
    return {str(hit.value) for hit in shard.facet(request).hits}


def _filter(collection: str, filters: Mapping[str, tuple[Scalar, ...]]) -> qdrant.Filter:
    must: list[qdrant.ConditionType] = [_equals("collection", collection)]
    for field, values in filters.items():
        path = field_path(field)
        if not values:  # the engine would take it for no condition
            raise FilterError(f"the filter {field!r} has no values: give one or more")
        must.append(qdrant.Filter(should=[_equals(path, value) for value in values]))
    return qdrant.Filter(must=must)


def _equals(path: str, value: Scalar) -> qdrant.FieldCondition:
    if isinstance(value, bool):  # the engine takes Python's own True for the number 1
        flag: Any = np.bool_(value)
        return qdrant.FieldCondition(key=path, match=qdrant.MatchValue(flag))
    if isinstance(value, float) or (isinstance(value, int) and abs(value) < _EXACT_AS_FLOAT):
        # a range, since 4 matches no 4.0
        return qdrant.FieldCondition(key=path, range=qdrant.RangeFloat(gte=value, lte=value))
    return qdrant.FieldCondition(key=path, match=qdrant.MatchValue(value))
