"""Reranks what another retriever found: a Retriever around a Retriever."""

from __future__ import annotations

from dataclasses import replace

from rag.ports import Reranker, Retriever
from rag.types import Hit, Question


class RerankingRetriever:
    """Takes the best `depth` hits of the inner retriever, or `k` if more, and orders them anew."""

    def __init__(self, inner: Retriever, reranker: Reranker, depth: int = 50) -> None:
        self._inner = inner
        self._reranker = reranker
        self._depth = depth

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits, best first, `score` from the reranker; ties break by chunk id."""
        hits = await self._inner.retrieve(question, max(k, self._depth))
        scores = await self._reranker.rerank(question, hits)
        scored = [replace(hit, score=score) for hit, score in zip(hits, scores, strict=True)]
        return sorted(scored, key=lambda hit: (-hit.score, hit.chunk.chunk_id))[:k]
