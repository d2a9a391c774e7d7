"""An application without a model: the real pipelines and manifest around fakes of each port."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fakes import FileLoader, ThreadReader, WordTokenizer
from sqlalchemy import Engine

from api.assembly.conversing import PseudonymousAnswerer, Pseudonyms
from api.assembly.reusing import open_pinned
from api.http.app import create_app
from api.settings import Settings
from api.state.opening import open_state
from generation.confidence.judging import Judge
from generation.money.budgets import Walls
from generation.money.ledger import SqlLedger
from generation.reuse.pinned import PinnedAnswers
from indexing.identity import revision_of
from indexing.ingesting.parts import Parts
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from rag.errors import NotFoundError
from rag.pipeline import Limits, QuestionPipeline
from rag.ports import Listener
from rag.types import (
    Candidate,
    Chunk,
    Citation,
    Context,
    Document,
    EmbeddedChunk,
    Embedding,
    Generation,
    Hit,
    Passage,
    Piece,
    Question,
    Span,
    StoredChunk,
    StoreQuery,
    Tier,
)

BASE_URL = "http://127.0.0.1"
TEXTS = {
    "refunds": "Refunds take 14 days. They go to the card that paid.",
    "shipping": "Shipping is free above 50 euros. It takes 3 days.",
}


@dataclass(frozen=True)
class FakeAnswering:
    """The fields of `Answering` that doors look at; the ledger is the real one."""

    ledger: SqlLedger
    walls: Walls
    judge: Judge = field(default_factory=lambda: Judge({}))
    resting: frozenset[Tier] = frozenset()

    def rests(self, tier: Tier) -> bool:
        return tier in self.resting

    async def warm_up(self) -> None:
        pass

    async def close(self) -> None:
        self.ledger.close()


@dataclass(frozen=True)
class FakeApplication:
    """The fields of `api.build.Application`."""

    settings: Settings
    pipeline: PseudonymousAnswerer
    ingestion: IngestionPipeline
    manifest: Manifest
    state: Engine
    answering: FakeAnswering
    pinned: PinnedAnswers
    experimenting: None = None
    tracing: None = None

    async def close(self) -> None:
        await self.answering.close()
        self.state.dispose()


class WholeDocumentChunker:
    """One chunk for each document."""

    fingerprint = "whole"

    def chunk(self, document: Document) -> list[Chunk]:
        revision = revision_of(document, self.fingerprint)
        return [
            Chunk(
                chunk_id=f"{document.collection}/{document.document_id}/{revision}",
                collection=document.collection,
                document_id=document.document_id,
                version=document.version,
                revision=revision,
                content=document.version,
                title=document.title,
                sources=document.sources,
                headings=(),
                prefix=document.title,
                start=0,
                end=len(document.text),
                text=document.text,
                sentences=(Span(0, len(document.text)),),
                page=1 if document.page_starts else None,
                metadata=document.metadata,
            )
        ]


class ConstantEmbedder:
    """The same vector for everything; waits for `gate` where there is one."""

    fingerprint = "constant"
    dimension = 2

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self._gate = gate

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        if self._gate is not None and passages:
            await self._gate.wait()
        vector = np.array([1.0, 0.0], dtype=np.float32)
        return [Embedding(vector, np.tile(vector, (len(p.spans), 1))) for p in passages]


class HeldEmbedder(ConstantEmbedder):
    """Waits as long as a file is there: a gate for processes."""

    def __init__(self, hold: Path) -> None:
        super().__init__()
        self._hold = hold

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        while self._hold.exists():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await super().embed(passages)


class MemoryStore:
    """A `ChunkStore` in a dictionary."""

    def __init__(self) -> None:
        self.chunks: dict[str, Chunk] = {}

    async def search(self, query: StoreQuery) -> list[Candidate]:
        found = [one for one in self.chunks.values() if one.collection == query.collection]
        return [Candidate(one.chunk_id, 1.0, 0.0) for one in found]

    async def fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        vectors = np.zeros((1, 2), dtype=np.float32)
        return [StoredChunk(self.chunks[one], vectors) for one in chunk_ids if one in self.chunks]

    async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self.chunks.update({one.chunk.chunk_id: one.chunk for one in chunks})

    async def describe(self, document: Document) -> None:
        for chunk_id in await self.chunk_ids(document.collection, document.document_id):
            self.chunks[chunk_id] = replace(
                self.chunks[chunk_id],
                version=document.version,
                sources=document.sources,
                metadata=document.metadata,
            )

    async def delete(self, collection: str, document_id: str) -> None:
        await self.delete_stale(collection, document_id, "")

    async def delete_stale(self, collection: str, document_id: str, revision: str) -> None:
        for chunk_id in await self.chunk_ids(collection, document_id):
            if self.chunks[chunk_id].revision != revision:
                del self.chunks[chunk_id]

    async def embeddings(self, collection: str, contents: Sequence[str]) -> dict[str, Embedding]:
        return {}

    async def scan(self, after: str | None, limit: int) -> list[EmbeddedChunk]:
        raise NotImplementedError

    async def chunk_ids(self, collection: str, document_id: str) -> list[str]:
        return sorted(
            chunk.chunk_id
            for chunk in self.chunks.values()
            if (chunk.collection, chunk.document_id) == (collection, document_id)
        )

    async def count(self, collection: str) -> int:
        return sum(chunk.collection == collection for chunk in self.chunks.values())

    async def optimize(self) -> None:
        pass

    async def close(self) -> None:
        pass


class WordRetriever:
    """Chunks by the share of the question's words that they hold."""

    def __init__(self, chunks: Callable[[], Sequence[Chunk]]) -> None:
        self._chunks = chunks

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        chunks = [one for one in self._chunks() if one.collection == question.collection]
        if not chunks:
            raise NotFoundError(f"no collection {question.collection!r}: ingest into it first")
        words = set(re.findall(r"\w+", question.text.lower()))
        hits = []
        for chunk in chunks:
            fields: dict[str, Any] = {"document_id": chunk.document_id, "source": chunk.source}
            fields |= chunk.metadata
            if all(fields.get(name) in allowed for name, allowed in question.filters.items()):
                score = len(words & set(re.findall(r"\w+", chunk.text.lower()))) / max(
                    1, len(words)
                )
                hits.append(Hit(chunk, score, 0.0, 0.0, (score,)))
        return sorted(hits, key=lambda hit: (-hit.score, hit.chunk.chunk_id))[:k]


class FirstCompressor:
    """The best hit whole; a word is a token."""

    def compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        if not hits:
            return Context((), "", 0)
        chunk = hits[0].chunk
        piece = Piece(hits[0], chunk.start, chunk.end)
        return Context((piece,), chunk.text, len(chunk.text.split()))


class QuotingGenerator:
    """Quotes the context, or abstains when no word of the question is in it."""

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        if not hits or hits[0].score == 0:
            text = "The documents do not answer this."
            return Generation(text, (), 0.1, True, "extractive", "fake")
        chunk = hits[0].chunk
        quote = chunk.text.split(".")[0] + "."
        citation = Citation(
            1, chunk.document_id, chunk.title, chunk.source, chunk.page, 0, len(quote), quote
        )
        return Generation(f"{quote} [1]", (citation,), 0.87, False, "extractive", "fake")


class FixedBaseline:
    """Always the same dollars, or None for unknown."""

    def __init__(self, usd: Decimal | None = Decimal("0.00431")) -> None:
        self._usd = usd

    def cost_usd(self, question: Question, hits: Sequence[Hit], answer: str) -> Decimal | None:
        return self._usd


def fake_application(
    settings: Settings,
    *,
    retriever: Any = None,
    generator: Any = None,
    baseline: Any = None,
    embedder: Any = None,
    walls: Walls | None = None,
) -> FakeApplication:
    """An application over a data folder; each part can be another one."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    engine = open_state(settings.data_dir, settings.state_url)
    manifest = Manifest(engine)
    store = MemoryStore()
    for record in manifest.documents(None):  # what an earlier process indexed
        document = manifest.document(record.collection, record.document_id)
        for chunk in WholeDocumentChunker().chunk(document):
            store.chunks[chunk.chunk_id] = chunk
    answering = FakeAnswering(SqlLedger(engine, walls), walls or Walls())
    return FakeApplication(
        settings=settings,
        pipeline=PseudonymousAnswerer(
            QuestionPipeline(
                retriever or WordRetriever(lambda: list(store.chunks.values())),
                FirstCompressor(),
                generator or QuotingGenerator(),
                baseline or FixedBaseline(),
                Limits(
                    settings.answers.max_question_chars,
                    settings.retrieval.chunks,
                ),
                ledger=answering.ledger,
            ),
            Pseudonyms(engine),
        ),
        ingestion=IngestionPipeline(
            Parts(
                reader=ThreadReader(),
                loader=FileLoader(ThreadReader()),
                chunker=WholeDocumentChunker(),
                tokenizer=WordTokenizer(),
                embedder=embedder or ConstantEmbedder(),
                store=store,
                manifest=manifest,
                quotes=Quotes(engine),
            )
        ),
        manifest=manifest,
        state=engine,
        answering=answering,
        pinned=open_pinned(settings, engine, embedder or ConstantEmbedder(), manifest),
    )


def settings_in(folder: Path, **groups: Any) -> Settings:
    """Settings with their data in `folder`."""
    return Settings(data_dir=folder / "data", **groups)


def client_of(application: FakeApplication, **options: Any) -> httpx.AsyncClient:
    """A client of the service around `application`."""
    app = create_app(application, token="secret")  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=BASE_URL, **options)


async def ingest(application: FakeApplication, **texts: str) -> None:
    """Put texts, by their ids, into the default collection."""
    from api.doors.ingesting import document_from
    from api.models.inputs import TextIn

    documents = [
        document_from(TextIn(id=name, text=text), "default") for name, text in texts.items()
    ]
    await application.ingestion.ingest_documents(documents, "default")


MakeApplication = Callable[..., FakeApplication]
MakeClient = Callable[..., Awaitable[httpx.AsyncClient]]


async def finish(client: httpx.AsyncClient, submitted: httpx.Response) -> dict[str, Any]:
    """The job that was submitted, once it is finished."""
    assert submitted.status_code == 202, submitted.text
    job: dict[str, Any] = submitted.json()
    while job["state"] in ("queued", "running"):
        await asyncio.sleep(0.005)
        job = (await client.get(f"/v1/jobs/{job['id']}")).json()
    return job
