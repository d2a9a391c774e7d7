"""Copying a store into another one: from the embedded store to a server, or back.

Vectors are copied as they are, so that nothing is embedded again. Chunks are written by their id,
in order of id: a copy that was interrupted and is repeated gives the same as one that was not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from rag.errors import StoreError
from rag.ports import ChunkStore
from rag.types import EmbeddedChunk

_PAGE = 512


@dataclass(frozen=True, slots=True)
class CopyReport:
    """What was copied: chunks in all, and in each collection."""

    chunks: int
    collections: Mapping[str, int]


async def copy_store(
    origin: ChunkStore, target: ChunkStore, on_progress: Callable[[int], None]
) -> CopyReport:
    """Make `target` hold what `origin` holds; nothing else may write to either meanwhile.

    `on_progress` is told how many chunks are copied so far. Raises StoreError, before anything is
    written, when the target holds a chunk that the origin does not; and afterwards, when a
    collection does not have as many chunks in both.
    """
    await _refuse_foreign_chunks(origin, target)
    copied: Counter[str] = Counter()
    async for page in _pages(origin):
        await target.upsert(page)
        copied.update(embedded.chunk.collection for embedded in page)
        on_progress(copied.total())
    for collection, chunks in copied.items():
        await _check_count(origin, collection, chunks)
        await _check_count(target, collection, chunks)
    await target.optimize()
    return CopyReport(copied.total(), dict(copied))


async def _refuse_foreign_chunks(origin: ChunkStore, target: ChunkStore) -> None:
    """An empty target holds none, nor does one that an interrupted copy has filled in part."""
    async for page in _pages(target):
        ids = [embedded.chunk.chunk_id for embedded in page]
        known = {stored.chunk.chunk_id for stored in await origin.fetch(ids)}
        for embedded in page:
            if embedded.chunk.chunk_id not in known:
                raise StoreError(
                    f"the store to fill holds other chunks already, as one of "
                    f"{embedded.chunk.document_id} in the collection "
                    f"{embedded.chunk.collection!r}: empty it, or fill another"
                )


async def _check_count(store: ChunkStore, collection: str, copied: int) -> None:
    counted = await store.count(collection)
    if counted != copied:
        raise StoreError(
            f"{copied:,} chunks of the collection {collection!r} were copied, but a store has "
            f"{counted:,}: end what writes to it and copy again"
        )


async def _pages(store: ChunkStore) -> AsyncIterator[list[EmbeddedChunk]]:
    after = None
    while page := await store.scan(after, _PAGE):
        yield page
        after = page[-1].chunk.chunk_id
