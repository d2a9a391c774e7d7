"""One ingestion under way: sorts what is read into outcomes, and writes it in batches.

A batch is written in this order, so that a run may be killed anywhere and be repeated:

    announce -> upsert chunks -> record documents -> delete stale chunks -> settle -> record files

A file counts as unchanged only once all of it is recorded. At the end of every run, whoever began
it, documents that are announced but not settled are written again from the manifest, and those
that were never recorded, or have no source left, are removed.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexing.chunking import passage_of
from indexing.identity import document_id_for
from indexing.manifest import Entry, Manifest, Place
from indexing.report import IngestionReport, Item, OnProgress, Outcome, Progress
from rag.errors import DocumentError
from rag.ports import Chunker, ChunkStore, Embedder, Reader
from rag.types import Chunk, Document, EmbeddedChunk

_CHUNKS_PER_COMMIT = 256


@dataclass(frozen=True, slots=True)
class Parts:
    """What an ingestion works with."""

    reader: Reader
    chunker: Chunker
    embedder: Embedder
    store: ChunkStore
    manifest: Manifest


async def remove_document(parts: Parts, collection: str, document_id: str) -> None:
    """Delete a document from the store and then from the manifest."""
    parts.manifest.release(collection, document_id)
    await parts.store.delete(await parts.store.chunk_ids(collection, document_id))
    parts.manifest.remove_document(collection, document_id)


async def sweep(parts: Parts, collection: str) -> None:
    """Remove documents that have no source left or were never recorded whole."""
    for document_id in parts.manifest.unfinished(collection):
        await remove_document(parts, collection, document_id)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A document that is chunked and waits for its batch."""

    document: Document
    chunks: Sequence[Chunk]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class _FileEnd:
    """What is to be recorded about a file once all of its documents are.

    `content_hash` is None where a part of it failed: it is read again the next time.
    """

    file: str
    content_hash: str | None
    gone: Sequence[str]


@dataclass(slots=True)
class _Batch:
    prepared: list[_Prepared] = field(default_factory=list)
    ends: list[_FileEnd] = field(default_factory=list)

    def chunk_count(self) -> int:
        return sum(len(prepared.chunks) for prepared in self.prepared)


class Run:
    """One ingestion. Give it files or documents, then finish it."""

    def __init__(
        self, parts: Parts, collection: str, files_total: int, on_progress: OnProgress | None
    ) -> None:
        self._parts = parts
        self._manifest = parts.manifest
        self._collection = collection
        self._on_progress = on_progress
        self._progress = Progress(0, files_total, 0, 0, 0)
        self._items: list[Item] = []
        self._batch = _Batch()
        self._started = time.perf_counter()

    async def take_files(self, files: Sequence[Path]) -> None:
        """Take files one after the other."""
        for file in files:
            await self._take_file(file)
            self._file_done()

    async def take_documents(self, documents: Sequence[Document]) -> None:
        """Take documents that came from no file: each is the only one at its source."""
        for document in documents:
            await self._take_document(document, file=document.sources[0])
            self._file_done()

    async def remove_gone(self, files: Sequence[Path], roots: Sequence[Path]) -> None:
        """Remove what was indexed from under `roots` and is not among `files`."""
        await self._commit_batch()
        present = {str(path) for path in files}
        for file in self._manifest.files(self._collection):
            path = Path(file)
            if file not in present and any(root == path or root in path.parents for root in roots):
                sources = self._manifest.sources_of_file(self._collection, file)
                for source in sources:
                    self._note(source, "removed")
                self._remove_sources(file, sources)

    async def finish(self) -> IngestionReport:
        """Commit what is left and report."""
        await self._commit_batch()
        await self._settle()
        return IngestionReport(
            collection=self._collection,
            items=tuple(self._items),
            chunks=self._progress.chunks,
            chunks_embedded=self._progress.chunks_embedded,
            seconds=time.perf_counter() - self._started,
        )

    async def _settle(self) -> None:
        """Finish what this run or a killed one left half done."""
        await sweep(self._parts, self._collection)
        for document_id in self._manifest.unsettled(self._collection):
            document = self._manifest.document(self._collection, document_id)
            await self._write([await self._chunked(document, tuple(self._places(document_id)))])
        await self._parts.store.optimize()

    async def _take_file(self, path: Path) -> None:
        file = str(path)
        try:
            content_hash = await asyncio.to_thread(_hash_file, path)
            if content_hash == self._manifest.file_hash(self._collection, file):
                self._note(file, "unchanged")
                return
            read = await asyncio.to_thread(self._parts.reader.read, path, self._collection, file)
        except DocumentError as error:
            self._note(file, "failed", reason=str(error))
            return
        self._reopen(file)
        known = set(self._manifest.sources_of_file(self._collection, file))
        whole = not read.failed
        for part in read.failed:
            self._note(part.source, "failed", reason=part.reason)
            known.discard(part.source)  # what was indexed from it before stays
        for document in read.documents:
            known.discard(document.sources[0])
            whole = await self._take_document(document, file) and whole
        self._batch.ends.append(_FileEnd(file, content_hash if whole else None, sorted(known)))
        if known:  # the next file may hold what is gone from this one
            await self._commit_batch()

    async def _take_document(self, document: Document, file: str) -> bool:
        """Sort one document into unchanged, duplicate, changed or added; False when refused."""
        source = document.sources[0]
        owner, twin = self._owner(source), self._twin(document)
        if self._is_pending(document, owner, twin):
            await self._commit_batch()
            owner, twin = self._owner(source), self._twin(document)
        if twin is not None:
            self._add_to_twin(document, twin, owner, file)
            return True
        try:
            document = self._with_free_id(document)
        except DocumentError as error:
            self._note(source, "failed", document.document_id, str(error))
            return False
        self._note(source, "added" if owner is None else "changed", document.document_id)
        if owner == document.document_id:
            await self._bequeath(owner, source)
        await self._prepare(document, (Place(source, document.document_id, file),))
        return True

    def _add_to_twin(self, document: Document, twin: str, owner: str | None, file: str) -> None:
        source = document.sources[0]
        if owner == twin:
            self._note(source, "unchanged", twin)
        else:
            self._note(source, "duplicate", twin, f"same content as {twin}")
            self._add_source(twin, Place(source, document.document_id, file))

    def _add_source(self, document_id: str, place: Place) -> None:
        self._manifest.add_source(self._collection, document_id, place)

    async def _bequeath(self, document_id: str, source: str) -> None:
        """Give the content of a document, whose id `source` takes along, to its other sources."""
        others = tuple(place for place in self._places(document_id) if place.source != source)
        if others:
            await self._commit_batch()  # so that the manifest knows which ids are taken
            old = self._manifest.document(self._collection, document_id)
            heir = others[0].own_id
            if self._places(heir):
                heir = document_id_for(f"{others[0].source}@{old.version}")
            sources = tuple(place.source for place in others)
            await self._prepare(replace(old, document_id=heir, sources=sources), others)

    def _with_free_id(self, document: Document) -> Document:
        """The document under an id that no other source holds."""
        source, wanted = document.sources[0], document.document_id
        places = self._places(wanted)
        is_mine = any(place.source == source for place in places)
        # duplicates that wanted other ids can be handed one; another that wants this id cannot
        rivals = [p for p in places if p.source != source and (not is_mine or p.own_id == wanted)]
        if not rivals:
            return document
        if wanted == document_id_for(source):
            fresh = document_id_for(f"{source}@{document.version}")
            return replace(document, document_id=fresh)
        raise DocumentError(
            f"the id {wanted!r} is taken by {rivals[0].source}: "
            "give it another id, or put it into another collection"
        )

    def _owner(self, source: str) -> str | None:
        return self._manifest.document_of_source(self._collection, source)

    def _twin(self, document: Document) -> str | None:
        return self._manifest.with_version(self._collection, document.version)

    def _places(self, document_id: str) -> list[Place]:
        return self._manifest.places(self._collection, document_id)

    def _reopen(self, file: str) -> None:
        """Until all of a file is recorded anew, it is none that is unchanged."""
        self._manifest.remove_file(self._collection, file)

    def _is_pending(self, document: Document, owner: str | None, twin: str | None) -> bool:
        """Whether the batch may change what the manifest says of this document."""
        concerned = (document.document_id, owner, twin)
        return any(
            waiting.document.version == document.version
            or waiting.document.document_id in concerned
            for waiting in self._batch.prepared
        )

    async def _prepare(self, document: Document, places: tuple[Place, ...]) -> None:
        self._batch.prepared.append(await self._chunked(document, places))
        if self._batch.chunk_count() >= _CHUNKS_PER_COMMIT:
            await self._commit_batch()

    async def _chunked(self, document: Document, places: tuple[Place, ...]) -> _Prepared:
        chunks = await asyncio.to_thread(self._parts.chunker.chunk, document)
        return _Prepared(document, chunks, places)

    async def _commit_batch(self) -> None:
        batch = self._take_batch()
        embedded = await self._write(batch.prepared)
        self._count(batch.prepared, embedded)
        for end in batch.ends:
            self._remove_sources(end.file, end.gone)
            if end.content_hash is not None:
                self._manifest.put_file_hash(self._collection, end.file, end.content_hash)

    def _take_batch(self) -> _Batch:
        batch, self._batch = self._batch, _Batch()
        return batch

    async def _write(self, prepared: Sequence[_Prepared]) -> int:
        """Bring store and manifest in step with these documents; gives how many were embedded."""
        ids = [done.document.document_id for done in prepared]
        self._manifest.announce(self._collection, ids)
        stale, new = await self._describe_known(prepared)
        embeddings = await self._parts.embedder.embed([passage_of(chunk) for chunk in new])
        await self._parts.store.upsert(list(map(EmbeddedChunk, new, embeddings)))
        self._manifest.put(
            [Entry(done.document, len(done.chunks), done.places) for done in prepared]
        )
        await self._parts.store.delete(stale)
        self._manifest.settle(self._collection, ids)
        return len(new)

    async def _describe_known(self, prepared: Sequence[_Prepared]) -> tuple[list[str], list[Chunk]]:
        """Describe chunks that are there anew; gives the ids of stale ones, and the new chunks."""
        store = self._parts.store
        stale: list[str] = []
        new: list[Chunk] = []
        for done in prepared:
            there = set(await store.chunk_ids(self._collection, done.document.document_id))
            new.extend(chunk for chunk in done.chunks if chunk.chunk_id not in there)
            await store.describe([chunk for chunk in done.chunks if chunk.chunk_id in there])
            stale.extend(sorted(there - {chunk.chunk_id for chunk in done.chunks}))
        return stale, new

    def _count(self, prepared: Sequence[_Prepared], embedded: int) -> None:
        now = self._progress
        self._progress = replace(
            now,
            documents=now.documents + len(prepared),
            chunks=now.chunks + sum(len(done.chunks) for done in prepared),
            chunks_embedded=now.chunks_embedded + embedded,
        )
        self._tell()

    def _remove_sources(self, file: str, sources: Sequence[str]) -> None:
        self._manifest.remove_file(self._collection, file)  # first: should it come back, it is read
        self._manifest.remove_sources(self._collection, sources)

    def _file_done(self) -> None:
        self._progress = replace(self._progress, files_done=self._progress.files_done + 1)
        self._tell()

    def _note(
        self,
        source: str,
        outcome: Outcome,
        document_id: str | None = None,
        reason: str | None = None,
    ) -> None:
        self._items.append(Item(source, outcome, document_id, reason))

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._progress)


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}") from error
