"""Brings the store and the manifest in step with files and documents.

    read -> skip unchanged -> exact duplicates become sources -> chunk -> embed what is new
         -> upsert -> commit to the manifest -> delete what is gone

A run may be killed anywhere and be repeated: `ingestion_run` says how.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from indexing.dry_run import DryRun
from indexing.ingestion_run import Parts, Run, remove_document, sweep
from indexing.manifest import Manifest
from indexing.readers.by_extension import discover
from indexing.report import ForgetReport, IngestionReport, OnProgress
from rag.ports import Chunker, ChunkStore, Embedder, Reader
from rag.types import Document


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
        self._parts = Parts(reader, chunker, embedder, store, manifest)
        self._turn = asyncio.Lock()

    async def ingest(
        self, paths: Sequence[Path], collection: str, *, on_progress: OnProgress | None = None
    ) -> IngestionReport:
        """Index files and folders. A file that cannot be read is reported; the others go in.

        Raises InputError for a path that is not there, before anything is done.
        """
        return await self._take_paths(Run, paths, (), collection, on_progress)

    async def ingest_and_sync(
        self, paths: Sequence[Path], collection: str, *, on_progress: OnProgress | None = None
    ) -> IngestionReport:
        """As `ingest`; also removes what was indexed from under `paths` and is there no more."""
        return await self._take_paths(Run, paths, paths, collection, on_progress)

    async def ingest_documents(
        self,
        documents: Sequence[Document],
        collection: str,
        *,
        on_progress: OnProgress | None = None,
    ) -> IngestionReport:
        """Index texts that did not come from a file here; the source of each is its place."""
        async with self._turn:
            run = Run(self._parts, collection, len(documents), on_progress)
            await run.take_documents(documents)
            return await run.finish()

    async def plan(self, paths: Sequence[Path], collection: str) -> IngestionReport:
        """What `ingest` would do; reads and chunks, embeds and writes nothing."""
        return await self._take_paths(DryRun, paths, (), collection, None)

    async def plan_sync(self, paths: Sequence[Path], collection: str) -> IngestionReport:
        """What `ingest_and_sync` would do; reads and chunks, embeds and writes nothing."""
        return await self._take_paths(DryRun, paths, paths, collection, None)

    async def forget(self, collection: str, document_ids: Sequence[str]) -> list[ForgetReport]:
        """Delete documents everywhere, with counts before and after.

        Raises NotFoundError, before anything is deleted, when one of them is unknown.
        """
        manifest = self._parts.manifest
        async with self._turn:
            await sweep(self._parts, collection)  # what a killed forgetting left
            found = [manifest.document(collection, name).document_id for name in document_ids]
            return [await self._forget(collection, name) for name in dict.fromkeys(found)]

    async def _take_paths(
        self,
        kind: type[Run],
        paths: Sequence[Path],
        roots: Sequence[Path],
        collection: str,
        on_progress: OnProgress | None,
    ) -> IngestionReport:
        """Take the files under `paths`; what is gone from under `roots` is removed."""
        files = await asyncio.to_thread(discover, [path.resolve() for path in paths])
        async with self._turn:
            run = kind(self._parts, collection, len(files), on_progress)
            await run.take_files(files)
            if roots:
                await run.remove_gone(files, [root.resolve() for root in roots])
            return await run.finish()

    async def _forget(self, collection: str, document_id: str) -> ForgetReport:
        store, manifest = self._parts.store, self._parts.manifest
        chunk_ids = await store.chunk_ids(collection, document_id)
        documents = manifest.count(collection)
        await remove_document(self._parts, collection, document_id)
        return ForgetReport(
            document_id=document_id,
            chunks_before=len(chunk_ids),
            chunks_after=len(await store.chunk_ids(collection, document_id)),
            documents_before=documents,
            documents_after=manifest.count(collection),
        )
