"""The store on a Qdrant server, a cluster of them, or Qdrant's cloud.

It keeps the same vectors and payloads as the embedded store and asks the same questions, so that
both find the same chunks with the same scores: both legs are fetched first, and then each leg
scores the union, all in one round trip. Where the Qdrant collection has several shards, the IDF of
a word is that within each shard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from qdrant_client import AsyncQdrantClient, models

from indexing.stores.bm25 import SparseEncoder, most_possible
from indexing.stores.payload import (
    DENSE,
    EMBEDDING_FIELDS,
    description,
    stored_chunk,
    stored_embedded_chunk,
    stored_embedding,
)
from indexing.stores.qdrant_server_faults import store_error
from indexing.stores.qdrant_server_layout import Reading, ServerLayout, prepare_collection
from indexing.stores.qdrant_server_requests import (
    chunks_matching,
    chunks_of_document,
    chunks_with_contents,
    dense_vector,
    point,
    rankings,
    stale_chunks,
)
from rag.errors import StoreError
from rag.types import (
    Candidate,
    Document,
    EmbeddedChunk,
    Embedding,
    StoredChunk,
    StoreQuery,
    Vector,
)

DEFAULT_TIMEOUT_S = 30
_UPSERT_BATCH = 64  # with long vectors, as JSON, still below the server's limit of 32 MB
_LOOKUP_BATCH = 256
_SCROLL_PAGE = 1_000
_READ_PAUSES_S = (0.1,)
_WRITE_PAUSES_S = (0.2, 0.5, 1.0, 2.0)  # every write can be repeated without harm
_LONGEST_PAUSE_S = 10.0
_T = TypeVar("_T")

Pause = Callable[[float], Awaitable[None]]


class QdrantServerStore:
    """A ChunkStore behind `client`, in the Qdrant collection that `layout` names.

    The first call makes that collection, or checks it: every call may raise StoreMismatchError
    when it was made with another embedding model, dimension or schema version, and
    StoreUnavailableError when the server is out of reach, too slow or too busy, after some tries.
    """

    def __init__(
        self,
        client: AsyncQdrantClient,
        layout: ServerLayout,
        fingerprint: str,
        dimension: int,
        *,
        address: str = "its address",
        timeout_s: int = DEFAULT_TIMEOUT_S,
        pause: Pause = asyncio.sleep,
    ) -> None:
        self._client = client
        self._layout = layout
        self._name = layout.name
        self._fingerprint = fingerprint
        self._dimension = dimension
        self._address = address
        self._timeout_s = timeout_s
        self._pause = pause
        self._encoder = SparseEncoder()
        self._preparing = asyncio.Lock()
        self._reading: Reading | None = None
        self._is_closed = False

    @classmethod
    def connect(
        cls,
        url: str,
        api_key: str | None,
        *,
        layout: ServerLayout,
        fingerprint: str,
        dimension: int,
        timeout_s: int = DEFAULT_TIMEOUT_S,
        pause: Pause = asyncio.sleep,
    ) -> QdrantServerStore:
        """A store at `url`, which may name a port (else 6333); nothing is sent yet."""
        # as a header: the client's own option warns of http, which is right within one machine
        headers = {} if api_key is None else {"api-key": api_key}
        try:
            client = AsyncQdrantClient(
                url=url, headers=headers, timeout=timeout_s, check_compatibility=False
            )
        except ValueError as error:
            raise StoreError(
                f"{url!r} is no address of a server ({error}): correct RAG_STORE__URL"
            ) from None
        return cls(
            client, layout, fingerprint, dimension, address=url, timeout_s=timeout_s, pause=pause
        )

    async def search(self, query: StoreQuery) -> list[Candidate]:
        """The union of both legs' best, each with both scores, in order of chunk id."""
        self._check_dimension(query.vector)
        reading = await self._ready()
        requests = rankings(query, self._encoder.question_terms(query.text), reading)
        answers = await self._read(
            lambda: self._client.query_batch_points(
                self._name,
                requests,
                consistency=reading.consistency,
                timeout=self._timeout_s,
            )
        )
        by_dense, *rest = (answer.points for answer in answers)
        by_sparse, of_words = (rest[0], rest[1:]) if rest else ([], [])
        most = most_possible([max((p.score for p in points), default=0.0) for points in of_words])
        shares = {point.id: min(point.score / most, 1.0) for point in by_sparse if most}
        found = [
            Candidate(str(point.id), point.score, shares.get(point.id, 0.0)) for point in by_dense
        ]
        return sorted(found, key=lambda candidate: candidate.chunk_id)

    async def fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        """The chunks of these ids, in the order given; ids that are gone are left out."""
        found = await self._payloads(chunk_ids, fields=True)
        return [stored_chunk(key, found[key]) for key in chunk_ids if key in found]

    async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        """Insert, or replace by chunk id; written on the servers when it returns."""
        for embedded in chunks:
            self._check_dimension(embedded.embedding.vector)
        for first in range(0, len(chunks), _UPSERT_BATCH):
            batch = chunks[first : first + _UPSERT_BATCH]
            points = await asyncio.to_thread(self._points, batch)
            await self._write(partial(self._client.upsert, self._name, points, wait=True))

    async def describe(self, document: Document) -> None:
        """Replace what the chunks of a document say of it as a whole, in one step for all."""
        chosen = chunks_of_document(document.collection, document.document_id)
        said = description(document)
        await self._write(
            partial(self._client.set_payload, self._name, said, points=chosen, wait=True)
        )

    async def delete(self, collection: str, document_id: str) -> None:
        """Remove all chunks of a document; a document without any is no error."""
        await self._delete(chunks_of_document(collection, document_id))

    async def delete_stale(self, collection: str, document_id: str, revision: str) -> None:
        """Remove the chunks of a document that are of another revision."""
        await self._delete(stale_chunks(collection, document_id, revision))

    async def embeddings(self, collection: str, contents: Sequence[str]) -> dict[str, Embedding]:
        """By content, the embeddings that a collection holds already."""
        found: dict[str, Embedding] = {}
        for first in range(0, len(contents), _LOOKUP_BATCH):
            wanted = set(contents[first : first + _LOOKUP_BATCH])
            offset = None
            while missing := sorted(wanted - found.keys()):
                records, offset = await self._scroll(
                    offset=offset,
                    limit=len(missing),
                    scroll_filter=chunks_with_contents(collection, missing),
                    with_payload=[*EMBEDDING_FIELDS],
                    with_vectors=[DENSE],
                )
                for record in records:
                    payload = record.payload or {}
                    found[payload["content"]] = stored_embedding(dense_vector(record), payload)
                if offset is None:
                    break
        return found

    async def chunk_ids(self, collection: str, document_id: str) -> list[str]:
        """The ids of a document's chunks, of all revisions, sorted."""
        ids: list[str] = []
        offset = None
        while True:
            records, offset = await self._scroll(
                offset=offset,
                limit=_SCROLL_PAGE,
                scroll_filter=chunks_of_document(collection, document_id),
                with_payload=False,
            )
            ids.extend(str(record.id) for record in records)
            if offset is None:
                return sorted(ids)

    async def count(self, collection: str) -> int:
        """How many chunks a collection holds."""
        await self._ready()
        chosen = chunks_matching(collection, {})
        counted = await self._read(
            lambda: self._client.count(
                self._name, count_filter=chosen, exact=True, timeout=self._timeout_s
            )
        )
        return counted.count

    async def scan(self, after: str | None, limit: int) -> list[EmbeddedChunk]:
        """The next `limit` chunks of the whole store behind the id `after`, in order of id."""
        records, _ = await self._scroll(  # it begins with the offset itself
            offset=after, limit=limit + 1, with_payload=True, with_vectors=[DENSE]
        )
        return [
            stored_embedded_chunk(str(record.id), dense_vector(record), record.payload or {})
            for record in records
            if str(record.id) != after
        ][:limit]

    async def optimize(self) -> None:
        """Nothing: the server builds its indexes by itself."""
        await self._ready()

    async def close(self) -> None:
        """Let go of the connections; everything is written already."""
        self._check_open()
        self._is_closed = True
        await self._client.close()

    def _points(self, chunks: Sequence[EmbeddedChunk]) -> list[models.PointStruct]:
        return [point(one, self._encoder.chunk_terms(one.chunk)) for one in chunks]

    async def _payloads(self, chunk_ids: Sequence[str], fields: Any) -> dict[str, dict[str, Any]]:
        reading = await self._ready()
        if not chunk_ids:
            return {}
        records = await self._read(
            lambda: self._client.retrieve(
                self._name,
                [*chunk_ids],
                with_payload=fields,
                consistency=reading.consistency,
                timeout=self._timeout_s,
            )
        )
        return {str(record.id): record.payload or {} for record in records}

    async def _delete(self, chosen: models.Filter) -> None:
        selector = models.FilterSelector(filter=chosen)
        await self._write(partial(self._client.delete, self._name, selector, wait=True))

    async def _scroll(self, **request: Any) -> tuple[list[models.Record], Any]:
        reading = await self._ready()
        return await self._read(
            lambda: self._client.scroll(
                self._name,
                consistency=reading.consistency,
                timeout=self._timeout_s,
                **request,
            )
        )

    async def _ready(self) -> Reading:
        self._check_open()
        async with self._preparing:
            if self._reading is None:
                self._reading = await self._read(
                    lambda: prepare_collection(
                        self._client, self._layout, self._fingerprint, self._dimension
                    )
                )
            return self._reading

    async def _read(self, call: Callable[[], Awaitable[_T]]) -> _T:
        return await self._tried(call, _READ_PAUSES_S)

    async def _write(self, call: Callable[[], Awaitable[_T]]) -> _T:
        await self._ready()
        return await self._tried(call, _WRITE_PAUSES_S)

    async def _tried(self, call: Callable[[], Awaitable[_T]], pauses_s: Sequence[float]) -> _T:
        """What `call` gives, tried again after each pause while the fault may pass."""
        for pause_s in (*pauses_s, None):
            self._check_open()
            try:
                return await call()
            except Exception as error:  # the client raises its own, httpx's and pydantic's
                fault = store_error(error, self._address, self._timeout_s)
                if pause_s is None or not fault.retryable:
                    raise fault from error
            await self._pause(min(max(pause_s, fault.retry_after_s or 0), _LONGEST_PAUSE_S))
        raise AssertionError("the last try returns or raises")

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("the store is closed: open it again")

    def _check_dimension(self, vector: Vector) -> None:
        if vector.shape != (self._dimension,):
            raise StoreError(
                f"a vector has shape {vector.shape}, those of the store {(self._dimension,)}: "
                "embed with the model that the store was made with"
            )
