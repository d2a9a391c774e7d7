"""The path from question to answer by some settings, over open parts: a room of `build`."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy import Engine

from api.assembly.answering import Answering, WatchModel, open_answering, open_prices, quoting
from api.assembly.conversing import open_conversations
from api.assembly.deciding import Deciding, open_deciding
from api.assembly.reusing import open_reuse
from api.settings import Settings
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from generation.distilling.learning import LessonWriter
from generation.money.baseline import PremiumBaseline
from generation.money.ledger import SqlLedger
from generation.overview.asked import AskedQuestions, QuestionKeepingLedger
from generation.reuse.pinned import PinnedAnswers
from indexing.embedding.batching import BatchingEmbedder
from indexing.manifest.manifest import Manifest
from rag.errors import MissingExtraError
from rag.pipeline import Limits, QuestionPipeline
from rag.ports import (
    ChunkStore,
    Compressor,
    Embedder,
    Ledger,
    Reranker,
    Retriever,
    Revisions,
    TokenCounter,
)
from retrieval.hybrid import HybridRetriever
from retrieval.remembering import RememberingRetriever
from retrieval.reranking import RerankingRetriever
from retrieval.versions import NewestFirstRetriever

MODELS_INSTALL = (
    "pip install torch==2.13.0 sentence-transformers "
    "--extra-index-url https://download.pytorch.org/whl/cpu"
)


@dataclass(frozen=True, slots=True)
class Shared:
    """What every path over one index shares. `embedder` is that of questions; `watch_model` puts
    around every model what looks on.
    """

    state: Engine
    store: ChunkStore
    manifest: Manifest
    embedder: Embedder
    counter: TokenCounter
    ledger: SqlLedger
    learning: LessonWriter
    pinned: PinnedAnswers
    watch_model: WatchModel


@dataclass(frozen=True, slots=True)
class Path:
    """A path, and the parts of it that others use too."""

    pipeline: QuestionPipeline
    retriever: Retriever
    compressor: Compressor
    answering: Answering
    deciding: Deciding


def open_path(settings: Settings, shared: Shared, reranker: Reranker | None) -> Path:
    """The path by these settings. Raises MissingExtraError and SettingsError."""
    retriever = RememberingRetriever(
        _retriever(settings, shared.embedder, shared.store, shared.manifest, reranker),
        shared.manifest,
    )
    compressor = _compressor(settings, shared.counter)
    deciding = open_deciding(settings, shared.embedder, shared.state)
    answering = open_answering(
        settings,
        shared.ledger,
        compressor,
        shared.counter,
        deciding,
        learning=shared.learning,
        watch_model=shared.watch_model,
    )
    pipeline = QuestionPipeline(
        retriever,
        compressor,
        answering.generator,
        answering.baseline,
        limits_of(settings),
        ledger=_ledger(settings, shared),
        reuse=open_reuse(
            settings,
            shared.state,
            retriever,
            shared.embedder,
            shared.manifest,
            pinned=shared.pinned,
            price_of_error=deciding.price_of_error,
        ),
        conversations=open_conversations(settings, shared.state, answering.local),
    )
    return Path(pipeline, retriever, compressor, answering, deciding)


def _ledger(settings: Settings, shared: Shared) -> Ledger:
    """What answers are recorded in, their questions beside them where that is wanted."""
    chosen = settings.dashboard
    if not chosen.keep_questions:
        return shared.ledger
    return QuestionKeepingLedger(shared.ledger, AskedQuestions(shared.state), chosen.keep_days)


def open_reranker(settings: Settings) -> Reranker | None:
    """The reranker that the settings name; None when they name none.

    Raises MissingExtraError and ModelError.
    """
    if settings.retrieval.reranker is None:
        return None
    require_models("RAG_RETRIEVAL__RERANKER")
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
        limits_of(settings),
    )


def _compressor(settings: Settings, counter: TokenCounter) -> BudgetCompressor:
    return BudgetCompressor(counter, Usefulness.bundled(), settings.context.min_usefulness)


def limits_of(settings: Settings) -> Limits:
    """What a question may ask for."""
    return Limits(
        settings.answers.max_question_chars,
        settings.retrieval.chunks,
        settings.context.max_tokens,
    )


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


def require_models(setting: str) -> None:
    """Raises MissingExtraError where what `setting` needs is not installed."""
    if find_spec("sentence_transformers") is None:
        raise MissingExtraError(f"sentence-transformers, which {setting} needs,", MODELS_INSTALL)
