"""A Retriever around a Retriever, with a reranker that a test decides."""

from __future__ import annotations

import pytest
from retrieval_fakes import QUESTION, ListRetriever, TableReranker, hit

from rag.ports import Reranker, Retriever
from rag.types import Hit, Question
from retrieval.reranking import RerankingRetriever


def reranking(inner: ListRetriever, scores: dict[str, float], depth: int = 50) -> Retriever:
    reranker: Reranker = TableReranker(scores)
    return RerankingRetriever(inner, reranker, depth)


async def test_the_reranker_decides_order_and_score() -> None:
    inner = ListRetriever([hit("a", 0.9), hit("b", 0.5), hit("c", 0.1)])
    hits = await reranking(inner, {"a": 0.2, "b": 0.4, "c": 0.8}).retrieve(QUESTION, 10)
    assert [(one.chunk.chunk_id, one.score) for one in hits] == [("c", 0.8), ("b", 0.4), ("a", 0.2)]


async def test_all_but_the_score_stays() -> None:
    inner = ListRetriever([hit("a", 0.9)])
    (only,) = await reranking(inner, {"a": 0.2}).retrieve(QUESTION, 10)
    before = hit("a", 0.9)
    assert (only.chunk, only.dense_score, only.sparse_score, only.sentence_scores) == (
        before.chunk,
        before.dense_score,
        before.sparse_score,
        before.sentence_scores,
    )


async def test_ties_break_by_id() -> None:
    inner = ListRetriever([hit("c"), hit("a"), hit("b")])
    hits = await reranking(inner, {"a": 0.5, "b": 0.5, "c": 0.5}).retrieve(QUESTION, 2)
    assert [one.chunk.chunk_id for one in hits] == ["a", "b"]


async def test_it_looks_deeper_than_k() -> None:
    inner = ListRetriever([hit("a"), hit("b"), hit("c")])
    hits = await reranking(inner, {"a": 0.1, "b": 0.2, "c": 0.3}, depth=3).retrieve(QUESTION, 1)
    assert [one.chunk.chunk_id for one in hits] == ["c"]
    assert inner.asked == [3]


async def test_a_k_beyond_the_depth_is_kept() -> None:
    inner = ListRetriever([hit("a"), hit("b"), hit("c")])
    hits = await reranking(inner, {"a": 0.1, "b": 0.2, "c": 0.3}, depth=1).retrieve(QUESTION, 3)
    assert len(hits) == 3
    assert inner.asked == [3]


async def test_nothing_found_is_nothing() -> None:
    assert await reranking(ListRetriever([]), {}).retrieve(QUESTION, 5) == []


async def test_a_reranker_that_loses_a_hit_is_an_error_and_not_a_shorter_list() -> None:
    class Losing:
        async def rerank(self, question: Question, hits: list[Hit]) -> list[float]:
            return [0.5]

    retriever = RerankingRetriever(ListRetriever([hit("a"), hit("b")]), Losing())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="shorter"):
        await retriever.retrieve(QUESTION, 5)
