"""The composition root: settings in, ready objects out. Everything is put together here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from api.assembly.answering import Answering, open_ledger
from api.assembly.batching import Batching, open_batching
from api.assembly.conversing import PseudonymousAnswerer, Pseudonyms, open_turns
from api.assembly.distilling import open_lesson_writer, open_lessons
from api.assembly.experimenting import Experimenting, open_experiment
from api.assembly.paths import Shared, open_path, open_reranker, require_models
from api.assembly.reusing import drop_answers, open_entries, open_pinned
from api.settings import Settings
from api.state.opening import open_state
from api.state.room import check_room
from api.state.turn import turn
from compression.tokens import TiktokenCounter
from generation.deciding.corrections import Corrections
from generation.distilling.learning import LessonWriter
from generation.reuse.pinned import PinnedAnswers
from indexing.chunking import CHUNK_TOKENS, StructuralChunker
from indexing.embedding.batching import BatchingEmbedder
from indexing.embedding.packaged import MODEL_TOKENS, SPECIAL_TOKENS
from indexing.embedding.remembering import RememberingEmbedder
from indexing.ingesting.parts import DropAnswers, Parts
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.ingesting.turns import Turns
from indexing.loading.fetching import Fetcher
from indexing.loading.sources import SourceLoader
from indexing.loading.web import WebLoader
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from indexing.readers.limits import READERS_VERSION, ReadLimits
from indexing.readers.workers import WorkerReader
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.errors import MissingExtraError, SettingsError
from rag.ports import (
    Answerer,
    Chunker,
    ChunkStore,
    Embedder,
    LanguageModel,
    Retriever,
    Tokenizer,
)

if TYPE_CHECKING:
    from api.telemetry.tracing import Tracing  # which needs an extra

SERVER_INSTALL = "pip install 'thrifty-rag[server]'"
OTEL_INSTALL = "pip install 'thrifty-rag[otel]'"


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that a door needs, ready to use."""

    settings: Settings
    pipeline: Answerer
    retriever: Retriever
    ingestion: IngestionPipeline
    manifest: Manifest
    state: Engine
    store: ChunkStore
    loader: SourceLoader
    answering: Answering
    experimenting: Experimenting | None
    learning: LessonWriter
    pinned: PinnedAnswers
    batching: Batching
    tracing: Tracing | None

    async def close(self) -> None:
        """Write everything to disk and let go of it."""
        await self.batching.close()
        await self.answering.close()
        if self.experimenting is not None:
            await self.experimenting.close()
        await self.learning.close()
        self.answering.ledger.close()
        await self.loader.close()
        await self.store.close()
        self.state.dispose()
        if self.tracing is not None:
            await self.tracing.close()


def build(settings: Settings) -> Application:
    """The application for these settings; the caller must hold the data folder's lock.

    Raises MissingExtraError, ModelError, SettingsError and StoreError.
    """
    return build_around(settings, *embedding(settings))


def build_around(
    settings: Settings, embedder: Embedder, tokenizer: Tokenizer, model_tokens: int
) -> Application:
    """As `build`, around a model that is there: what `embedding` gives.

    Raises MissingExtraError, ModelError, SettingsError and StoreError.
    """
    reranker = open_reranker(settings)
    state = open_state(settings.data_dir, settings.state_url)
    manifest = Manifest(state)
    store = open_store(settings, embedder)
    tracing = open_tracing(settings)
    asking = RememberingEmbedder(BatchingEmbedder(embedder))
    pinned = open_pinned(settings, state, asking, manifest)
    shared = Shared(
        state=state,
        store=store,
        manifest=manifest,
        embedder=asking,
        counter=TiktokenCounter(),
        ledger=open_ledger(settings, state),
        learning=open_lesson_writer(settings, open_lessons(settings, state), manifest),
        pinned=pinned,
        watch_model=_unwatched if tracing is None else tracing.model,
    )
    path = open_path(settings, shared, reranker)
    experimenting = open_experiment(settings, shared, path, reranker)
    chunker = StructuralChunker(tokenizer, chunk_tokens(settings, model_tokens))
    reader, loader = _loading(settings, chunker)
    parts = Parts(
        reader=reader,
        loader=loader,
        chunker=chunker,
        tokenizer=tokenizer,
        embedder=embedder,
        store=store,
        manifest=manifest,
        quotes=Quotes(state),
        check_room=partial(check_room, settings.data_dir, settings.ingestion.min_free_bytes),
        drop_answers=_drop_answers(settings, state, pinned),
        turns=Turns(partial(turn, state)),
    )
    split = path.pipeline if experimenting is None else experimenting.pipeline
    pipeline = PseudonymousAnswerer(split, Pseudonyms(state))
    return Application(
        settings=settings,
        pipeline=pipeline if tracing is None else tracing.answerer(pipeline),
        retriever=path.retriever,
        ingestion=IngestionPipeline(parts),
        manifest=manifest,
        state=state,
        store=store,
        loader=loader,
        answering=path.answering,
        experimenting=experimenting,
        learning=shared.learning,
        pinned=pinned,
        batching=open_batching(settings, shared, path),
        tracing=tracing,
    )


def _drop_answers(settings: Settings, state: Engine, pinned: PinnedAnswers) -> DropAnswers:
    """What deletes all that is kept of answers made from a document."""
    kept = (
        open_entries(settings, state),
        open_lessons(settings, state),
        Corrections(state),
        open_turns(settings, state),
    )
    return partial(drop_answers, kept, pinned)


def open_tracing(settings: Settings) -> Tracing | None:
    """What traces by these settings; None where they name no collector.

    Raises MissingExtraError.
    """
    if settings.tracing.endpoint is None:
        return None
    try:
        from api.telemetry.tracing import Tracing
    except ImportError:
        raise MissingExtraError(
            "OpenTelemetry, which RAG_TRACING__ENDPOINT needs,", OTEL_INSTALL
        ) from None
    return Tracing(settings.tracing)


def _unwatched(model: LanguageModel) -> LanguageModel:
    return model


def open_store(settings: Settings, embedder: Embedder) -> ChunkStore:
    """The store that the settings name, made for the vectors of this embedder.

    Raises StoreError, MissingExtraError when the client of the server is not installed.
    """
    chosen = settings.store
    fingerprint, dimension = embedder.fingerprint, embedder.dimension
    if chosen.url is None:
        folder = settings.data_dir / "store"
        return QdrantEdgeStore(folder, fingerprint, dimension, chosen.quantization)
    if find_spec("qdrant_client") is None:
        raise MissingExtraError("qdrant-client, which RAG_STORE__URL needs,", SERVER_INSTALL)
    from indexing.stores.qdrant_server_layout import ServerLayout
    from indexing.stores.qdrant_server_store import QdrantServerStore

    return QdrantServerStore.connect(
        chosen.url,
        None if chosen.api_key is None else chosen.api_key.get_secret_value(),
        layout=ServerLayout(
            name=chosen.name,
            shards=chosen.shards,
            replicas=chosen.replicas,
            write_consistency=chosen.write_consistency,
            quantization=chosen.quantization,
            on_disk=chosen.on_disk,
        ),
        timeout_s=chosen.timeout_s,
        fingerprint=fingerprint,
        dimension=dimension,
    )


def _loading(settings: Settings, chunker: Chunker) -> tuple[WorkerReader, SourceLoader]:
    """What reads files, and what brings files and pages."""
    chosen = settings.ingestion
    limits = ReadLimits(
        max_file_bytes=chosen.max_file_bytes, max_unpacked_bytes=chosen.max_unpacked_bytes
    )
    reader = WorkerReader(
        limits,
        max_seconds=chosen.max_read_seconds,
        max_memory_bytes=chosen.max_read_memory_bytes,
        workers=chosen.readers or None,
    )
    fetcher = Fetcher(
        private_hosts=chosen.private_hosts,
        max_seconds=chosen.max_page_seconds,
        max_bytes=chosen.max_file_bytes,
    )
    recipe = f"read-v{READERS_VERSION}/{chunker.fingerprint}"
    web = WebLoader(fetcher, reader, recipe)
    return reader, SourceLoader(reader, web, recipe, chosen.max_file_bytes)


def embedding(settings: Settings) -> tuple[Embedder, Tokenizer, int]:
    """The embedder, its tokenizer, and how many tokens of a chunk it can read."""
    threads = settings.embedding.threads or None
    if settings.embedding.model is None:
        from indexing.embedding.packaged import PackagedEmbedder, PackagedTokenizer

        packaged = PackagedEmbedder(settings.data_dir / "models", threads)
        return packaged, PackagedTokenizer(), MODEL_TOKENS - SPECIAL_TOKENS
    require_models("RAG_EMBEDDING__MODEL")
    from indexing.embedding.named import NamedEmbedder

    named = NamedEmbedder(settings.embedding.model)
    return named, named, named.chunk_tokens


def chunk_tokens(settings: Settings, model_tokens: int) -> int:
    """How many tokens a chunk may have, of which the model reads `model_tokens`.

    Raises SettingsError when more are wanted than that.
    """
    wanted = settings.ingestion.chunk_tokens
    if wanted is None:
        return min(model_tokens, CHUNK_TOKENS)
    if wanted > model_tokens:
        raise SettingsError(
            f"ingestion.chunk_tokens is {wanted:,}, and the embedding model reads "
            f"{model_tokens:,}: lower it"
        )
    return wanted
