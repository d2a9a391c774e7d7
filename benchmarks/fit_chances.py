"""Fits the chance of a model to answer rightly, as it is taken before a user has outcomes.

    python -m benchmarks.fit_chances --data ../shared/data

A model can be right where the context holds the answer. How likely that is, from the signals of
retrieval, is fitted on the rows of `fit_confidence` (half of the gold documents removed, four
question sets, each with the same total weight) and written to generation/deciding/chances.json with
what was measured on the questions held out. What share of such answers a tier makes out, and how
much its confidence tells, is stated there: nothing is measured of it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from benchmarks.fit_confidence import Row, rows_of
from benchmarks.publish import ROOT
from benchmarks.publishing.origins import origin
from benchmarks.question_sets import (
    load_anthropic_docs,
    load_chunking_eval,
    load_clapnq,
    load_nq_open,
)
from benchmarks.splits import is_held_out
from evaluation.measures.confidence import expected_calibration_error
from generation.confidence.calibration import Calibrator
from generation.confidence.fitting import Outcome, fit_calibrator

CHANCES = ROOT / "generation" / "deciding" / "chances.json"
RISING = ("quote_confidence", "quote_cosine", "sparse_score", "top_score", "top_cosine", "margin")
STATED = {
    "local": {"skill": 0.85, "sharpness": 0.5, "after_error": 0.5},
    "premium": {"skill": 0.95, "sharpness": 0.6, "after_error": 0.5},
}


def outcomes_of(rows: list[Row]) -> list[Outcome]:
    """Whether the context held the answer; each set has the same total weight."""
    sources = {row.source for row in rows}
    sizes = {source: sum(row.source == source for row in rows) for source in sources}
    return [
        Outcome(row.retrieval, row.holds_answer, len(rows) / len(sizes) / sizes[row.source])
        for row in rows
    ]


def main() -> None:
    """Collect, fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=300, help="at most, from each set")
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args()
    sets = [
        load(chosen.data)
        for load in (load_clapnq, load_nq_open, load_anthropic_docs, load_chunking_eval)
    ]
    rows = [
        row for one in sets for row in asyncio.run(rows_of(one, chosen.seeds, chosen.questions))
    ]
    fitted = [row for row in rows if not is_held_out(row.source, row.question_id)]
    held_out = [row for row in rows if is_held_out(row.source, row.question_id)]
    names = ", ".join(one.name for one in sets)
    fit = fit_calibrator(outcomes_of(fitted), "any", names, 0, RISING)
    calibrator = Calibrator.from_record(fit.record)
    measured = {}
    for source in ("all", *(one.name for one in sets)):
        mine = [row for row in held_out if source in ("all", row.source)]
        told = np.array([calibrator.estimate(row.retrieval).probability for row in mine])
        right = np.array([row.holds_answer for row in mine])
        measured[source] = {
            "questions": len(mine),
            "holds_answer": round(float(right.mean()), 3),
            "auroc": round(float(roc_auc_score(right, told)), 3),
            "ece": round(expected_calibration_error(np.column_stack([told, right])), 3),
        }
    record = {
        "what": "probability that the context holds the answer; traits of tiers are stated",
        "held_out": measured,
        **origin(ROOT),
        "traits": STATED,
        "holds_answer": fit.record,
    }
    CHANCES.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(measured, indent=2))


if __name__ == "__main__":
    main()
