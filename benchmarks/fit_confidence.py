"""Fits the confidence of the quoting tier, and reports how well it holds on questions left out.

    python -m benchmarks.fit_confidence --data ../shared/data

Each question set is used whole and, several times, shrunk to a few dozen documents, so that the
estimate holds for small collections too. From each a seeded random half of the gold documents is
removed, so that about half of the questions cannot be answered; the real pipeline quotes; each set
has its judge of what is right. The coefficients are fitted on one half of the questions
(`benchmarks.splits`), with the same total weight for each set, and written to
generation/confidence/quoted.json together with what was measured on the other half: AUROC (right
or not; answerable or not), ECE in 10 bins, and the share of right answers above the threshold for
abstaining.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from api.setting_groups.answers import AnswerSettings, ContextSettings, RetrievalSettings
from benchmarks.indexed import Indexed
from benchmarks.publish import CONFIDENCE, ROOT, publish
from benchmarks.publishing.origins import origin
from benchmarks.question_sets import (
    JudgedQuestion,
    QuestionSet,
    load_anthropic_docs,
    load_chunking_eval,
    load_clapnq,
    load_nq_open,
)
from benchmarks.splits import is_held_out
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from evaluation.measures.confidence import expected_calibration_error, reliability
from generation.batching.collected import Heard
from generation.confidence.quoted import LogisticConfidence, Signals
from generation.confidence.signals import retrieval_signals
from generation.tiers.extractive import ExtractiveGenerator
from generation.writing.citing import citations_of
from rag.types import Citation, Piece, Question

ABSTAIN_BELOW = AnswerSettings().abstain_below
SMALL_QUESTIONS = 40
SMALL_SEEDS = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One question that was answered by quoting. `has_gold`: the set knows documents for it.

    `retrieval` are the signals known before a model is asked; `holds_answer` is what the set's
    judge says of the whole context.
    """

    source: str
    question_id: str
    signals: Signals
    top_cosine: float
    top_score: float
    is_right: bool
    is_answerable: bool
    has_gold: bool
    retrieval: dict[str, float | None]
    holds_answer: bool


@dataclass(frozen=True, slots=True)
class Draw:
    """Questions of a set, and the documents that are removed before they are asked."""

    questions: Sequence[JudgedQuestion]
    removed: frozenset[str]


def whole(question_set: QuestionSet, seed: int, most: int) -> Draw:
    """At most so many questions, and a random half of the gold documents."""
    chooser = random.Random(seed)
    golden = sorted({gold for question in question_set.questions for gold in question.gold})
    few = len(golden) < 10  # a handful of long documents: removing half would remove the corpus
    removed = frozenset() if few else frozenset(chooser.sample(golden, len(golden) // 2))
    questions = question_set.questions
    return Draw(chooser.sample(questions, min(most, len(questions))), removed)


def shrunk(question_set: QuestionSet, seed: int) -> Draw:
    """A few questions of a set, and all documents but half of their gold ones and some others.

    Words are rarer in a large collection; fitted on such alone, the estimate might be wrong for
    somebody with a dozen pages.
    """
    chooser = random.Random(100 + seed)
    questions = chooser.sample(question_set.questions, SMALL_QUESTIONS)
    golden = sorted({gold for question in questions for gold in question.gold})
    names = [document.document_id for document in question_set.documents]
    others = chooser.sample([name for name in names if name not in golden], SMALL_QUESTIONS // 2)
    kept = {*others, *chooser.sample(golden, len(golden) - len(golden) // 2)}
    return Draw(questions, frozenset(names) - kept)


async def collect(indexed: Indexed, draw: Draw) -> list[Row]:
    """The questions of a draw, answered by quoting with the default settings."""
    name = indexed.question_set.name
    settings = ContextSettings()
    compressor = BudgetCompressor(TiktokenCounter(), Usefulness.bundled(), settings.min_usefulness)
    generator = ExtractiveGenerator(LogisticConfidence.bundled(), abstain_below=0.0)
    rows = []
    async with indexed.searchable(without=draw.removed) as retriever:
        for asked in draw.questions:
            question = Question(asked.text, name)
            hits = await retriever.retrieve(question, RetrievalSettings().chunks)
            context = compressor.compress(question, hits, settings.max_tokens)
            quotes, signals = generator.quote(question, hits, context)
            quoted = await generator.generate(question, hits, context, Heard([]))
            if signals is not None:
                rows.append(
                    Row(
                        source=name,
                        question_id=asked.question_id,
                        signals=signals,
                        top_cosine=max(hit.dense_score for hit in hits),
                        top_score=hits[0].score,
                        is_right=asked.is_right(citations_of(quotes)),
                        is_answerable=bool(asked.gold - draw.removed),
                        has_gold=bool(asked.gold),
                        retrieval=retrieval_signals(hits, quoted),
                        holds_answer=asked.is_right(as_citations(context.pieces)),
                    )
                )
    return rows


def as_citations(pieces: Sequence[Piece]) -> tuple[Citation, ...]:
    """Pieces of a context, as if they were quoted whole."""
    return tuple(
        Citation(
            marker=number,
            document_id=piece.hit.chunk.document_id,
            title=piece.hit.chunk.title,
            source=piece.hit.chunk.source,
            page=None,
            start=piece.start,
            end=piece.end,
            quote=piece.text,
        )
        for number, piece in enumerate(pieces, start=1)
    )


async def rows_of(question_set: QuestionSet, seeds: int, most: int) -> list[Row]:
    """The rows of several draws of a set: whole, and shrunk where it has many documents."""
    indexed = await Indexed.of(question_set)
    draws = [whole(question_set, seed, most) for seed in range(seeds)]
    if len(question_set.documents) > SMALL_QUESTIONS:
        draws += [shrunk(question_set, seed) for seed in range(SMALL_SEEDS)]
    return [row for draw in draws for row in await collect(indexed, draw)]


def matrix(rows: Sequence[Row], names: Sequence[str]) -> np.ndarray:
    """The signals as `[rows, names]`."""
    return np.array([[asdict(row.signals)[name] for name in names] for row in rows])


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


def measure(rows: Sequence[Row], probabilities: np.ndarray) -> dict[str, Any]:
    """How good the estimate is; `bins` hold confidence, share right, and number of answers."""
    right = np.array([row.is_right for row in rows])
    answerable = np.array([row.is_answerable for row in rows])
    answered = probabilities >= ABSTAIN_BELOW
    judged = np.column_stack([probabilities, right])
    figures = {
        "questions": len(rows),
        "right": right.mean(),
        "auroc_right": roc_auc_score(right, probabilities),
        "ece": expected_calibration_error(judged),
        "answered": answered.mean(),
        "right_when_answered": right[answered].mean() if answered.any() else float("nan"),
    }
    if 0 < answerable.mean() < 1:
        figures["auroc_answerable"] = roc_auc_score(answerable, probabilities)
        cosines = [row.top_cosine for row in rows]
        figures["auroc_answerable_top_cosine"] = roc_auc_score(answerable, cosines)
        figures["unanswerable_refused"] = (~answered)[~answerable].mean()
        figures["answerable_refused"] = (~answered)[answerable].mean()
    rounded = {name: round(float(value), 3) for name, value in figures.items()}
    points = [[round(b.confidence, 3), round(b.right, 3), b.n] for b in reliability(judged)]
    return rounded | {"bins": points}


def main() -> None:
    """Collect, fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=600, help="at most, from each set")
    parser.add_argument("--seeds", type=int, default=2)
    arguments = parser.parse_args()
    loaders = (load_clapnq, load_nq_open, load_anthropic_docs, load_chunking_eval)
    sets = [load(arguments.data) for load in loaders]
    rows = [
        row
        for question_set in sets
        for row in asyncio.run(rows_of(question_set, arguments.seeds, arguments.questions))
    ]
    fitted = [row for row in rows if not is_held_out(row.source, row.question_id)]
    held_out = [row for row in rows if is_held_out(row.source, row.question_id)]
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
        golden = [i for i in mine if held_out[i].has_gold]
        if len(golden) < len(mine):
            name = f"{question_set.name}, questions that its passages answer"
            measured[name] = measure([held_out[i] for i in golden], probabilities[golden])
    record = {
        "what": "probability that the quotes hold the answer",
        "fitted_on": [question_set.name for question_set in sets],
        "labels": [f"{load.__name__.removeprefix('load_')}: {load.__doc__}" for load in loaders],
        "fitted_rows": len(fitted),
        "intercept": round(intercept, 4),
        "weights": {n: round(float(w), 4) for n, w in zip(signals, weights, strict=True)},
        "held_out": measured,
        "abstain_below": ABSTAIN_BELOW,
        **origin(ROOT),
    }
    CONFIDENCE.write_text(json.dumps(record, indent=2) + "\n")
    publish()
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
