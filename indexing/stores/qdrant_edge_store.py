"""The embedded store: Qdrant's engine in this process, on files in one folder.

Dense vectors and BM25-style sparse vectors, whose IDF the engine counts for each collection, find
candidates, a leg each, and each leg then scores what the other has found. Dense vectors come with
unit length and are kept as they come, so that their dot product is the cosine; smaller copies of
them may be searched, but score nothing. Updates go through a write-ahead log. One process at a time
may hold the folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import qdrant_edge as qdrant

from indexing.stores.bm25 import SparseEncoder, most_possible, single_words
from indexing.stores.payload import (
    DENSE,
    EMBEDDING_FIELDS,
    PARTITION_FIELD,
    SPARSE,
    allowed_values,
    description,
    full_payload,
    number_range,
    stored_chunk,
    stored_embedded_chunk,
    stored_embedding,
)
from indexing.stores.qdrant_edge_layout import WHOLE, finding, open_shard
from indexing.stores.quantization import DEFAULT_QUANTIZATION, Quantization
from rag.errors import RagError, StoreError
from rag.types import (
    Candidate,
    Document,
    EmbeddedChunk,
    Embedding,
    Scalar,
    StoredChunk,
    StoreQuery,
)

_BATCH = 256
_SCROLL_PAGE = 1_000
_MOST_COLLECTIONS = 1_000_000
_EXACT_AS_FLOAT = 2**53
_T = TypeVar("_T")


class QdrantEdgeStore:
    """A ChunkStore in `folder`, made there if it is not.

    `quantization` says which small copies of the vectors lie in memory. Those of a folder that was
    made with another are made anew by `optimize`, which the end of an ingestion calls.

    Raises StoreMismatchError when the folder was made with another embedding model, dimension or
    schema version, and StoreLockedError when another process holds it.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        dimension: int,
        quantization: Quantization = DEFAULT_QUANTIZATION,
    ) -> None:
        self._shard = open_shard(folder, fingerprint, dimension, quantization)
        self._finding = finding(quantization)
        self._collections = _collections(self._shard)  # may also name some that were emptied
        self._counts_deleted = False  # in the engine's own IDF, until it opens the folder anew
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
        """Flush; make vectors small in another way if that was set; clear what was deleted.

        It clears when that is a fifth of all. Either halts this process for a while, by about ten
        seconds for 100,000 chunks; where nothing is due, it takes no time.
        """
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
        # where all chunks match, not to check them saves half of the engine's time
        is_alone = self._collections == {query.collection}
        matches_all = is_alone and not query.filters
        chosen = None if matches_all else _filter(query.collection, query.filters)
        corpus = None if is_alone and not self._counts_deleted else _filter(query.collection, {})
        near = qdrant.Query.Nearest(query.vector.tolist(), using=DENSE)
        [dense_scores] = self._scores(_request(near, query.candidates, chosen, self._finding))
        terms = self._encoder.question_terms(query.text)
        if terms is None:
            return _candidates(dense_scores, {})
        alike = qdrant.Query.Nearest(terms, using=SPARSE)
        idf = qdrant.SearchParams(idf=qdrant.IdfParams(corpus=corpus))
        own = None if is_alone else _filter(query.collection, {})
        words = [qdrant.Query.Nearest(word, using=SPARSE) for word in single_words(terms)]
        best, of_dense, *of_words = self._scores(  # in one batch: the IDF is counted once
            _request(alike, query.candidates, chosen, idf),
            _request(alike, query.candidates, _ids(dense_scores), idf),
            *(_request(word, 1, own, idf) for word in words),
        )
        most = most_possible([max(found.values(), default=0.0) for found in of_words])
        missing = best.keys() - dense_scores.keys()
        [of_sparse] = self._scores(_request(near, query.candidates, _ids(missing), WHOLE))
        shares = {key: min(score / most, 1.0) for key, score in (of_dense | best).items() if most}
        return _candidates(dense_scores | of_sparse, shares)

    def _scores(self, *requests: qdrant.QueryRequest) -> list[dict[str, float]]:
        """By chunk id, what each request finds."""
        answers = self._shard.query_batch(qdrant.QueryBatchRequest(list(requests)))
        return [{str(point.id): point.score for point in points} for points in answers]

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
        self._counts_deleted = True
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
        self._shard.optimize()


def _request(
    asked: qdrant.Query,
    limit: int,
    chosen: qdrant.Filter | None,
    params: qdrant.SearchParams | None,
) -> qdrant.QueryRequest:
    return qdrant.QueryRequest(limit=limit, query=asked, filter=chosen, params=params)


def _candidates(dense: Mapping[str, float], sparse: Mapping[str, float]) -> list[Candidate]:
    """In order of chunk id; what was deleted meanwhile has no dense score any more."""
    return [Candidate(key, dense[key], sparse.get(key, 0.0)) for key in sorted(dense)]


def _collections(shard: qdrant.EdgeShard) -> Set[str]:
    """The collections that have chunks in the shard."""
    request = qdrant.FacetRequest(key=PARTITION_FIELD, limit=_MOST_COLLECTIONS, exact=True)
    return {str(hit.value) for hit in shard.facet(request).hits}


def _filter(collection: str, filters: Mapping[str, tuple[Scalar, ...]]) -> qdrant.Filter:
    must: list[qdrant.ConditionType] = [_equals(PARTITION_FIELD, collection)]
    for path, values in allowed_values(filters):
        must.append(qdrant.Filter(should=[_equals(path, value) for value in values]))
    return qdrant.Filter(must=must)


def _ids(chunk_ids: Iterable[str]) -> qdrant.Filter:
    return qdrant.Filter(must=[qdrant.HasIdCondition(set(chunk_ids))])


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
