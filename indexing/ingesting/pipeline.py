"""Brings the store and the manifest in step with files, pages and documents.

    load -> skip unchanged -> what says the same becomes a source -> find near relatives -> chunk
         -> embed what is new -> upsert -> commit to the manifest -> delete what is gone

A run may be killed anywhere and be repeated: `writing` says how.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from indexing.chunking import passage_of
from indexing.ingesting.dry_run import DryRun
from indexing.ingesting.mending import mend, remove_abandoned, remove_document
from indexing.ingesting.parts import Parts
from indexing.ingesting.report import ForgetReport, IngestionReport, OnProgress
from indexing.ingesting.run import Run
from rag.errors import StoreError
from rag.sources import Found
from rag.types import Document, Passage, StoreQuery

_PROOF_CANDIDATES = 50


class IngestionPipeline:
    """Ingests and forgets. One ingestion runs at a time; a second waits for it.

    A document can be forgotten while an ingestion runs.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def ingest(
        self, places: Sequence[str], collection: str, *, on_progress: OnProgress | None = None
    ) -> IngestionReport:
        """Index files, folders, glob patterns and URLs. What cannot be read is reported.

        Raises InputError for a path that is not there, before anything is done.
        """
        return await self._take_places(places, (), collection, on_progress)

    async def ingest_and_sync(
        self, places: Sequence[str], collection: str, *, on_progress: OnProgress | None = None
    ) -> IngestionReport:
        """As `ingest`; also removes what was indexed from under `places` and is there no more."""
        return await self._take_places(places, places, collection, on_progress)

    async def ingest_files(
        self,
        files: Mapping[str, Path],
        collection: str,
        *,
        on_progress: OnProgress | None = None,
    ) -> IngestionReport:
        """Index files that go by other sources than the paths where they lie, as uploads do."""
        async with self._run(collection, len(files), on_progress) as run:
            await run.take_files(files)
            return await run.finish()

    async def ingest_documents(
        self,
        documents: Sequence[Document],
        collection: str,
        *,
        on_progress: OnProgress | None = None,
    ) -> IngestionReport:
        """Index texts that did not come from a file here; the source of each is its place."""
        async with self._run(collection, len(documents), on_progress) as run:
            await run.take_documents(documents)
            return await run.finish()

    async def plan(self, places: Sequence[str], collection: str) -> IngestionReport:
        """What `ingest` would do and take; loads and chunks, embeds a sample, writes nothing."""
        return await self._plan(places, (), collection)

    async def plan_sync(self, places: Sequence[str], collection: str) -> IngestionReport:
        """What `ingest_and_sync` would do and take."""
        return await self._plan(places, places, collection)

    async def mend(self) -> None:
        """Finish what a run that was killed left half done, if there is any.

        Raises StoreError when the store holds nothing of what the manifest says it does.
        """
        manifest = self.parts.manifest
        for collection in await asyncio.to_thread(manifest.collections_to_mend):
            async with self.parts.turns.ingesting(collection):
                await mend(self.parts, collection)
        for collection in await asyncio.to_thread(manifest.collections):
            await self._check_store(collection)

    async def forget(self, collection: str, document_ids: Sequence[str]) -> list[ForgetReport]:
        """Delete documents everywhere, with counts before and after.

        Raises NotFoundError, before anything is deleted, when one of them is unknown.
        """
        async with self.parts.turns.writing(collection):
            await remove_abandoned(self.parts, collection)
            found = [
                await asyncio.to_thread(self.parts.manifest.document, collection, name)
                for name in document_ids
            ]
        by_id = {document.document_id: document for document in found}
        return [await self._forget(document) for document in by_id.values()]

    @asynccontextmanager
    async def _run(
        self, collection: str, total: int, on_progress: OnProgress | None
    ) -> AsyncIterator[Run]:
        async with self.parts.turns.ingesting(collection):
            self.parts.forgotten.clear()
            run = Run(self.parts, collection, total, on_progress)
            try:
                yield run
            finally:
                await run.abandon()

    async def _take_places(
        self,
        places: Sequence[str],
        synced: Sequence[str],
        collection: str,
        on_progress: OnProgress | None,
    ) -> IngestionReport:
        """Take what is at `places`; what is gone from under `synced` is removed."""
        found = await self.parts.loader.discover(places)
        async with self._run(collection, len(found.sources), on_progress) as run:
            await _take(run, found, synced)
            report = await run.finish()
        quote = await asyncio.to_thread(self.parts.quotes.take, collection, places)
        return replace(report, quote=quote)

    async def _plan(
        self, places: Sequence[str], synced: Sequence[str], collection: str
    ) -> IngestionReport:
        found = await self.parts.loader.discover(places)
        async with self.parts.turns.planning():
            run = DryRun(self.parts, collection, len(found.sources), None)
            await _take(run, found, synced)
            report = await run.finish()
            quote = await run.quote()
        await asyncio.to_thread(self.parts.quotes.put, collection, places, quote)
        return replace(report, quote=quote)

    async def _forget(self, document: Document) -> ForgetReport:
        collection, document_id = document.collection, document.document_id
        store, manifest = self.parts.store, self.parts.manifest
        probe = passage_of(self.parts.chunker.chunk(document)[0])
        async with self.parts.turns.writing(collection):
            self.parts.forgotten.add((collection, document_id))
            chunks = await store.chunk_ids(collection, document_id)
            documents = await asyncio.to_thread(manifest.count, collection)
            answers = await remove_document(self.parts, collection, document_id)
            return ForgetReport(
                document_id=document_id,
                sources=document.sources,
                chunks_before=len(chunks),
                chunks_after=len(await store.chunk_ids(collection, document_id)),
                documents_before=documents,
                documents_after=await asyncio.to_thread(manifest.count, collection),
                found_after=await self._find(document, probe),
                answers_removed=answers,
            )

    async def _check_store(self, collection: str) -> None:
        documents = await asyncio.to_thread(self.parts.manifest.count, collection)
        if documents and not await self.parts.store.count(collection):
            raise StoreError(
                f"the store holds no chunk of the {documents:,} documents in {collection!r}: move "
                "them there with `rag migrate`, or set the store back that held them"
            )

    async def _find(self, document: Document, probe: Passage) -> int:
        """How many hits a search for the words of `probe` has in a document."""
        [embedding] = await self.parts.embedder.embed([Passage(probe.text, "question")])
        query = StoreQuery(embedding.vector, probe.text, document.collection, {}, _PROOF_CANDIDATES)
        found = [candidate.chunk_id for candidate in await self.parts.store.search(query)]
        hits = await self.parts.store.fetch(found)
        return sum(hit.chunk.document_id == document.document_id for hit in hits)


async def _take(run: Run, found: Found, synced: Sequence[str]) -> None:
    run.note_skipped(found.skipped)
    await run.take_sources(found.sources)
    if synced:
        await run.remove_gone(found, synced)
