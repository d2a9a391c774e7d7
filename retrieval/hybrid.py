"""Hybrid retrieval: dense and sparse scores of one store query, fused by convex combination.

Bruch et al. (2210.11934) found the convex combination of normalised scores better than rank
fusion, and normalisation by the bounds of a score as good as by what was found. Both legs come with
bounds of their own, so a score means the same for every question: a low one says that the
collection holds nothing like it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rag.errors import NotFoundError
from rag.ports import ChunkSearcher, Embedder, Revisions
from rag.types import Candidate, Hit, Passage, Question, StoredChunk, StoreQuery, Vector


class HybridRetriever:
    """A Retriever over a store. `dense_share`, 0 to 1, is the weight of the dense leg.

    Each leg contributes its best `candidates`, or `k` if that is more. Chunks of a revision that
    is not the current one are never given: a document that is being replaced is seen as it was,
    and then as it is.
    """

    def __init__(
        self,
        embedder: Embedder,
        store: ChunkSearcher,
        revisions: Revisions,
        candidates: int,
        dense_share: float,
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._revisions = revisions
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
        hits, is_whole = await self._search(query, k)
        if not is_whole:  # something is being replaced: look anew, and at all there is
            hits, _ = await self._search(query, 2 * query.candidates)
        if not hits and not await self._revisions.holds(question.collection):
            raise NotFoundError(
                f"the collection {question.collection!r} holds no documents: fill it with "
                f"`rag ingest PATH --collection {question.collection}`, or ask another"
            )
        return hits[:k]

    async def _search(self, query: StoreQuery, k: int) -> tuple[list[Hit], bool]:
        """The best `k` hits, and whether none was left out since it is gone or not current."""
        candidates = await self._store.search(query)
        scores = fused_scores(candidates, self._dense_share)
        best = sorted(range(len(candidates)), key=lambda i: (-scores[i], candidates[i].chunk_id))
        ids = [candidates[i].chunk_id for i in best[:k]]
        found = {stored.chunk.chunk_id: stored for stored in await self._store.fetch(ids)}
        documents = sorted({stored.chunk.document_id for stored in found.values()})
        revisions = await self._revisions.current(query.collection, documents) if found else {}
        hits = [
            _hit(stored, candidates[i], scores[i], query.vector)
            for i in best[:k]
            if (stored := found.get(candidates[i].chunk_id)) is not None
            and revisions.get(stored.chunk.document_id) == stored.chunk.revision
        ]
        return hits, len(hits) == len(ids)


def fused_scores(candidates: Sequence[Candidate], dense_share: float) -> list[float]:
    """The convex combination of both scores, 0 to 1; a cosine below 0 counts as 0."""
    return [
        dense_share * max(candidate.dense_score, 0.0) + (1 - dense_share) * candidate.sparse_score
        for candidate in candidates
    ]


def _hit(stored: StoredChunk, candidate: Candidate, score: float, question: Vector) -> Hit:
    sentence_scores: tuple[float, ...] = ()
    if len(stored.sentence_vectors):
        sentence_scores = tuple((stored.sentence_vectors @ question).tolist())
    return Hit(stored.chunk, score, candidate.dense_score, candidate.sparse_score, sentence_scores)
