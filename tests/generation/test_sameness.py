"""The score of two questions: moved by its signals as it should be, and good on pairs of people."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np
import pytest
from fakes import FindData

from benchmarks.reuse_pairs import PRECISIONS, measure
from generation.reuse.sameness import Background, Sameness, signals_of
from indexing.embedding.packaged import PackagedEmbedder
from rag.types import Passage

RECORD = json.loads(files("generation.reuse").joinpath("sameness.json").read_text("utf-8"))
BUNDLED = Sameness.bundled()
KEPT = "How do I reset my password?"
ASKED = "How can I change my password?"


class TestScore:
    def test_there_is_a_weight_for_each_signal_and_no_other(self) -> None:
        assert set(RECORD["weights"]) == set(signals_of(KEPT, ASKED, 0.5, 0.0))

    def test_it_says_what_it_was_fitted_on_and_nothing_of_what_it_is_tested_on(self) -> None:
        assert len(RECORD["fitted_on"]) >= 3
        assert "covid" not in json.dumps(RECORD)

    @pytest.mark.parametrize("cosine", [-1.0, 0.0, 0.5, 1.0])
    def test_it_is_a_chance(self, cosine: float) -> None:
        assert 0 < BUNDLED.score(KEPT, ASKED, cosine) < 1

    def test_nearer_is_likelier(self) -> None:
        assert BUNDLED.score(KEPT, ASKED, 0.9) > BUNDLED.score(KEPT, ASKED, 0.6)

    def test_a_near_rival_makes_it_less_likely(self) -> None:
        assert BUNDLED.score(KEPT, ASKED, 0.8, rival=0.75) < BUNDLED.score(KEPT, ASKED, 0.8)

    def test_words_in_common_make_it_likelier(self) -> None:
        assert BUNDLED.score(KEPT, KEPT, 0.8) > BUNDLED.score(KEPT, "Where is Rome?", 0.8)

    def test_the_same_question_is_above_the_threshold_and_another_is_not(self) -> None:
        assert BUNDLED.score(KEPT, KEPT, 1.0) > BUNDLED.threshold
        assert BUNDLED.score(KEPT, "Where is Rome?", 0.2) < BUNDLED.threshold


class TestBackground:
    def test_without_questions_the_cosine_is_the_plain_one(self) -> None:
        vectors = _unit([[1.0, 0.0], [0.6, 0.8]])
        background = Background.of(np.empty((0, 2), np.float32))
        assert background.cosines(vectors[:1], vectors[1]) == pytest.approx(0.6)

    def test_one_question_is_no_topic_of_its_own(self) -> None:
        vectors = _unit([[1.0, 0.0]])
        background = Background.of(vectors)
        assert background.cosines(vectors, vectors[0]) == pytest.approx(1.0)

    def test_what_all_have_in_common_counts_for_nothing(self) -> None:
        vectors = _unit([[10.0, 1.0, 0.0], [10.0, 0.0, 1.0]] * 100)
        background = Background.of(vectors)
        assert float(vectors[0] @ vectors[1]) > 0.98
        assert background.cosines(vectors[:1], vectors[1])[0] < 0.5

    def test_it_leaves_unit_vectors_also_of_the_mean_itself(self) -> None:
        vectors = _unit([[1.0, 0.0]] * 1_000)
        background = Background.of(vectors)
        assert np.isfinite(background.centred(background.mean)).all()
        assert np.linalg.norm(background.centred(vectors), axis=1) == pytest.approx(1.0)

    async def test_the_topic_of_real_questions_comes_off(self, embedder: PackagedEmbedder) -> None:
        topic = [f"Does the scanner {what}?" for what in ("print", "copy", "fax", "staple", "fold")]
        asked = ["How is the scanner cleaned?", "Which paper does the scanner take?"]
        embedded = await embedder.embed([Passage(text, "question") for text in (*topic, *asked)])
        vectors = np.array([one.vector for one in embedded])
        background = Background.of(vectors)
        plain = float(vectors[-2] @ vectors[-1])
        assert background.cosines(vectors[-2:-1], vectors[-1])[0] < plain - 0.1


class TestPairsOfPeople:
    async def test_recall_is_far_above_that_of_a_cosine(self, find_data: FindData) -> None:
        data = find_data("covid_question_similarity").parent
        found = await measure(data, "en")
        recall = _by_precision(found, "ours: score and differences")
        peer = _by_precision(found, "cosine threshold")
        assert recall[0.99] >= 0.70 > peer[0.99]
        assert recall[0.97] >= 0.80 > peer[0.97]
        assert recall[0.95] >= 0.86 > peer[0.95]


def _by_precision(found: dict[str, Any], method: str) -> dict[float, float]:
    return dict(zip(PRECISIONS, found["recall_at_precision"][method], strict=True))


def _unit(rows: list[list[float]]) -> np.ndarray:
    vectors = np.array(rows, np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
