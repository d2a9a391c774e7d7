"""A question set, cut and embedded once, of which any part can be searched by the default settings.

The parts are the real ones, but for the manifest: chunks that are written once need none.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from api.setting_groups.answers import RetrievalSettings
from benchmarks.embedded import embedded_chunks
from benchmarks.question_sets import QuestionSet
from benchmarks.store_process import OneRevision
from indexing.embedding.packaged import PackagedEmbedder
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.ports import Retriever
from rag.types import EmbeddedChunk
from retrieval.hybrid import HybridRetriever

MODELS = Path(".rag/models")


@dataclass(frozen=True, slots=True)
class Indexed:
    """The embedded chunks of a question set."""

    question_set: QuestionSet
    chunks: Sequence[EmbeddedChunk]
    embedder: PackagedEmbedder

    @classmethod
    async def of(cls, question_set: QuestionSet) -> Indexed:
        """Cut and embed a question set."""
        embedder = PackagedEmbedder(MODELS)
        chunks = await embedded_chunks(question_set.documents, embedder)
        return cls(question_set, chunks, embedder)

    @asynccontextmanager
    async def searchable(self, without: Set[str] = frozenset()) -> AsyncIterator[Retriever]:
        """A retriever over the set, but for the documents that are named."""
        chosen = RetrievalSettings()
        kept = [one for one in self.chunks if one.chunk.document_id not in without]
        with tempfile.TemporaryDirectory() as folder:
            embedder = self.embedder
            store = QdrantEdgeStore(Path(folder), embedder.fingerprint, embedder.dimension)
            await store.upsert(kept)
            yield HybridRetriever(
                embedder, store, OneRevision(), chosen.candidates, chosen.dense_share
            )
            await store.close()
