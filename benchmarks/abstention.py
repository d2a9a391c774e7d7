"""Does the confidence tell what the documents answer from what they do not?

    python -m benchmarks.abstention --data ../shared/data

From clapnq and anthropic_docs_rag a seeded random half of the gold documents is removed, ten times;
the questions that have gold documents are asked of what is left, by the default settings. A
question can be answered when one of its gold documents is left. AUROC of the confidence, of the
best hit's score and of the best cosine, for all questions and for those that nothing was fitted on.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from sklearn.metrics import roc_auc_score

from benchmarks.fit_confidence import Draw, Row, collect, whole
from benchmarks.indexed import Indexed
from benchmarks.publish import write_result
from benchmarks.question_sets import QuestionSet, load_anthropic_docs, load_clapnq
from benchmarks.splits import is_held_out
from generation.confidence.quoted import LogisticConfidence

SEEDS = 10


async def measure(question_set: QuestionSet, seeds: int) -> dict[str, Any]:
    """The mean AUROC over the seeds, of each estimate."""
    indexed = await Indexed.of(question_set)
    answerable = [asked for asked in question_set.questions if asked.gold]
    confidence = LogisticConfidence.bundled()
    by_seed = []
    for seed in range(seeds):
        removed = whole(question_set, seed, most=0).removed
        by_seed.append(await collect(indexed, Draw(answerable, removed)))
    estimates: dict[str, Callable[[Row], float]] = {
        "confidence": lambda row: confidence.estimate(row.signals),
        "top score": lambda row: row.top_score,
        "top cosine": lambda row: row.top_cosine,
    }
    held_out = [[r for r in rows if is_held_out(r.source, r.question_id)] for rows in by_seed]
    return {
        "questions": len(answerable),
        "seeds": seeds,
        "auroc": {name: _auroc(by_seed, told) for name, told in estimates.items()},
        "auroc_held_out": {name: _auroc(held_out, told) for name, told in estimates.items()},
    }


def _auroc(by_seed: Sequence[Sequence[Row]], estimate: Callable[[Row], float]) -> float:
    areas = [
        roc_auc_score([row.is_answerable for row in rows], [estimate(row) for row in rows])
        for rows in by_seed
    ]
    return round(fmean(areas), 4)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    arguments = parser.parse_args()
    figures = {
        one.name: asyncio.run(measure(one, arguments.seeds))
        for one in (load_clapnq(arguments.data), load_anthropic_docs(arguments.data))
    }
    write_result("abstention", {"sets": figures})


if __name__ == "__main__":
    main()
