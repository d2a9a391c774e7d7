"""Fits the usefulness by which a context is chosen.

    python -m benchmarks.fit_usefulness --data ../shared/data

The clauses of what the default retrieval finds, on clapnq, nq_open and chunking_eval, and those of
nq_open's hard passages (`benchmarks.hard_passages`), each with its signals and whether it holds the
answer or lies in the evidence. A logistic regression over one half of the questions, the other is
held out (`benchmarks.splits`), with the same total weight for each source, twice that for the hard
passages, whose labels are the most exact. Written to compression/usefulness.json;
`benchmarks.compression`, `benchmarks.context` and `benchmarks.chunking_spans` measure what it is
good for on the held-out half.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from api.setting_groups.answers import RetrievalSettings
from benchmarks.hard_passages import hard_questions
from benchmarks.indexed import Indexed
from benchmarks.question_sets import (
    JudgedQuestion,
    QuestionSet,
    load_chunking_eval,
    load_clapnq,
    load_nq_open,
)
from benchmarks.splits import is_held_out
from compression.usefulness import SIGNALS, signals
from rag.types import Hit, Question

USEFULNESS = Path(__file__).parent.parent / "compression" / "usefulness.json"
HARD = "nq_open, hard passages"
WEIGHTS = {HARD: 2.0}
MOST_HITS = 60
"""Of twenty passages, more than they have chunks."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """The clauses of one source: `rows` of shape `[clauses, signals]`, and which are useful."""

    source: str
    rows: np.ndarray
    useful: np.ndarray


def label(asked: JudgedQuestion, hits: Sequence[Hit]) -> tuple[np.ndarray, np.ndarray]:
    """The signals of all clauses of the hits, and whether each is useful."""
    parts, rows = signals(Question(asked.text, ""), hits)
    useful = [asked.supports(p.hit.chunk.document_id, p.span, p.text) for p in parts]
    return rows, np.array(useful, bool)


async def collect(question_set: QuestionSet, most: int) -> list[Labelled]:
    """The labelled clauses of a set, of at most so many questions that may be fitted on."""
    indexed = await Indexed.of(question_set)
    mine = [
        asked
        for asked in question_set.questions
        if asked.gold and not is_held_out(question_set.name, asked.question_id)
    ][:most]
    found = {question_set.name: [], HARD: []}
    async with indexed.searchable() as retriever:
        for asked in mine:
            question = Question(asked.text, question_set.name)
            hits = await retriever.retrieve(question, RetrievalSettings().chunks)
            found[question_set.name].append(label(asked, hits))
        for hard in hard_questions(question_set, mine) if question_set.name == "nq_open" else ():
            filters = {"document_id": hard.passages}
            question = Question(hard.asked.text, question_set.name, filters)
            hits = await retriever.retrieve(question, MOST_HITS)
            found[HARD].append(label(hard.asked, hits))
    return [
        Labelled(source, np.concatenate([r for r, _ in made]), np.concatenate([u for _, u in made]))
        for source, made in found.items()
        if made
    ]


def main() -> None:
    """Collect, fit, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=1_000, help="at most, from each set")
    arguments = parser.parse_args()
    loaders = (load_clapnq, load_nq_open, load_chunking_eval)
    sources = [
        source
        for load in loaders
        for source in asyncio.run(collect(load(arguments.data), arguments.questions))
    ]
    rows = np.concatenate([source.rows for source in sources])
    useful = np.concatenate([source.useful for source in sources])
    shares = [np.full(len(s.useful), WEIGHTS.get(s.source, 1.0) / len(s.useful)) for s in sources]
    weights = np.concatenate(shares)
    spread = rows.std(axis=0) + 1e-9
    model = LogisticRegression(C=1.0, max_iter=2_000)
    model.fit(rows / spread, useful, sample_weight=weights * len(weights) / weights.sum())
    fitted = dict(zip(SIGNALS, (model.coef_[0] / spread).tolist(), strict=True))
    record = {
        "what": "probability that a clause holds the answer or is evidence",
        "fitted_on": {source.source: len(source.useful) for source in sources},
        "intercept": round(float(model.intercept_[0]), 4),
        "weights": {name: round(weight, 4) for name, weight in fitted.items()},
    }
    USEFULNESS.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
