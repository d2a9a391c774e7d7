"""Brings the store and the manifest in step with files and documents.

    read -> skip unchanged -> exact duplicates become sources -> chunk -> embed what is new
         -> upsert -> commit to the manifest -> delete what is gone

The order makes it safe to be killed anywhere: what the manifest names is whole in the store, and
what a killed run left behind is found by its content and used when the run is repeated.
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
from indexing.readers.by_extension import discover
from indexing.report import ForgetReport, IngestionReport, Item, OnProgress, Outcome, Progress
from rag.errors import DocumentError
from rag.ports import Chunker, ChunkStore, Embedder, Reader
from rag.types import Chunk, Document, EmbeddedChunk

_CHUNKS_PER_COMMIT = 256


class IngestionPipeline:
    """Ingests and forgets. One ingestion runs at a time; a second waits for it."""

    def __init__(
        self,
        reader: Reader,
        chunker: Chunker,
        embedder: Embedder,
        store: ChunkStore,
        manifest: Manifest,
    ) -> None:
        self._reader = reader
        self._chunker = chunker
        self._embedder = embedder
        self._store = store
        self._manifest = manifest
        self._turn = asyncio.Lock()

    async def ingest(
        self, paths: Sequence[Path], collection: str, *, on_progress: OnProgress | None = None
    ) -> IngestionReport:
        """Index files and folders. A file that cannot be read is reported; the others go in.

        Raises InputError for a path that is not there, before anything is done.
        """
        files = await asyncio.to_thread(_files_under, paths)
        async with self._turn:
            run = _Run(self, collection, len(files), on_progress)
            await self._take_files(run, files)
            return await run.finish()

    async def ingest_and_sync(
        self, paths: Sequence[Path], collection: str, *, on_progress: OnProgress | None = None
    ) -> IngestionReport:
        """As `ingest`; also removes what was indexed from under `paths` and is there no more."""
        files = await asyncio.to_thread(_files_under, paths)
        async with self._turn:
            run = _Run(self, collection, len(files), on_progress)
            await self._take_files(run, files)
            await run.remove_gone(files, [path.resolve() for path in paths])
            return await run.finish()

    async def ingest_documents(
        self,
        documents: Sequence[Document],
        collection: str,
        *,
        on_progress: OnProgress | None = None,
    ) -> IngestionReport:
        """Index texts that did not come from a file here; the source of each is its place."""
        async with self._turn:
            run = _Run(self, collection, len(documents), on_progress)
            for document in documents:
                await run.take_document(document, file=document.sources[0])
                run.file_done()
            return await run.finish()

    async def plan(self, paths: Sequence[Path], collection: str) -> IngestionReport:
        """What `ingest` would do; reads and chunks, embeds and writes nothing."""
        files = await asyncio.to_thread(_files_under, paths)
        async with self._turn:
            run = _DryRun(self, collection, len(files), None)
            await self._take_files(run, files)
            return await run.finish()

    async def forget(self, collection: str, document_ids: Sequence[str]) -> list[ForgetReport]:
        """Delete documents everywhere, with counts before and after.

        Raises NotFoundError, before anything is deleted, when one of them is unknown.
        """
        async with self._turn:
            found = [self._manifest.document(collection, name).document_id for name in document_ids]
            return [await self._forget(collection, name) for name in dict.fromkeys(found)]

    async def _forget(self, collection: str, document_id: str) -> ForgetReport:
        chunk_ids = await self._store.chunk_ids(collection, document_id)
        documents = self._manifest.count(collection)
        await self._remove(collection, document_id)
        return ForgetReport(
            document_id=document_id,
            chunks_before=len(chunk_ids),
            chunks_after=len(await self._store.chunk_ids(collection, document_id)),
            documents_before=documents,
            documents_after=self._manifest.count(collection),
        )

    async def _remove(self, collection: str, document_id: str) -> None:
        await self._store.delete(await self._store.chunk_ids(collection, document_id))
        self._manifest.remove_document(collection, document_id)

    async def _take_files(self, run: _Run, files: Sequence[Path]) -> None:
        for file in files:
            await run.take_file(file)
            run.file_done()


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A document that is chunked and waits for its batch."""

    document: Document
    chunks: Sequence[Chunk]
    places: tuple[Place, ...]


@dataclass(slots=True)
class _FileEnd:
    """What is to be recorded about a file once all of its documents are committed."""

    file: str
    content_hash: str | None
    gone: list[str]


@dataclass(slots=True)
class _Batch:
    prepared: list[_Prepared] = field(default_factory=list)
    ends: list[_FileEnd] = field(default_factory=list)

    def chunk_count(self) -> int:
        return sum(len(prepared.chunks) for prepared in self.prepared)


class _Run:
    """One ingestion under way."""

    def __init__(
        self,
        pipeline: IngestionPipeline,
        collection: str,
        files_total: int,
        on_progress: OnProgress | None,
    ) -> None:
        self._pipeline = pipeline
        self._manifest = pipeline._manifest
        self._collection = collection
        self._on_progress = on_progress
        self._progress = Progress(0, files_total, 0, 0, 0)
        self._items: list[Item] = []
        self._batch = _Batch()
        self._started = time.perf_counter()

    async def take_file(self, path: Path) -> None:
        """Read one file and take its documents."""
        file = str(path)
        try:
            content_hash = await asyncio.to_thread(_hash_file, path)
            if content_hash == self._manifest.file_hash(self._collection, file):
                self._note(file, "unchanged")
                return
            read = await asyncio.to_thread(
                self._pipeline._reader.read, path, self._collection, file
            )
        except DocumentError as error:
            self._note(file, "failed", reason=str(error))
            return
        known = set(self._manifest.sources_of_file(self._collection, file))
        for part in read.failed:
            self._note(part.source, "failed", reason=part.reason)
            known.discard(part.source)  # what was indexed from it before stays
        for document in read.documents:
            known.discard(document.sources[0])
            await self.take_document(document, file)
        # a file of which a part failed is read again the next time
        whole = None if read.failed else content_hash
        self._batch.ends.append(_FileEnd(file, whole, sorted(known)))

    async def take_document(self, document: Document, file: str) -> None:
        """Sort one document into unchanged, duplicate, changed or added; chunk it if need be."""
        source = document.sources[0]
        if self._is_pending(document):
            await self._commit_batch()
        owner = self._manifest.document_of_source(self._collection, source)
        twin = self._twin(document)
        if twin is not None:
            await self._add_to_twin(document, twin, owner, file)
            return
        try:
            document = self._with_free_id(document)
        except DocumentError as error:
            self._note(source, "failed", document.document_id, str(error))
            return
        await self._hand_over(document)
        self._note(source, "added" if owner is None else "changed", document.document_id)
        place = Place(source, document.document_id, file)
        await self._prepare(document, (place,))

    def file_done(self) -> None:
        """Count one file and tell the listener."""
        self._progress = replace(self._progress, files_done=self._progress.files_done + 1)
        self._tell()

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
                await self._remove_sources(file, sources)

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
        await self._pipeline._store.optimize()

    async def _add_to_twin(
        self, document: Document, twin: str, owner: str | None, file: str
    ) -> None:
        source = document.sources[0]
        if owner == twin:
            self._note(source, "unchanged", twin)
            return
        self._note(source, "duplicate", twin, f"same content as {twin}")
        place = Place(source, document.document_id, file)
        await self._write_twin(replace(document, document_id=twin), place, owner)

    async def _write_twin(self, twin: Document, place: Place, owner: str | None) -> None:
        self._manifest.add_source(twin, place)
        if owner is not None and not self._manifest.places(self._collection, owner):
            await self._pipeline._remove(self._collection, owner)

    def _twin(self, document: Document) -> str | None:
        return self._manifest.with_version(self._collection, document.version)

    def _with_free_id(self, document: Document) -> Document:
        """The document under an id that no other source holds."""
        source = document.sources[0]
        places = self._manifest.places(self._collection, document.document_id)
        if not places or any(place.source == source for place in places):
            return document
        if document.document_id == document_id_for(source):
            fresh = document_id_for(f"{source}@{document.version}")
            return replace(document, document_id=fresh)
        raise DocumentError(
            f"the id {document.document_id!r} is taken by {places[0].source}: "
            "give it another id, or put it into another collection"
        )

    async def _hand_over(self, document: Document) -> None:
        """Where other sources still hold the old content of a document, give it to the next."""
        old = self._manifest.find(self._collection, document.document_id)
        if old is None or old.document_id != document.document_id:
            return
        places = self._manifest.places(self._collection, old.document_id)
        others = tuple(place for place in places if place.source != document.sources[0])
        if others:
            sources = tuple(place.source for place in others)
            heir = replace(old, document_id=others[0].own_id, sources=sources)
            await self._prepare(heir, others)

    def _is_pending(self, document: Document) -> bool:
        """Whether one of this content or id waits in the batch, so that the manifest knows it not."""
        return any(
            waiting.document.version == document.version
            or waiting.document.document_id == document.document_id
            for waiting in self._batch.prepared
        )

    async def _prepare(self, document: Document, places: tuple[Place, ...]) -> None:
        chunks = await asyncio.to_thread(self._pipeline._chunker.chunk, document)
        self._batch.prepared.append(_Prepared(document, chunks, places))
        if self._batch.chunk_count() >= _CHUNKS_PER_COMMIT:
            await self._commit_batch()

    async def _commit_batch(self) -> None:
        batch, self._batch = self._batch, _Batch()
        stale = await self._store_chunks(batch.prepared)
        self._manifest.put(
            [Entry(done.document, len(done.chunks), done.places) for done in batch.prepared]
        )
        await self._pipeline._store.delete(stale)
        for end in batch.ends:
            await self._remove_sources(end.file, end.gone)
            if end.content_hash is not None:
                self._manifest.put_file_hash(self._collection, end.file, end.content_hash)

    async def _store_chunks(self, prepared: Sequence[_Prepared]) -> list[str]:
        """Write the chunks, embedding only those that are new; gives the ids of stale ones."""
        store = self._pipeline._store
        stale: list[str] = []
        new: list[Chunk] = []
        for done in prepared:
            there = set(await store.chunk_ids(self._collection, done.document.document_id))
            new.extend(chunk for chunk in done.chunks if chunk.chunk_id not in there)
            await store.describe([chunk for chunk in done.chunks if chunk.chunk_id in there])
            stale.extend(sorted(there - {chunk.chunk_id for chunk in done.chunks}))
        embeddings = await self._pipeline._embedder.embed([passage_of(chunk) for chunk in new])
        await store.upsert(list(map(EmbeddedChunk, new, embeddings)))
        self._count(prepared, embedded=len(new))
        return stale

    def _count(self, prepared: Sequence[_Prepared], embedded: int) -> None:
        now = self._progress
        self._progress = replace(
            now,
            documents=now.documents + len(prepared),
            chunks=now.chunks + sum(len(done.chunks) for done in prepared),
            chunks_embedded=now.chunks_embedded + embedded,
        )
        self._tell()

    async def _remove_sources(self, file: str, sources: Sequence[str]) -> None:
        orphans = self._manifest.remove_sources(self._collection, sources)
        self._manifest.remove_file(self._collection, file)
        for document_id in orphans:
            await self._pipeline._remove(self._collection, document_id)

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


class _DryRun(_Run):
    """An ingestion that embeds and writes nothing."""

    def __init__(
        self,
        pipeline: IngestionPipeline,
        collection: str,
        files_total: int,
        on_progress: OnProgress | None,
    ) -> None:
        super().__init__(pipeline, collection, files_total, on_progress)
        self._planned: dict[str, str] = {}

    def _twin(self, document: Document) -> str | None:
        return super()._twin(document) or self._planned.get(document.version)

    def _is_pending(self, document: Document) -> bool:
        return False

    async def _prepare(self, document: Document, places: tuple[Place, ...]) -> None:
        self._planned[document.version] = document.document_id
        await super()._prepare(document, places)

    async def _write_twin(self, twin: Document, place: Place, owner: str | None) -> None:
        pass

    async def _commit_batch(self) -> None:
        batch, self._batch = self._batch, _Batch()
        self._count(batch.prepared, embedded=0)

    async def _settle(self) -> None:
        pass


def _files_under(paths: Sequence[Path]) -> list[Path]:
    return discover([path.resolve() for path in paths])


def _hash_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DocumentError(f"{path} cannot be read: {error.strerror or error}") from error
