"""How well documents are found: the default against what people assemble with the same model.

    python -m benchmarks.retrieval --data ../shared/data

Four baselines, over whole documents as `title. text`: the packaged weights in fp32 in
sentence-transformers, which read the first 256 tokens; BM25 with stemming and without stop words;
rank fusion of both; and the convex combination of both. Against them the default of this project
through ingestion and search, and each of its two legs alone. nDCG@10 by document, a document being
as good as its best chunk; only questions with a gold document are asked. nq_open is measured as an
extra, and is no part of the mean. `--cache` keeps the fp32 vectors in a folder for the next run.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from api.assembly.paths import quoting_pipeline
from api.build import Application, build
from api.settings import load_settings
from benchmarks.embedding_speed import SETS, Judged, load
from benchmarks.peers.measurement import best_per_document
from benchmarks.publish import write_result
from evaluation.measures.ranking import ndcg
from evaluation.measures.table import MEASURES
from evaluation.statistics import compare
from indexing.embedding.packaged import model_dir
from rag.pipeline import QuestionPipeline
from rag.types import Question

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

EXTRA = "nq_open"
OURS = "Thrifty RAG"
BASELINES = ("dense", "BM25", "rank fusion", "convex 0.5")
DEPTH = 10
FUSED = 100
"""Documents that each baseline leg contributes to a fusion; with 30 or all of them the convex
combination was no better on the mean."""

RANK_CONSTANT = 60  # Cormack, Clarke and Büttcher (SIGIR 2009)
QUICK_QUESTIONS = 24
QUICK_OTHERS = 100
_ASKED_AT_ONCE = 16
_SEED = 0

Scores = npt.NDArray[np.float64]
"""Of each question (row) for each document (column), higher for better."""

Rankings = list[list[str]]
"""For each question the best document ids, best first."""


def shortened(judged: Judged, seed: int) -> Judged:
    """A few questions with their documents, and some others."""
    chooser = random.Random(seed)
    every = sorted(judged.questions)
    names = chooser.sample(every, min(QUICK_QUESTIONS, len(every)))
    gold = {document for name in names for document in judged.grades[name]}
    wanted = [d for d in judged.documents if d.document_id in gold]
    others = [d for d in judged.documents if d.document_id not in gold]
    return Judged(
        wanted + chooser.sample(others, min(QUICK_OTHERS, len(others))),
        {name: judged.questions[name] for name in names},
        {name: judged.grades[name] for name in names},
    )


def baseline_rankings(judged: Judged, folder: Path | None) -> dict[str, Rankings]:
    """What each baseline finds."""
    documents = [f"{d.title}. {d.text}" for d in judged.documents]
    questions = list(judged.questions.values())
    dense = _vectors(questions, folder) @ _vectors(documents, folder).T
    sparse = bm25_scores(documents, questions)
    both = dense, sparse
    ids = [document.document_id for document in judged.documents]
    found = dict(zip(BASELINES, (dense, sparse, rank_fusion(both), convex(both)), strict=True))
    return {name: rankings(scores, ids) for name, scores in found.items()}


def bm25_scores(documents: Sequence[str], questions: Sequence[str]) -> Scores:
    """BM25 as `rank_bm25` computes it by default, over stemmed words without stop words."""
    from rank_bm25 import BM25Okapi

    words = _Words()
    index = BM25Okapi([words.of(text) for text in documents])
    return np.array([index.get_scores(words.of(text)) for text in questions])


def rank_fusion(legs: Iterable[Scores]) -> Scores:
    """Reciprocal rank fusion of the best `FUSED` of each leg."""
    return np.sum([_reciprocal_ranks(scores) for scores in legs], axis=0)


def convex(legs: Iterable[Scores]) -> Scores:
    """The mean of the legs, of each the best `FUSED`, their scores scaled to 0 to 1."""
    return np.mean([_scaled(scores) for scores in legs], axis=0)


def rankings(scores: Scores, ids: Sequence[str]) -> Rankings:
    """The best documents for each question; ties in the order of the documents."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
    return [[ids[column] for column in row] for row in order]


async def our_rankings(application: Application, judged: Judged) -> dict[str, Rankings]:
    """What the default finds, and each of its legs alone, after a real ingestion."""
    await application.ingestion.ingest_documents(
        list(judged.documents), judged.documents[0].collection
    )
    ways = {OURS: application.pipeline}
    for leg, share in (("dense", 1.0), ("sparse", 0.0)):
        ways[f"{OURS}, {leg} only"] = _with_dense_share(application, share)
    depth = application.settings.retrieval.candidates
    return {way: await _found(pipeline, judged, depth) for way, pipeline in ways.items()}


def ndcgs(found: Rankings, judged: Judged) -> list[float]:
    """nDCG@10 of each question, in order."""
    return [
        ndcg(ranked, list(judged.grades[name]), DEPTH)
        for name, ranked in zip(judged.questions, found, strict=True)
    ]


def difference(ours: Sequence[float], other: Sequence[float]) -> dict[str, float | None]:
    """The mean of ours minus the other's on the same questions, its 95% interval and p-value."""
    [measure] = [one for one in MEASURES if one.name == "nDCG@10"]  # a mean of what is given
    told = compare(measure, [(one,) for one in ours], [(one,) for one in other], _SEED)
    figures = {"difference": told.difference, "low": told.low, "high": told.high, "p": told.p}
    return {name: None if one is None else round(one, 4) for name, one in figures.items()}


def against_the_best(scores: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Ours minus the baseline whose mean is the highest."""
    best = max(BASELINES, key=lambda name: statistics.mean(scores[name]))
    return {"baseline": best} | difference(scores[OURS], scores[best])


def with_equal_weights(by_set: Sequence[Mapping[str, Sequence[float]]]) -> dict[str, list[float]]:
    """The questions of all sets, weighted so that their mean is the mean of the sets' means."""
    total = sum(len(scores[OURS]) for scores in by_set)
    pooled: dict[str, list[float]] = {}
    for scores in by_set:
        weight = total / len(by_set) / len(scores[OURS])
        for way, values in scores.items():
            pooled.setdefault(way, []).extend(weight * value for value in values)
    return pooled


class _Words:
    """The stemmed words of a text, without NLTK's stop words, as LlamaIndex brings them along.

    Of the usual lists this one gave BM25 the best mean.
    """

    def __init__(self) -> None:
        from llama_index.core.utils import globals_helper
        from Stemmer import Stemmer

        self._stemmer = Stemmer("english")
        self._stop_words = frozenset(globals_helper.stopwords)

    def of(self, text: str) -> list[str]:
        """In order, with repetitions."""
        words = re.findall(r"\w+", text.lower())
        return self._stemmer.stemWords([word for word in words if word not in self._stop_words])


def _vectors(texts: Sequence[str], folder: Path | None) -> npt.NDArray[np.float32]:
    """Shape `[len(texts), 384]`, unit length."""
    name = hashlib.sha256(json.dumps(texts).encode()).hexdigest()[:16]
    kept = folder and folder / f"fp32-{name}.npy"
    if kept and kept.exists():
        return np.load(kept)
    vectors = _model().encode(list(texts), normalize_embeddings=True, show_progress_bar=False)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, vectors)
    return vectors


@cache
def _model() -> SentenceTransformer:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_dir()), device="cpu")


def _reciprocal_ranks(scores: Scores) -> Scores:
    ranks = 1 + np.argsort(np.argsort(-scores, axis=1, kind="stable"), axis=1)
    return np.where(ranks <= FUSED, 1 / (RANK_CONSTANT + ranks), 0)


def _scaled(scores: Scores) -> Scores:
    """The best `FUSED` of each row from 0 to 1, the others 0; a row of equal scores is all 0."""
    best = -np.sort(-scores, axis=1)[:, :FUSED]
    low, high = best[:, -1:], best[:, :1]
    return np.clip((scores - low) / np.where(high > low, high - low, np.inf), 0, 1)


def _with_dense_share(application: Application, share: float) -> QuestionPipeline:
    chosen = application.settings
    retrieval = chosen.retrieval.model_copy(update={"dense_share": share})
    parts = application.ingestion.parts
    settings = chosen.model_copy(update={"retrieval": retrieval})
    return quoting_pipeline(settings, parts.embedder, parts.store, parts.manifest, reranker=None)


async def _found(pipeline: QuestionPipeline, judged: Judged, chunks: int) -> Rankings:
    collection = judged.documents[0].collection
    texts = list(judged.questions.values())
    found: Rankings = []
    for first in range(0, len(texts), _ASKED_AT_ONCE):
        asked = (Question(text, collection) for text in texts[first : first + _ASKED_AT_ONCE])
        for hits in await asyncio.gather(*(pipeline.search(one, chunks) for one in asked)):
            # a source is a row of the set: rows with the same words are one document
            rows = (source for hit in hits for source in hit.chunk.sources)
            found.append(best_per_document(rows)[:DEPTH])
    return found


def summary(scores: Mapping[str, Mapping[str, Sequence[float]]]) -> dict[str, Any]:
    """The figures of all sets: nDCG@10 by set and way, and ours against the best baseline."""
    parts: dict[str, Mapping[str, Sequence[float]]] = dict(scores)
    parts["mean"] = with_equal_weights([scores[name] for name in SETS])
    return {
        "ndcg_at_10": {
            name: {way: round(statistics.mean(values), 4) for way, values in part.items()}
            for name, part in parts.items()
        },
        "against_the_best": {name: against_the_best(part) for name, part in parts.items()},
    }


async def measure(sets: Sequence[Judged], kept: Path | None) -> dict[str, dict[str, list[float]]]:
    """nDCG@10 of each question, by set and way."""
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        settings = load_settings().model_copy(update={"data_dir": Path(folder)})
        application = build(settings)
        for judged in sets:
            started = time.perf_counter()
            found = baseline_rankings(judged, kept) | await our_rankings(application, judged)
            name = judged.documents[0].collection
            scores[name] = {way: ndcgs(ranked, judged) for way, ranked in found.items()}
            means = {way: round(statistics.mean(one), 4) for way, one in scores[name].items()}
            print(name, f"{time.perf_counter() - started:.0f} s", means, file=sys.stderr)
        await application.close()
    return scores


def main() -> None:
    """Measure all sets, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="folder to keep the fp32 vectors in")
    parser.add_argument("--quick", action="store_true", help="a few questions; writes no result")
    arguments = parser.parse_args()
    sets = [load(arguments.data, name) for name in (*SETS, EXTRA)]
    if arguments.quick:
        sets = [shortened(judged, _SEED) for judged in sets]
    scores = asyncio.run(measure(sets, arguments.cache))
    figures = {
        "versions": {name: version(name) for name in ("sentence-transformers", "rank-bm25")},
        "retrieval": load_settings().retrieval.model_dump(),
        "documents": {judged.documents[0].collection: len(judged.documents) for judged in sets},
        "questions": {judged.documents[0].collection: len(judged.questions) for judged in sets},
    } | summary(scores)
    if not arguments.quick:
        write_result("retrieval", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
