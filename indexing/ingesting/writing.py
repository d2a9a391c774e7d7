"""Writes what was decided, in batches: while one is embedded, the one before it is stored.

A batch is stored in this order, so that a run may be killed anywhere and be repeated:

    announce -> upsert chunks -> record all in one transaction -> delete stale chunks
             -> drop answers -> describe -> settle

Readers take a document's chunks by the revision that is recorded: before that transaction they
find the old ones, after it the new ones, and never some of both. What is announced and was not
settled is finished by `mending`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from indexing.chunking import passage_of
from indexing.ingesting.mending import describe
from indexing.ingesting.parts import Parts
from indexing.ingesting.sorting import WriteDocument
from indexing.manifest.changes import AddPlace, Change, CloseFile, Place, PutDocument
from rag.types import Chunk, EmbeddedChunk, Embedding

_CHANGES_PER_BATCH = 1_000
_BATCHES_IN_FLIGHT = 3  # one is stored, one is embedded, one is ready for when that is done


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that is to be written, and its chunks; `chunks` is empty where they stay."""

    step: WriteDocument
    chunks: Sequence[Chunk]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became durable: the steps of a batch, and how many of its chunks were embedded."""

    steps: Sequence[Prepared | Change]
    chunks: int
    chunks_embedded: int


@dataclass(slots=True)
class _Batch:
    steps: list[Prepared | Change] = field(default_factory=list)
    chunk_count: int = 0
    embeddings: dict[str, Embedding] = field(default_factory=dict)

    def prepared(self) -> list[Prepared]:
        return [step for step in self.steps if isinstance(step, Prepared)]


class Writer:
    """Writes to one collection, all in the order given. `on_stored` hears of every batch."""

    def __init__(self, parts: Parts, collection: str, on_stored: Callable[[Stored], None]) -> None:
        self._parts = parts
        self._collection = collection
        self._on_stored = on_stored
        self._batch = _Batch()
        self._embedding = asyncio.Lock()
        self._in_flight: deque[tuple[_Batch, asyncio.Task[None]]] = deque()

    async def write(self, step: Prepared | Change) -> None:
        """Take one step more; returns when there is room for the next."""
        self._batch.steps.append(step)
        if isinstance(step, Prepared):
            self._batch.chunk_count += len(step.chunks)
        if (
            self._batch.chunk_count >= self._parts.batch_chunks
            or len(self._batch.steps) >= _CHANGES_PER_BATCH
        ):
            await self._send()

    async def flush(self) -> None:
        """Return when all that was taken is stored."""
        if self._batch.steps:
            await self._send()
        while self._in_flight:
            await self._wait_for_oldest()

    async def abandon(self) -> None:
        """Drop what is not being stored yet; returns when the rest is."""
        for _, task in self._in_flight:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._in_flight), return_exceptions=True)

    async def _send(self) -> None:
        while len(self._in_flight) >= _BATCHES_IN_FLIGHT:
            await self._wait_for_oldest()
        batch, self._batch = self._batch, _Batch()
        self._in_flight.append((batch, asyncio.create_task(self._take_through(batch))))

    async def _wait_for_oldest(self) -> None:
        await asyncio.shield(self._in_flight[0][1])  # who stops waiting does not stop the batch
        self._in_flight.popleft()

    async def _take_through(self, batch: _Batch) -> None:
        async with self._embedding:
            embedded = await self._embed(batch)
        storing = asyncio.create_task(self._store(batch, embedded))
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            await storing
            raise

    async def _embed(self, batch: _Batch) -> int:
        """Find an embedding for every chunk; gives how many the model had to make."""
        chunks = {chunk.content: chunk for done in batch.prepared() for chunk in done.chunks}
        known = {
            content: other.embeddings[content]
            for other, _ in self._in_flight
            for content in chunks
            if content in other.embeddings
        }
        unseen = [content for content in chunks if content not in known]
        known |= await self._parts.store.embeddings(self._collection, unseen)
        missing = [chunk for content, chunk in chunks.items() if content not in known]
        made = await self._parts.embedder.embed([passage_of(chunk) for chunk in missing])
        batch.embeddings = known | dict(zip((c.content for c in missing), made, strict=True))
        return len(missing)

    async def _store(self, batch: _Batch, embedded: int) -> None:
        await asyncio.to_thread(self._parts.check_room)
        store, manifest = self._parts.store, self._parts.manifest
        async with self._parts.turns.writing(self._collection):
            steps = self._without_forgotten(batch.steps)
            prepared = [step for step in steps if isinstance(step, Prepared)]
            revisions = {done.step.document.document_id: done.step.revision for done in prepared}
            old = await asyncio.to_thread(manifest.announce, self._collection, list(revisions))
            chunks = [
                c for d in prepared for c in d.chunks if c.revision == revisions[c.document_id]
            ]
            await store.upsert([EmbeddedChunk(c, batch.embeddings[c.content]) for c in chunks])
            changes = [_change(step) for step in steps]
            moved = await asyncio.to_thread(manifest.commit, self._collection, changes)
            await self._parts.drop_answers(self._collection, old)
            for document_id in old:
                await store.delete_stale(self._collection, document_id, revisions[document_id])
            stayed = [d.step.document.document_id for d in prepared if not d.step.is_cut_anew]
            await describe(self._parts, self._collection, [*stayed, *moved])
            settled = [*revisions, *moved]
            await asyncio.to_thread(manifest.settle, self._collection, settled)
        self._on_stored(Stored(batch.steps, len(chunks), embedded))

    def _without_forgotten(self, steps: Sequence[Prepared | Change]) -> list[Prepared | Change]:
        """The steps but those of documents that were forgotten since; their files stay open."""
        dropped = [s for s in steps if (self._collection, _target(s)) in self._parts.forgotten]
        files = {place.file for step in dropped for place in _places(step)}
        return [
            step
            for step in steps
            if step not in dropped and not (isinstance(step, CloseFile) and step.file in files)
        ]


def _change(step: Prepared | Change) -> PutDocument | Change:
    if not isinstance(step, Prepared):
        return step
    write = step.step
    chunks = len(step.chunks) if write.is_cut_anew else None
    return PutDocument(write.document, write.revision, chunks, write.bands, write.places)


def _target(step: Prepared | Change) -> str:
    """The id of the document that a step brings in or adds to; empty for other steps."""
    if isinstance(step, Prepared):
        return step.step.document.document_id
    return step.document_id if isinstance(step, AddPlace) else ""


def _places(step: Prepared | Change) -> Sequence[Place]:
    if isinstance(step, Prepared):
        return step.step.places
    return [step.place] if isinstance(step, AddPlace) else []
