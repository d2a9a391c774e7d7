"""Hybrid retrieval: dense and sparse scores of one store query, fused by convex combination.

Bruch et al. (2210.11934) found the convex combination of normalised scores better than rank
fusion. Each leg is normalised between the least and the greatest score found for the question.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rag.errors import NotFoundError
from rag.ports import ChunkStore, Embedder
from rag.types import Candidate, Hit, Passage, Question, StoredChunk, StoreQuery, Vector


class HybridRetriever:
    """A Retriever over a store. `dense_share`, 0 to 1, is the weight of the dense leg.

    Each leg contributes its best `candidates`, or `k` if that is more.
    """

    def __init__(
        self, embedder: Embedder, store: ChunkStore, candidates: int, dense_share: float
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._candidates = candidates
        self._dense_share = dense_share

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits, best first, `score` 0 to 1; ties break by chunk id.

        Raises NotFoundError when the collection holds nothing at all.
        """
        [embedding] = await self._embedder.embed([Passage(question.text, "question")])
        query = StoreQuery(
            vector=embedding.vector,
            text=question.text,
            collection=question.collection,
            filters=question.filters,
            candidates=max(self._candidates, k),
        )
        candidates = await self._store.search(query)
        if not candidates and not await self._store.count(question.collection):
            raise NotFoundError(
                f"the collection {question.collection!r} holds no documents: fill it with "
                f"`rag ingest PATH --collection {question.collection}`, or ask another"
            )
        scores = fused_scores(candidates, self._dense_share)
        best = sorted(range(len(candidates)), key=lambda i: (-scores[i], candidates[i].chunk_id))[
            :k
        ]
        chunks = await self._store.fetch([candidates[i].chunk_id for i in best])
        found = {stored.chunk.chunk_id: stored for stored in chunks}
        return [
            _hit(found[candidates[i].chunk_id], candidates[i], scores[i], embedding.vector)
            for i in best
            if candidates[i].chunk_id in found  # gone since the search
        ]


def fused_scores(candidates: Sequence[Candidate], dense_share: float) -> list[float]:
    """The convex combination of both legs' normalised scores, each 0 to 1."""
    dense = _normalised(np.array([c.dense_score for c in candidates], np.float64))
    sparse = _normalised(np.array([c.sparse_score for c in candidates], np.float64))
    fused: list[float] = (dense_share * dense + (1 - dense_share) * sparse).tolist()
    return fused


def _normalised(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Least to greatest as 0 to 1; where they are equal, all 1, or all 0 if none is above 0."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.full_like(scores, high > 0)


def _hit(stored: StoredChunk, candidate: Candidate, score: float, question: Vector) -> Hit:
    sentence_scores: tuple[float, ...] = ()
    if len(stored.sentence_vectors):
        sentence_scores = tuple((stored.sentence_vectors @ question).tolist())
    return Hit(stored.chunk, score, candidate.dense_score, candidate.sparse_score, sentence_scores)
