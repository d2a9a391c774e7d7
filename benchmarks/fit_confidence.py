"""Fits the confidence of the quoting tier, and reports how well it holds on questions left out.

    python -m benchmarks.fit_confidence --data ../shared/data

Each question set is used whole and, several times, shrunk to a few dozen documents, so that the
estimate holds for small collections too. From each a seeded random half of the gold documents is
removed, so that about half of the questions cannot be answered; the real pipeline quotes; each set
has its judge of what is right. The coefficients are fitted on a random half of the questions (no
question is in both halves), with the same total weight for each set, and written to
generation/deciding/confidence.json together with what was measured on the other half: AUROC (right
or not; answerable or not), ECE in 10 bins, and the share of right answers above the threshold for
abstaining.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from api.setting_groups import AnswerSettings, ContextSettings, RetrievalSettings
from benchmarks.publish import CONFIDENCE, publish
from benchmarks.question_sets import (
    QuestionSet,
    load_anthropic_docs,
    load_chunking_eval,
    load_clapnq,
    load_nq_open,
)
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from generation.deciding.confidence import LogisticConfidence, Signals
from generation.tiers.extractive import ExtractiveGenerator, citations_of
from indexing.chunking import CHUNK_TOKENS, StructuralChunker, passage_of
from indexing.embedding.packaged import PackagedEmbedder, PackagedTokenizer
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.types import EmbeddedChunk, Question
from retrieval.hybrid import HybridRetriever

ABSTAIN_BELOW = AnswerSettings().abstain_below
SMALL_QUESTIONS = 40
SMALL_SEEDS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One question that was answered by quoting."""

    source: str
    question_id: str
    signals: Signals
    top_cosine: float
    is_right: bool
    is_answerable: bool


async def collect(question_set: QuestionSet, seed: int, most: int) -> list[Row]:
    """Answer the questions of a set with a random half of its gold documents removed."""
    chooser = random.Random(seed)
    golden = sorted({gold for question in question_set.questions for gold in question.gold})
    few = len(golden) < 10  # a handful of long documents: removing half would remove the corpus
    removed = set() if few else set(chooser.sample(golden, len(golden) // 2))
    kept = [d for d in question_set.documents if d.document_id not in removed]
    questions = chooser.sample(question_set.questions, min(most, len(question_set.questions)))
    embedder = PackagedEmbedder(Path(".rag/models"))
    chunker = StructuralChunker(PackagedTokenizer(), CHUNK_TOKENS)
    chosen, max_tokens = RetrievalSettings(), ContextSettings().max_tokens
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        store = QdrantEdgeStore(Path(folder), embedder.fingerprint, embedder.dimension)
        chunks = [chunk for document in kept for chunk in chunker.chunk(document)]
        embeddings = await embedder.embed([passage_of(chunk) for chunk in chunks])
        await store.upsert(list(map(EmbeddedChunk, chunks, embeddings)))
        retriever = HybridRetriever(embedder, store, chosen.candidates, chosen.dense_share)
        compressor = BudgetCompressor(TiktokenCounter())
        generator = ExtractiveGenerator(LogisticConfidence.bundled(), abstain_below=0.0)
        for asked in questions:
            question = Question(asked.text, question_set.name)
            hits = await retriever.retrieve(question, chosen.chunks)
            context = compressor.compress(question, hits, max_tokens)
            quotes, signals = generator.quote(question, hits, context)
            if signals is None:
                continue
            right = asked.is_right(citations_of(quotes))
            answerable = bool(asked.gold - removed)
            rows.append(
                Row(
                    question_set.name,
                    asked.question_id,
                    signals,
                    max(hit.dense_score for hit in hits),
                    right,
                    answerable,
                )
            )
        await store.close()
    return rows


def shrunk(question_set: QuestionSet, seed: int) -> QuestionSet:
    """A few questions of a set, with their gold documents and some others.

    Word scores grow with a collection; fitted on large ones alone, the estimate would be too low
    for somebody with a dozen pages.
    """
    chooser = random.Random(100 + seed)
    questions = chooser.sample(question_set.questions, SMALL_QUESTIONS)
    wanted = {gold for question in questions for gold in question.gold}
    documents = [d for d in question_set.documents if d.document_id in wanted]
    others = [d for d in question_set.documents if d.document_id not in wanted]
    documents += chooser.sample(others, SMALL_QUESTIONS // 2)
    return QuestionSet(question_set.name, tuple(documents), tuple(questions))


def matrix(rows: Sequence[Row], names: Sequence[str]) -> np.ndarray:
    """The signals as `[rows, names]`."""
    return np.array([[asdict(row.signals)[name] for name in names] for row in rows])


def calibration_error(probabilities: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """Expected calibration error over equal-width bins (Naeini et al., 2015)."""
    index = np.minimum((probabilities * bins).astype(int), bins - 1)
    return sum(
        (index == b).mean() * abs(probabilities[index == b].mean() - right[index == b].mean())
        for b in range(bins)
        if (index == b).any()
    )


def fit(
    features: np.ndarray, right: np.ndarray, row_weights: np.ndarray
) -> tuple[float, np.ndarray]:
    """Logistic regression whose weights are 0 or more: more of a signal is never less certain.

    Without that, signals that go together get weights against each other, which serve the four
    sets and nobody else.
    """
    targets = np.where(right, 1.0, -1.0)

    def loss(parameters: np.ndarray) -> float:
        margins = targets * (features @ parameters[1:] + parameters[0])
        return float(row_weights @ np.logaddexp(0, -margins)) + 0.05 * float(
            parameters[1:] @ parameters[1:]
        )

    start = np.zeros(1 + features.shape[1])
    bounds = [(None, None), *[(0, None)] * features.shape[1]]
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), found.x[1:]


def measure(rows: Sequence[Row], probabilities: np.ndarray) -> dict[str, float]:
    """How good the estimate is on these rows."""
    right = np.array([row.is_right for row in rows])
    answerable = np.array([row.is_answerable for row in rows])
    answered = probabilities >= ABSTAIN_BELOW
    figures = {
        "questions": len(rows),
        "right": right.mean(),
        "auroc_right": roc_auc_score(right, probabilities),
        "ece": calibration_error(probabilities, right),
        "answered": answered.mean(),
        "right_when_answered": right[answered].mean() if answered.any() else float("nan"),
    }
    if 0 < answerable.mean() < 1:
        figures["auroc_answerable"] = roc_auc_score(answerable, probabilities)
        cosines = [row.top_cosine for row in rows]
        figures["auroc_answerable_top_cosine"] = roc_auc_score(answerable, cosines)
        figures["unanswerable_refused"] = (~answered)[~answerable].mean()
        figures["answerable_refused"] = (~answered)[answerable].mean()
    return {name: round(float(value), 3) for name, value in figures.items()}


def main() -> None:
    """Collect, fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=600, help="at most, from each set")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    loaders = (load_clapnq, load_nq_open, load_anthropic_docs, load_chunking_eval)
    sets = [load(arguments.data) for load in loaders]
    drawn = [(question_set, seed) for seed in range(arguments.seeds) for question_set in sets]
    several = [
        question_set for question_set in sets if len(question_set.documents) > SMALL_QUESTIONS
    ]
    drawn += [(shrunk(s, seed), seed) for seed in range(SMALL_SEEDS) for s in several]
    rows = [
        row
        for question_set, seed in drawn
        for row in asyncio.run(collect(question_set, seed, arguments.questions))
    ]
    chooser = random.Random(7)
    names = sorted({(row.source, row.question_id) for row in rows})
    for_fitting = set(chooser.sample(names, len(names) // 2))
    fitted = [row for row in rows if (row.source, row.question_id) in for_fitting]
    held_out = [row for row in rows if (row.source, row.question_id) not in for_fitting]
    signals = list(Signals.__dataclass_fields__)
    sizes = {s.name: sum(row.source == s.name for row in fitted) for s in sets}
    intercept, weights = fit(
        matrix(fitted, signals),
        np.array([row.is_right for row in fitted]),
        np.array([len(fitted) / len(sets) / sizes[row.source] for row in fitted]),
    )
    probabilities = expit(matrix(held_out, signals) @ weights + intercept)
    measured = {"all": measure(held_out, probabilities)}
    for question_set in sets:
        mine = [i for i, row in enumerate(held_out) if row.source == question_set.name]
        measured[question_set.name] = measure([held_out[i] for i in mine], probabilities[mine])
    record = {
        "what": "probability that the quotes hold the answer",
        "fitted_on": [question_set.name for question_set in sets],
        "labels": [f"{load.__name__.removeprefix('load_')}: {load.__doc__}" for load in loaders],
        "fitted_rows": len(fitted),
        "intercept": round(intercept, 4),
        "weights": {n: round(float(w), 4) for n, w in zip(signals, weights, strict=True)},
        "held_out": measured,
        "abstain_below": ABSTAIN_BELOW,
    }
    CONFIDENCE.write_text(json.dumps(record, indent=2) + "\n")
    publish()
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
