"""The composition root: settings in, ready objects out. Everything is put together here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

from sqlalchemy import Engine

from api.answering import Answering, open_answering, open_prices, quoting
from api.batching import Batching, open_batching
from api.reusing import drop_answers, open_entries, open_reuse
from api.settings import Settings
from api.state.opening import open_state
from api.state.room import check_room
from api.state.turn import turn
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from generation.money.baseline import PremiumBaseline
from indexing.chunking import CHUNK_TOKENS, StructuralChunker
from indexing.embedding.batching import BatchingEmbedder
from indexing.embedding.packaged import MODEL_TOKENS, SPECIAL_TOKENS
from indexing.embedding.remembering import RememberingEmbedder
from indexing.ingesting.parts import Parts
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
from rag.pipeline import Limits, QuestionPipeline
from rag.ports import Chunker, ChunkStore, Embedder, Reranker, Retriever, Revisions, Tokenizer
from retrieval.hybrid import HybridRetriever
from retrieval.reranking import RerankingRetriever
from retrieval.versions import NewestFirstRetriever

MODELS_INSTALL = (
    "pip install torch==2.13.0 sentence-transformers "
    "--extra-index-url https://download.pytorch.org/whl/cpu"
)


SERVER_INSTALL = "pip install 'thrifty-rag[server]'"


@dataclass(frozen=True, slots=True)
class Application:
    """Everything that a door needs, ready to use."""

    settings: Settings
    pipeline: QuestionPipeline
    ingestion: IngestionPipeline
    manifest: Manifest
    state: Engine
    store: ChunkStore
    loader: SourceLoader
    answering: Answering
    batching: Batching

    async def close(self) -> None:
        """Write everything to disk and let go of it."""
        await self.batching.close()
        await self.answering.close()
        await self.loader.close()
        await self.store.close()
        self.state.dispose()


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
    chunker = StructuralChunker(tokenizer, chunk_tokens(settings, model_tokens))
    reranker = open_reranker(settings)
    state = open_state(settings.data_dir, settings.state_url)
    manifest = Manifest(state)
    store = open_store(settings, embedder)
    asking = RememberingEmbedder(BatchingEmbedder(embedder))
    retriever = _retriever(settings, asking, store, manifest, reranker)
    counter = TiktokenCounter()
    compressor = _compressor(settings, counter)
    answering = open_answering(settings, state, compressor, counter, asking)
    pipeline = QuestionPipeline(
        retriever,
        compressor,
        answering.generator,
        answering.baseline,
        _limits(settings),
        ledger=answering.ledger,
        reuse=open_reuse(settings, state, retriever, asking, manifest),
    )
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
        drop_answers=partial(drop_answers, open_entries(settings, state)),
        turns=Turns(partial(turn, state)),
    )
    return Application(
        settings=settings,
        pipeline=pipeline,
        ingestion=IngestionPipeline(parts),
        manifest=manifest,
        state=state,
        store=store,
        loader=loader,
        answering=answering,
        batching=open_batching(
            settings,
            state,
            retriever=retriever,
            compressor=compressor,
            counter=counter,
            revisions=manifest,
            answering=answering,
            limits=_limits(settings),
        ),
    )


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
    _require_models("RAG_EMBEDDING__MODEL")
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


def open_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name; None when they name none.

    Raises MissingExtraError and ModelError.
    """
    if settings.retrieval.reranker is None:
        return None
    _require_models("RAG_RETRIEVAL__RERANKER")
    from retrieval.cross_encoder import CrossEncoderReranker

    return CrossEncoderReranker(settings.retrieval.reranker)


def quoting_pipeline(
    settings: Settings,
    embedder: Embedder,
    store: ChunkStore,
    revisions: Revisions,
    reranker: Reranker | None,
) -> QuestionPipeline:
    """The path from question to quote by these settings, over parts that are open already.

    For trials: it calls no language model, and its answers are not recorded.
    """
    counter = TiktokenCounter()
    return QuestionPipeline(
        _retriever(settings, BatchingEmbedder(embedder), store, revisions, reranker),
        _compressor(settings, counter),
        quoting(settings),
        PremiumBaseline(
            counter, settings.baseline.model, settings.baseline.chunks, open_prices(settings)
        ),
        _limits(settings),
    )


def _compressor(settings: Settings, counter: TiktokenCounter) -> BudgetCompressor:
    return BudgetCompressor(counter, Usefulness.bundled(), settings.context.min_usefulness)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.answers.max_question_chars, settings.retrieval.chunks)


def _retriever(
    settings: Settings,
    embedder: Embedder,
    store: ChunkStore,
    revisions: Revisions,
    reranker: Reranker | None,
) -> Retriever:
    chosen = settings.retrieval
    hybrid = HybridRetriever(embedder, store, revisions, chosen.candidates, chosen.dense_share)
    if reranker is None:
        return NewestFirstRetriever(hybrid)
    # outermost, since a reranker gives versions of one text the same score
    return NewestFirstRetriever(RerankingRetriever(hybrid, reranker))


def _require_models(setting: str) -> None:
    if find_spec("sentence_transformers") is None:
        raise MissingExtraError(f"sentence-transformers, which {setting} needs,", MODELS_INSTALL)
