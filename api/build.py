"""The composition root: settings in, ready objects out. Everything is put together here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy import Engine

from api.settings import Settings
from api.state import open_state
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from generation.deciding.confidence import LogisticConfidence
from generation.money.baseline import PremiumBaseline
from generation.tiers.extractive import ExtractiveGenerator
from indexing.chunking import CHUNK_TOKENS, StructuralChunker
from indexing.embedding.batching import BatchingEmbedder
from indexing.embedding.packaged import MODEL_TOKENS, SPECIAL_TOKENS
from indexing.ingestion import IngestionPipeline
from indexing.manifest import Manifest
from indexing.readers.by_extension import FileReader
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.errors import MissingExtraError
from rag.pipeline import Limits, QuestionPipeline
from rag.ports import ChunkStore, Embedder, Retriever, Tokenizer
from retrieval.hybrid import HybridRetriever

MODELS_INSTALL = (
    "pip install torch==2.13.0 sentence-transformers "
    "--extra-index-url https://download.pytorch.org/whl/cpu"
)


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that a door needs, ready to use."""

    settings: Settings
    pipeline: QuestionPipeline
    ingestion: IngestionPipeline
    manifest: Manifest
    state: Engine
    store: ChunkStore

    async def close(self) -> None:
        """Write everything to disk and let go of it."""
        await self.store.close()
        self.state.dispose()


def build(settings: Settings) -> Application:
    """The application for these settings; the caller must hold the data folder's lock.

    Raises MissingExtraError, ModelError, SettingsError and StoreError.
    """
    embedder, tokenizer, chunk_tokens = _embedding(settings)
    state = open_state(settings.data_dir)
    manifest = Manifest(state)
    store = QdrantEdgeStore(settings.data_dir / "store", embedder.fingerprint, embedder.dimension)
    counter = TiktokenCounter()
    pipeline = QuestionPipeline(
        retriever=_retriever(settings, embedder, store),
        compressor=BudgetCompressor(counter),
        generator=ExtractiveGenerator(LogisticConfidence.bundled(), settings.answers.abstain_below),
        baseline=PremiumBaseline(counter, settings.baseline.model, settings.baseline.chunks),
        limits=Limits(settings.answers.max_question_chars, settings.retrieval.chunks),
    )
    ingestion = IngestionPipeline(
        reader=FileReader(settings.server.max_body_bytes),
        chunker=StructuralChunker(tokenizer, min(chunk_tokens, CHUNK_TOKENS)),
        embedder=embedder,
        store=store,
        manifest=manifest,
    )
    return Application(settings, pipeline, ingestion, manifest, state, store)


def _embedding(settings: Settings) -> tuple[Embedder, Tokenizer, int]:
    """The embedder, its tokenizer, and how many tokens of a chunk it can read."""
    threads = settings.embedding.threads or None
    if settings.embedding.model is None:
        from indexing.embedding.packaged import PackagedEmbedder, PackagedTokenizer

        packaged = PackagedEmbedder(settings.data_dir / "models", threads)
        return packaged, PackagedTokenizer(), MODEL_TOKENS - SPECIAL_TOKENS
    _require_models("RAG_EMBEDDING__MODEL")
    from indexing.embedding.named import NamedEmbedder

    named = NamedEmbedder(settings.embedding.model)
    return named, named, named.chunk_tokens


def _retriever(settings: Settings, embedder: Embedder, store: ChunkStore) -> Retriever:
    chosen = settings.retrieval
    hybrid = HybridRetriever(
        BatchingEmbedder(embedder), store, chosen.candidates, chosen.dense_share
    )
    if chosen.reranker is None:
        return hybrid
    _require_models("RAG_RETRIEVAL__RERANKER")
    from retrieval.cross_encoder import CrossEncoderReranker
    from retrieval.reranking import RerankingRetriever

    return RerankingRetriever(hybrid, CrossEncoderReranker(chosen.reranker))


def _require_models(setting: str) -> None:
    if find_spec("sentence_transformers") is None:
        raise MissingExtraError(f"sentence-transformers, which {setting} needs,", MODELS_INSTALL)
