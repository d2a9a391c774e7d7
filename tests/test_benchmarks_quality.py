"""The benchmarks of retrieval and of chunking: their arithmetic, and a quick run of each."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chunking_spans import (
    BUDGETS,
    FILLED,
    OURS,
    WHOLE,
    Comparison,
    Evidence,
    places_of,
    search_all,
    sent_whole,
    share_found,
)
from benchmarks.embedding_speed import load
from benchmarks.langchain_chunks import PEER_PYTHON, GivenCuts
from benchmarks.retrieval import (
    BASELINES,
    FUSED,
    against_the_best,
    bm25_scores,
    convex,
    difference,
    rank_fusion,
    rankings,
    shortened,
    summary,
    with_equal_weights,
)
from evaluation.questions import Place
from rag.types import Chunk, Document, Hit

ROOT = Path(__file__).resolve().parents[1]
SETS = ("scifact", "anthropic_docs_rag", "clapnq", "nq_open")
TOPICS = ("glaciers", "violins", "volcanoes", "tea", "bridges", "whales")


class WordCounter:
    """A TokenCounter that a person can check."""

    def count(self, text: str) -> int:
        return len(text.split())


def document(text: str) -> Document:
    return Document("c", "d", "v", "", text, ("d",))


def hits_of(text: str, cuts: Sequence[tuple[int, int]]) -> list[Hit]:
    chunks: list[Chunk] = GivenCuts("cuts", {"d": cuts}).chunk(document(text))
    return [Hit(chunk, 1.0, 1.0, 1.0, ()) for chunk in chunks]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Small question sets in the form of the real ones; each question has one document."""
    for name in SETS:
        folder = tmp_path / name
        folder.mkdir()
        rows = [
            {"id": topic, "title": topic, "text": f"All about {topic}. They are worth a visit."}
            for topic in TOPICS
        ]
        asked = [{"id": f"q-{topic}", "text": f"Where can I see {topic}?"} for topic in TOPICS]
        unanswerable = {"id": "q-none", "text": "Who knows?"}
        (folder / "corpus.jsonl").write_text("\n".join(map(json.dumps, rows)))
        (folder / "queries.jsonl").write_text("\n".join(map(json.dumps, [*asked, unanswerable])))
        judged = "".join(f"q-{topic}\t{topic}\t1\n" for topic in TOPICS)
        (folder / "qrels.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return tmp_path


def test_rank_fusion_takes_the_sum_of_reciprocal_ranks() -> None:
    legs = np.array([[3.0, 2.0, 1.0]]), np.array([[0.1, 0.9, 0.5]])
    expected = [1 / 61 + 1 / 63, 1 / 62 + 1 / 61, 1 / 63 + 1 / 62]
    assert rank_fusion(legs)[0] == pytest.approx(expected)


def test_a_document_behind_the_fused_ones_gets_nothing() -> None:
    scores = np.arange(FUSED + 5, dtype=float)[None, ::-1]
    assert np.count_nonzero(rank_fusion([scores])) == FUSED
    assert convex([scores])[0, -1] == 0


def test_the_convex_combination_scales_each_leg_first() -> None:
    legs = np.array([[10.0, 5.0, 0.0]]), np.array([[0.0, 0.2, 0.1]])
    assert convex(legs)[0] == pytest.approx([0.5, 0.75, 0.25])


def test_a_leg_that_finds_nothing_leaves_the_other_leg_alone() -> None:
    legs = np.array([[1.0, 0.0, 0.5]]), np.zeros((1, 3))
    assert rankings(convex(legs), ["a", "b", "c"]) == [["a", "c", "b"]]


def test_bm25_stems_and_drops_stop_words() -> None:
    documents = ["The cats were running home.", "Of the house and its garden.", "Rain in May."]
    [scores] = bm25_scores(documents, ["where does the cat run"])
    assert scores[0] > 0
    assert scores[1] == scores[2] == 0


def test_a_shortened_set_keeps_the_gold_of_its_questions(data: Path) -> None:
    short = shortened(load(data, "clapnq"), seed=1)
    assert set(short.questions) == {f"q-{topic}" for topic in TOPICS}, "one has no document"
    kept = {document.document_id for document in short.documents}
    assert all(set(grades) <= kept for grades in short.grades.values())


def test_every_set_has_the_same_weight_in_the_mean() -> None:
    few, many = {OURS: [1.0]}, {OURS: [0.0, 0.0, 0.5, 0.5]}
    assert statistics.mean(with_equal_weights([few, many])[OURS]) == pytest.approx(0.625)


def test_ours_is_compared_with_the_best_baseline() -> None:
    scores = {name: [0.1] * 20 for name in BASELINES}
    scores["BM25"] = [0.5] * 20
    scores[OURS] = [0.6] * 20
    told = against_the_best(scores)
    assert told["baseline"] == "BM25"
    assert told["difference"] == pytest.approx(0.1)
    assert told["p"] < 0.01


def test_a_difference_of_chance_is_told_as_such() -> None:
    told = difference([0.0, 1.0] * 10, [1.0, 0.0] * 10)
    assert told["difference"] == 0
    assert told["p"] == 1
    assert told["low"] is not None
    assert told["low"] < 0


def test_chunks_are_sent_by_rank_and_the_last_is_cut() -> None:
    hits = hits_of("one two three four five six", [(14, 27), (0, 13)])
    places, tokens = sent_whole(hits, 5, WordCounter())
    assert tokens == 5
    assert [(place.start, place.end) for place in places] == [(14, 27), (0, 8)]


def test_a_chunk_that_is_too_long_is_not_followed_by_another() -> None:
    hits = hits_of("one two three four", [(0, 13), (14, 18)])
    places, tokens = sent_whole(hits, 2, WordCounter())
    assert tokens == 2
    assert [(place.start, place.end) for place in places] == [(0, 8)]


def test_evidence_in_overlapping_chunks_counts_once() -> None:
    asked = Evidence("q", "?", ((Place("d", 10, 20),), (Place("d", 40, 50),)))
    found = [Place("d", 0, 15), Place("d", 12, 18), Place("other", 0, 99), Place("d", 60, 70)]
    assert share_found(asked, found) == pytest.approx(8 / 20)


def test_a_copy_of_the_evidence_counts_like_the_evidence() -> None:
    texts = {"d": "It rains. Again: It rains.", "e": "It rains."}
    copies = tuple(places_of("It rains.", texts))
    assert [(one.document_id, one.start) for one in copies] == [("d", 0), ("d", 17), ("e", 0)]
    asked = Evidence("q", "?", (copies,))
    assert share_found(asked, [Place("d", 17, 26)]) == 1
    assert share_found(asked, [Place("d", 17, 20), Place("e", 0, 3)]) == pytest.approx(3 / 9)


def test_given_cuts_may_overlap_and_are_slices_of_the_document() -> None:
    text = "Alpha beta. Gamma delta."
    chunks = GivenCuts("cuts", {"d": [(0, 11), (6, 24)]}).chunk(document(text))
    assert [chunk.text for chunk in chunks] == ["Alpha beta.", "beta. Gamma delta."]
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert len({chunk.chunk_id for chunk in chunks}) == 2


def test_evidence_is_measured_through_ingestion_and_search() -> None:
    """Real embedding and search; the cuts are such that one of two ways finds all at once."""
    facts = [f"The {topic} of the valley are {10 + n} years old." for n, topic in enumerate(TOPICS)]
    text = "\n\n".join(facts)
    asked = [
        Evidence(topic, f"How old are the {topic}?", ((Place("d", start, start + len(fact)),),))
        for topic, fact in zip(TOPICS, facts, strict=True)
        if (start := text.index(fact)) >= 0
    ]
    exact = [(place.start, place.end) for one in asked for [place] in one.references]
    blind = [(0, 20), (len(text) - 20, len(text))]
    cuts = {"exact": {"d": exact}, "blind": {"d": blind}}
    hits, sent = asyncio.run(search_all([document(text)], asked, cuts))
    figures = Comparison(asked, hits, sent).figures()
    assert figures["others"]["exact"]["100"]["recall"] == 1
    assert figures["others"]["blind"]["100"]["recall"] < 0.2
    for way in (WHOLE, OURS, FILLED):
        assert set(figures["ours"][way]) == {str(budget) for budget in BUDGETS}
        told = figures["ours"][way]["200"]
        assert told["recall"] == 1
        assert told["tokens"] <= 200
        assert told["other"] == "exact"


def test_a_quick_run_of_retrieval_tells_every_set_and_way(data: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra `models` is not installed")
    figures = _quick_run("benchmarks.retrieval", data)
    assert set(figures["ndcg_at_10"]) == {*SETS, "mean"}
    for told in figures["ndcg_at_10"].values():
        assert {*BASELINES, OURS} < set(told)
        assert told[OURS] == told["BM25"] == 1


def test_a_summary_leaves_the_extra_set_out_of_the_mean() -> None:
    scores = {
        name: {way: [0.0 if name == "nq_open" else 1.0] * 3 for way in (*BASELINES, OURS)}
        for name in SETS
    }
    assert summary(scores)["ndcg_at_10"]["mean"][OURS] == 1


def test_a_quick_run_of_chunking_tells_every_way(find_data) -> None:
    if not PEER_PYTHON.exists():
        pytest.skip(
            "no environment of the peers: make it as benchmarks/peers/requirements.txt says"
        )
    figures = _quick_run("benchmarks.chunking_spans", find_data("chunking_eval").parent)
    assert set(figures["all"]["ours"]) == {WHOLE, OURS, FILLED}
    assert len(figures["all"]["others"]) == 4
    assert 0 < figures["questions"]["held_out"] < figures["questions"]["all"]
    for told in (*figures["all"]["others"].values(), figures["all"]["ours"][WHOLE]):
        recalls = [told[str(budget)]["recall"] for budget in BUDGETS]
        assert recalls == sorted(recalls), "more tokens hold no less"


def _quick_run(module: str, data: Path) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", module, "--data", str(data), "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)
