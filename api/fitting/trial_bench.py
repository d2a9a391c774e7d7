"""Pipelines for the trials of a tuning: other settings over indexes that are open already.

The index of the collection itself is used where this process holds it. An index for another size
of chunks, or beside a service that holds the data, is made from the documents' texts in a folder
of its own, which nothing else reads; what an interrupted tuning left there is used again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from api.assembly.paths import open_reranker, quoting_pipeline
from api.build import (
    Application,
    build_around,
    chunk_tokens,
    embedding,
)
from api.doors.door import Door, LocalDoor
from api.models.documents import DocumentOut
from api.setting_groups.documents import StoreSettings
from api.settings import Settings
from indexing.chunking import passage_of
from rag.pipeline import QuestionPipeline
from rag.ports import Reranker
from rag.types import Document

INDEXES = "indexes"
_SAMPLE_DOCUMENTS = 24
_SAMPLE_CHUNKS = 64


class TrialBench:
    """Opens what trials need, and keeps it open. `folder` is for indexes of its own."""

    def __init__(
        self, door: Door, settings: Settings, folder: Path, note: Callable[[str], None]
    ) -> None:
        self._door = door
        self._settings = settings
        self._folder = folder / INDEXES
        self._note = note
        self._indexes: dict[int | None, Application] = {}
        self._made: list[Application] = []
        self._rerankers: dict[str | None, Reranker | None] = {None: None}

    async def open(self, documents: Sequence[DocumentOut], trials: Sequence[Settings]) -> None:
        """Open the rerankers and the indexes of all these settings, the present ones first.

        Raises SettingsError, naming the size, for chunks that the embedding model does not read.
        """
        for settings in trials:
            name = settings.retrieval.reranker
            if name not in self._rerankers:
                self._rerankers[name] = await asyncio.to_thread(open_reranker, settings)
        if isinstance(self._door, LocalDoor):
            self._indexes[self._settings.ingestion.chunk_tokens] = self._door.application
        missing = {
            settings.ingestion.chunk_tokens: settings
            for settings in trials
            if settings.ingestion.chunk_tokens not in self._indexes
        }
        if missing:
            await self._make_indexes(documents, list(missing.values()))

    def pipeline(self, settings: Settings) -> QuestionPipeline:
        """The path from question to answer by settings whose index and reranker are open."""
        index = self._indexes[settings.ingestion.chunk_tokens]
        parts = index.ingestion.parts
        reranker = self._rerankers[settings.retrieval.reranker]
        return quoting_pipeline(settings, parts.embedder, parts.store, parts.manifest, reranker)

    async def close(self) -> None:
        """Close the indexes that were made; they stay on the disk."""
        for application in self._made:
            await application.close()

    async def _make_indexes(
        self, listed: Sequence[DocumentOut], trials: Sequence[Settings]
    ) -> None:
        model = await asyncio.to_thread(embedding, self._settings)
        by_tokens: dict[int, list[Settings]] = {}
        for settings in trials:
            by_tokens.setdefault(chunk_tokens(settings, model[2]), []).append(settings)
        present = self._indexes.get(self._settings.ingestion.chunk_tokens)
        if present is not None:  # its size may be asked for by its number
            for settings in by_tokens.pop(chunk_tokens(self._settings, model[2]), []):
                self._indexes[settings.ingestion.chunk_tokens] = present
        documents = [await self._read(one) for one in listed] if by_tokens else []
        for number, (tokens, alike) in enumerate(by_tokens.items()):
            folder = self._folder / str(tokens)
            application = build_around(_apart(alike[0], folder), *model)
            self._made.append(application)
            if not number:
                await self._tell_time(application, documents, list(by_tokens))
            collection = self._settings.collection
            await application.ingestion.mend()
            await application.ingestion.ingest_documents(documents, collection)
            for settings in alike:
                self._indexes[settings.ingestion.chunk_tokens] = application

    async def _read(self, listed: DocumentOut) -> Document:
        found = await self._door.document(listed.collection, listed.document_id)
        return Document(
            collection=found.collection,
            document_id=found.document_id,
            version=found.version,
            title=found.title,
            text=found.text,
            sources=tuple(found.sources),
            page_starts=tuple(found.page_starts),
            metadata=found.metadata,
            dated=found.dated,
        )

    async def _tell_time(
        self, application: Application, documents: Sequence[Document], sizes: Sequence[int]
    ) -> None:
        """Say what the indexes will take, judged by a sample of chunks that is embedded."""
        parts = application.ingestion.parts
        some = documents[:: max(1, len(documents) // _SAMPLE_DOCUMENTS)]
        passages = [passage_of(chunk) for one in some for chunk in parts.chunker.chunk(one)]
        passages = passages[:: max(1, len(passages) // _SAMPLE_CHUNKS)]
        await parts.embedder.embed(passages[:8])  # the first call of a model is slow
        started = time.perf_counter()
        await parts.embedder.embed(passages)
        elapsed = time.perf_counter() - started
        sampled = max(1, sum(len(one.text) for one in passages))
        scale = sum(len(one.text) for one in documents) * len(sizes) / sampled
        tokens = sum(len(parts.tokenizer.token_spans(one.text)) for one in passages)
        self._note(
            f"indexing {len(documents):,} documents for chunks of {', '.join(map(str, sizes))} "
            f"tokens: about {tokens * scale:,.0f} tokens to embed, {elapsed * scale:,.0f} s"
        )


def _apart(settings: Settings, folder: Path) -> Settings:
    """The settings for a data folder of its own, with the store in it."""
    store = StoreSettings(quantization=settings.store.quantization)
    return settings.model_copy(update={"data_dir": folder, "state_url": None, "store": store})
