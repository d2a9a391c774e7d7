"""One ingestion under way: loads ahead, sorts what is loaded into outcomes, and has it written.

Loading, cutting, embedding and storing overlap: each works on what the one before has done, and
none runs far ahead. At the end of every run, whoever began it, documents that are not settled are
brought in step with the manifest, and those that were never recorded, or have no source left, are
removed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence, Set
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from indexing.ingesting.mending import mend
from indexing.ingesting.parts import Parts
from indexing.ingesting.report import IngestionReport, Item, OnProgress, Outcome, Progress
from indexing.ingesting.sorting import Decision, Sorter, WriteDocument
from indexing.ingesting.writing import Prepared, Stored, Writer
from indexing.loading.discovery import is_under, lies_in_one_of
from indexing.manifest.changes import Change, CloseFile, OpenFile
from rag.errors import DocumentError, GoneError
from rag.sources import FailedPart, Found, Loaded
from rag.types import Document

_LOADED_AHEAD = 4

Load = Callable[[str], Coroutine[Any, Any, Loaded]]


class Run:
    """One ingestion. Give it sources, files or documents, then finish it."""

    def __init__(
        self, parts: Parts, collection: str, total: int, on_progress: OnProgress | None
    ) -> None:
        self._parts = parts
        self._collection = collection
        self._on_progress = on_progress
        self._progress = Progress(0, total, 0, 0, 0)
        self._items: list[Item] = []
        self._gone: dict[str, str] = {}
        self._marks: Mapping[str, str] = {}
        self._files: Set[str] = set()
        self._sorter = Sorter(parts.manifest, collection, parts.chunker.fingerprint)
        self._stored: deque[Stored] = deque()
        self._writer = self._make_writer(self._stored.append)
        self._started = time.perf_counter()

    def note_skipped(self, skipped: Sequence[FailedPart]) -> None:
        """Report what was found and is no document."""
        for part in skipped:
            self._note(part.source, "skipped", reason=part.reason)

    async def take_sources(self, sources: Sequence[str]) -> None:
        """Take what stands at these sources."""

        async def load(source: str) -> Loaded:
            known = self._marks.get(source)
            return await self._parts.loader.load(source, self._collection, known)

        await self._take_all(sources, load)

    async def take_files(self, files: Mapping[str, Path]) -> None:
        """Take files that go by other sources than the paths where they lie."""

        async def load(source: str) -> Loaded:
            read = await self._parts.reader.read(files[source], self._collection, source)
            return Loaded("", read)

        await self._take_all(list(files), load)

    async def take_documents(self, documents: Sequence[Document]) -> None:
        """Take documents that came from no file: each is the only one at its source."""
        for document in documents:
            await self._take_document(document, file=document.sources[0])
            self._source_done()

    async def remove_gone(self, found: Found, places: Sequence[str]) -> None:
        """Remove what was indexed from under `places` and is not found there any more.

        What lies under a place that could not be looked at stays.
        """
        present = set(found.sources) - set(self._gone)
        unseen = {part.source for part in found.skipped}
        for file in await asyncio.to_thread(self._parts.manifest.files, self._collection):
            if (
                file in present
                or not any(is_under(file, place) for place in places)
                or lies_in_one_of(file, unseen)
            ):
                continue
            self._gone.pop(file, None)
            gone = await self._sources_of(file)
            for source in gone:
                self._note(source, "removed")
            await self._change(OpenFile(file))  # should it come back, it is read
            await self._change(self._sorter.remove(gone))

    async def finish(self) -> IngestionReport:
        """Write what is left, mend what killed runs left, and report."""
        for source, reason in self._gone.items():
            self._note(source, "failed", reason=reason)
        await self._writer.flush()
        self._hear_of_stored()
        await self._settle()
        return IngestionReport(
            collection=self._collection,
            items=tuple(self._items),
            chunks=self._progress.chunks,
            chunks_embedded=self._progress.chunks_embedded,
            seconds=time.perf_counter() - self._started,
        )

    async def abandon(self) -> None:
        """Stop without a report; what is half written is mended by the next run."""
        await self._writer.abandon()

    def _make_writer(self, on_stored: Callable[[Stored], None]) -> Writer:
        return Writer(self._parts, self._collection, on_stored)

    async def _settle(self) -> None:
        await mend(self._parts, self._collection)
        await self._parts.store.optimize()

    async def _take_all(self, sources: Sequence[str], load: Load) -> None:
        manifest = self._parts.manifest
        self._marks = await asyncio.to_thread(manifest.marks, self._collection)
        self._files = set(await asyncio.to_thread(manifest.files, self._collection))
        async with aclosing(_ahead(sources, load)) as loading:
            async for source, loaded in loading:
                try:
                    await self._take_loaded(source, loaded.result())
                except GoneError as error:
                    self._gone[source] = str(error)
                except DocumentError as error:
                    self._note(source, "failed", reason=str(error))
                self._source_done()

    async def _take_loaded(self, file: str, loaded: Loaded) -> None:
        if loaded.result is None:
            self._note(file, "unchanged")
            if loaded.mark != self._marks.get(file):
                await self._change(CloseFile(file, loaded.mark))
            return
        if file in self._marks:
            await self._change(OpenFile(file))
        known = await self._sources_of(file) if file in self._files else []
        kept = {part.source for part in loaded.result.failed}  # what was indexed from it stays
        whole = not loaded.result.failed
        for part in loaded.result.failed:
            self._note(part.source, "failed", reason=part.reason)
        for document in loaded.result.documents:
            kept.add(document.sources[0])
            whole = await self._take_document(document, file) and whole
        gone = [source for source in known if source not in kept]
        if gone and all(part.source in known for part in loaded.result.failed):
            # else what failed may be one of those that seem to be gone
            await self._change(self._sorter.remove(gone))
        if whole:
            await self._change(CloseFile(file, loaded.mark))

    async def _sources_of(self, file: str) -> list[str]:
        return await asyncio.to_thread(self._parts.manifest.sources_of_file, self._collection, file)

    async def _take_document(self, document: Document, file: str) -> bool:
        """Sort one document and have it written; False when it is refused."""
        self._hear_of_stored()
        source = document.sources[0]
        try:
            decision, prepared = await asyncio.to_thread(self._decide, document, file)
        except DocumentError as error:
            self._note(source, "failed", document.document_id, str(error))
            return False
        self._note(source, decision.outcome, decision.document_id, decision.reason)
        for step in prepared:
            await self._writer.write(step)
        return True

    def _decide(self, document: Document, file: str) -> tuple[Decision, list[Prepared | Change]]:
        """What becomes of a document, and its steps, cut into chunks where that is needed."""
        decision = self._sorter.sort(document, file)
        return decision, [
            self._cut(step) if isinstance(step, WriteDocument) else step for step in decision.steps
        ]

    def _cut(self, step: WriteDocument) -> Prepared:
        chunks = self._parts.chunker.chunk(step.document) if step.is_cut_anew else []
        return Prepared(step, chunks)

    async def _change(self, change: Change) -> None:
        await self._writer.write(change)

    def _hear_of_stored(self) -> None:
        """Let the sorter forget what the manifest knows by now, and tell how far it has come."""
        while self._stored:
            stored = self._stored.popleft()
            documents = 0
            for step in stored.steps:
                if isinstance(step, Prepared):
                    documents += 1
                    self._sorter.recorded(step.step)
                elif not isinstance(step, OpenFile | CloseFile):
                    self._sorter.recorded(step)
            now = self._progress
            self._progress = replace(
                now,
                documents=now.documents + documents,
                chunks=now.chunks + stored.chunks,
                chunks_embedded=now.chunks_embedded + stored.chunks_embedded,
            )
            self._tell()

    def _source_done(self) -> None:
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


async def _ahead(
    sources: Sequence[str], load: Load
) -> AsyncGenerator[tuple[str, asyncio.Future[Loaded]], None]:
    """Each source with what was loaded from it, done or failed, in order; some are ahead."""
    waiting: deque[tuple[str, asyncio.Task[Loaded]]] = deque()
    left = iter(sources)
    try:
        while True:
            for source in left:
                waiting.append((source, asyncio.create_task(load(source))))
                if len(waiting) > _LOADED_AHEAD:
                    break
            if not waiting:
                return
            source, task = waiting.popleft()
            await asyncio.wait({task})
            yield source, task
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)
