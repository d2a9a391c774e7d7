"""Hybrid retrieval: the fusion by hand, and what comes back for whom."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retrieval_fakes import QUESTION, OneVectorEmbedder, ScoredStore

from rag.errors import NotFoundError
from rag.ports import Retriever
from rag.types import Candidate, Hit, Passage
from retrieval.hybrid import HybridRetriever, fused_scores

BOTH_LEGS = [  # fused, with a dense share of .6: .54, .70, .26
    Candidate("a", 0.9, 0.0),
    Candidate("b", 0.5, 1.0),
    Candidate("c", 0.1, 0.5),
]


def retriever(store: ScoredStore, candidates: int = 60, dense_share: float = 0.6) -> Retriever:
    return HybridRetriever(OneVectorEmbedder(), store, store, candidates, dense_share)  # type: ignore[arg-type]


async def found(store: ScoredStore, k: int = 10) -> list[Hit]:
    return await retriever(store).retrieve(QUESTION, k)


def ids(hits: Sequence[Hit]) -> list[str]:
    return [one.chunk.chunk_id for one in hits]


class TestFusion:
    def test_by_hand(self) -> None:
        assert fused_scores(BOTH_LEGS, 0.6) == pytest.approx([0.54, 0.3 + 0.4, 0.06 + 0.2])

    @pytest.mark.parametrize(
        ("share", "expected"), [(1.0, [0.9, 0.5, 0.1]), (0.0, [0.0, 1.0, 0.5])]
    )
    def test_a_share_of_one_or_none_is_a_single_leg(
        self, share: float, expected: list[float]
    ) -> None:
        assert fused_scores(BOTH_LEGS, share) == pytest.approx(expected)

    def test_a_score_does_not_depend_on_what_else_was_found(self) -> None:
        together = fused_scores(BOTH_LEGS, 0.6)
        assert [fused_scores([one], 0.6)[0] for one in BOTH_LEGS] == together

    def test_where_nothing_is_alike_the_scores_are_low(self) -> None:
        assert fused_scores([Candidate("a", 0.1, 0.0), Candidate("b", 0.05, 0.1)], 0.6) == (
            pytest.approx([0.06, 0.07])
        )

    def test_a_cosine_below_0_counts_as_0(self) -> None:
        opposite = [Candidate("a", -0.9, 0.5), Candidate("b", 0.0, 0.5), Candidate("c", -1.0, 0.0)]
        assert fused_scores(opposite, 0.6) == pytest.approx([0.2, 0.2, 0.0])

    def test_all_there_is_of_both_is_one(self) -> None:
        assert fused_scores([Candidate("a", 1.0, 1.0)], 0.6) == pytest.approx([1.0])

    def test_none(self) -> None:
        assert fused_scores([], 0.6) == []

    @settings(max_examples=50)
    @given(
        st.lists(
            st.tuples(st.floats(-1, 1, width=32), st.floats(0, 1, width=32)),
            min_size=1,
            max_size=20,
        ),
        st.floats(0, 1),
    )
    def test_scores_are_0_to_1_and_follow_both_legs(
        self, scores: list[tuple[float, float]], share: float
    ) -> None:
        candidates = [Candidate(str(i), dense, sparse) for i, (dense, sparse) in enumerate(scores)]
        fused = fused_scores(candidates, share)
        assert all(-1e-9 <= score <= 1 + 1e-9 for score in fused)
        for one, its in zip(candidates, fused, strict=True):
            for other, others in zip(candidates, fused, strict=True):
                if one.dense_score >= other.dense_score and one.sparse_score >= other.sparse_score:
                    assert its >= others - 1e-9


class TestHybridRetriever:
    async def test_best_first_with_all_scores(self) -> None:
        hits = await found(ScoredStore(BOTH_LEGS))
        assert ids(hits) == ["b", "a", "c"]
        assert [hit.score for hit in hits] == pytest.approx([0.7, 0.54, 0.26])
        assert [(hit.dense_score, hit.sparse_score) for hit in hits] == [
            (0.5, 1.0),
            (0.9, 0.0),
            (0.1, 0.5),
        ]

    async def test_ties_break_by_id_however_the_store_gives_them(self) -> None:
        tied = [Candidate(name, 0.5, 0.2) for name in "dacbe"] + [Candidate("z", 0.9, 0.3)]
        for seed in range(5):
            shuffled = list(tied)
            random.Random(seed).shuffle(shuffled)
            assert ids(await found(ScoredStore(shuffled))) == ["z", "a", "b", "c", "d", "e"]
            assert ids(await found(ScoredStore(shuffled), k=3)) == ["z", "a", "b"]

    async def test_k_is_the_most_and_only_those_are_fetched(self) -> None:
        store = ScoredStore(BOTH_LEGS)
        assert ids(await found(store, k=2)) == ["b", "a"]
        assert store.fetched == ["b", "a"]

    async def test_fewer_than_k_is_no_error(self) -> None:
        assert len(await found(ScoredStore(BOTH_LEGS), k=200)) == 3

    async def test_an_empty_collection_is_not_found(self) -> None:
        with pytest.raises(NotFoundError) as caught:
            await found(ScoredStore([], chunks_in_collection=0))
        message = str(caught.value)
        assert "'help' holds no documents" in message
        assert "rag ingest PATH --collection help" in message

    async def test_a_filter_that_nothing_passes_gives_nothing(self) -> None:
        assert await found(ScoredStore([], chunks_in_collection=12)) == []

    async def test_chunks_that_went_since_the_search_are_left_out(self) -> None:
        hits = await found(ScoredStore(BOTH_LEGS, gone=["b"]))
        assert ids(hits) == ["a", "c"]
        assert [hit.score for hit in hits] == pytest.approx([0.54, 0.26])
        assert await found(ScoredStore(BOTH_LEGS, gone=["a", "b", "c"])) == []

    async def test_the_store_is_asked_once_for_both_legs(self) -> None:
        store = ScoredStore(BOTH_LEGS)
        embedder = OneVectorEmbedder()
        await HybridRetriever(embedder, store, store, 60, 0.6).retrieve(QUESTION, 5)  # type: ignore[arg-type]
        assert embedder.passages == [Passage(QUESTION.text, "question")]
        (query,) = store.queries
        assert query.vector.tolist() == pytest.approx([0.6, 0.8])
        assert (query.text, query.collection) == (QUESTION.text, "help")
        assert query.filters == {"lang": ("en",)}
        assert query.candidates == 60

    async def test_each_leg_gives_at_least_k(self) -> None:
        store = ScoredStore(BOTH_LEGS)
        await retriever(store, candidates=60).retrieve(QUESTION, 150)
        assert store.queries[0].candidates == 150

    async def test_sentence_scores_are_cosines_with_the_question(self) -> None:
        store = ScoredStore(
            [Candidate("a", 0.9, 1.0)], sentence_vectors=[(1, 0), (0, 1), (0.6, 0.8)]
        )
        (hit,) = await found(store)
        assert hit.sentence_scores == pytest.approx((0.6, 0.8, 1.0))
        assert all(isinstance(score, float) for score in hit.sentence_scores)

    async def test_a_chunk_without_sentences_has_no_sentence_scores(self) -> None:
        store = ScoredStore([Candidate("a", 0.9, 1.0)], sentence_vectors=())
        (hit,) = await found(store)
        assert hit.sentence_scores == ()


class TestRevisions:
    """A document that is being replaced is seen as it was or as it is, never as both."""

    async def test_chunks_of_another_revision_are_not_seen_and_others_take_their_places(
        self,
    ) -> None:
        store = ScoredStore(BOTH_LEGS)
        store.revisions = {"b": "r2"}
        assert ids(await found(store, k=2)) == ["a", "c"]
        assert len(store.queries) == 2  # it looked again: the new ones might have come meanwhile

    async def test_a_document_that_is_not_recorded_yet_is_not_seen(self) -> None:
        store = ScoredStore([*BOTH_LEGS, Candidate("unrecorded", 0.9, 0.9)])
        assert ids(await found(store)) == ["b", "a", "c"]

    async def test_a_collection_of_nothing_but_stale_chunks_is_empty_and_no_error(self) -> None:
        store = ScoredStore(BOTH_LEGS)
        store.revisions = dict.fromkeys("abc", "r0")
        assert await found(store) == []

    async def test_where_nothing_is_replaced_the_store_is_searched_once(self) -> None:
        store = ScoredStore(BOTH_LEGS)
        await found(store)
        assert len(store.queries) == 1
