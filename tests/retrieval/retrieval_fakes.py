"""A store of a few chunks with scores that a test gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rag.types import (
    Candidate,
    Chunk,
    Embedding,
    Hit,
    Passage,
    Question,
    Span,
    StoredChunk,
    StoreQuery,
)

QUESTION = Question("How long do refunds take?", "help", {"lang": ("en",)})


def chunk(
    chunk_id: str,
    text: str = "Refunds take five days.",
    collection: str = "help",
    revision: str = "r1",
) -> Chunk:
    return Chunk(
        chunk_id=chunk_id,
        collection=collection,
        document_id=f"doc-{chunk_id}",
        version="v1",
        title="Refunds",
        revision=revision,
        content=f"content-{chunk_id}",
        sources=(f"{chunk_id}.md",),
        headings=(),
        prefix="Refunds",
        start=0,
        end=len(text),
        text=text,
        sentences=(Span(0, len(text)),),
    )


def hit(chunk_id: str, score: float = 0.5, text: str = "Refunds take five days.") -> Hit:
    return Hit(chunk(chunk_id, text), score, 0.5, 1.0, (0.5,))


class OneVectorEmbedder:
    """The same vector for everything; `passages` is what it was given."""

    fingerprint = "one"
    dimension = 2

    def __init__(self, vector: Sequence[float] = (0.6, 0.8)) -> None:
        self.passages: list[Passage] = []
        self._vector = np.array(vector, np.float32)

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        self.passages.extend(passages)
        return [Embedding(self._vector, np.zeros((0, 2), np.float32)) for _ in passages]


class ScoredStore:
    """Finds `candidates`, whatever is asked; knows the chunks that `gone` does not name.

    It is its own Revisions: of every document, `r1` is the current one; chunks have `revisions`.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        gone: Sequence[str] = (),
        chunks_in_collection: int | None = None,
        sentence_vectors: Sequence[Sequence[float]] = ((1.0, 0.0),),
    ) -> None:
        self.queries: list[StoreQuery] = []
        self.fetched: list[str] = []
        self._candidates = list(candidates)
        self._gone = set(gone)
        self._count = len(candidates) if chunks_in_collection is None else chunks_in_collection
        self.revisions: dict[str, str] = {}
        self._vectors = np.array(sentence_vectors, np.float32)

    async def search(self, query: StoreQuery) -> list[Candidate]:
        self.queries.append(query)
        return self._candidates

    async def fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        self.fetched = list(chunk_ids)
        return [
            StoredChunk(chunk(i, revision=self.revisions.get(i, "r1")), self._vectors)
            for i in chunk_ids
            if i not in self._gone
        ]

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        return {name: "r1" for name in document_ids if name.removeprefix("doc-") != "unrecorded"}

    async def holds(self, collection: str) -> bool:
        return self._count > 0


class ListRetriever:
    """A Retriever that gives the first `k` of `hits`."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self.asked: list[int] = []
        self._hits = list(hits)

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        self.asked.append(k)
        return self._hits[:k]


class TableReranker:
    """A Reranker that looks the score up by chunk id."""

    def __init__(self, scores: dict[str, float]) -> None:
        self._scores = scores

    async def rerank(self, question: Question, hits: Sequence[Hit]) -> list[float]:
        return [self._scores[one.chunk.chunk_id] for one in hits]
