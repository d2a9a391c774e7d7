"""Is a confidence what it says, and does a limit on errors hold? Held out, on human verdicts.

    python -m benchmarks.calibration --data ../shared/data

evouna (`benchmarks.evouna`), 5-fold: a confidence is fitted on four fifths, and estimates the last
one. Each system is taken alone, and after all cheaper systems have answered. Beside it, the share
that is right taken for every answer, and boosted trees on the same signals. Then, in random halves:
a confidence is fitted on one half, a threshold for at most 5% errors is set on its estimates of
what was left out in fitting, and both are tried on the other half. How often did the limit hold,
and what was answered? Beside it, what the best threshold in hindsight on the same confidences and
a perfect order would have answered, and the threshold by bisection and a union bound (SGR,
1705.08500). Last, a confidence fitted on one of the two sets and asked the other, with what the
watch for drift says.
"""

from __future__ import annotations

import argparse
import asyncio
import math
from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evouna import SYSTEMS, Answers, Vectors, embed_all, load_evouna
from benchmarks.indexed import MODELS
from benchmarks.publish import write_result
from evaluation.measures.confidence import auroc, expected_calibration_error, reliability
from generation.confidence.calibration import Calibrator
from generation.confidence.drift import DriftWatch
from generation.confidence.fitting import Outcome, fit_calibrator
from generation.confidence.risk import binomial_tail, limit_risk
from indexing.embedding.packaged import PackagedEmbedder

FOLDS = 5
CHEAPEST_FIRST = ("chatgpt", "fid", "gpt35", "gpt4", "newbing")
MAX_ERROR, DELTA = 0.05, 0.01  # surer than .05: what is tried is a half, with chance of its own
SPLITS = 100

Array = np.ndarray


def fit(outcomes: Sequence[Outcome]) -> Calibrator:
    """A calibrator, by way of its record."""
    return Calibrator.from_record(fit_calibrator(outcomes, "evouna", "evouna", seed=0).record)


def estimates(calibrator: Calibrator, outcomes: Sequence[Outcome]) -> Array:
    """One probability for each outcome."""
    return np.array([calibrator.estimate(outcome.signals).probability for outcome in outcomes])


def folds(rows: int, seed: int) -> Array:
    """The fold of each row."""
    return np.random.default_rng(seed).permutation(rows) % FOLDS


def boosted(outcomes: Sequence[Outcome], others: Sequence[Outcome]) -> Array:
    """What trees make of the same signals."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    names = sorted(outcomes[0].signals)
    table, other = (
        np.array([[row.signals[name] for name in names] for row in rows], float)
        for rows in (outcomes, others)
    )
    trees = HistGradientBoostingClassifier(
        max_iter=120, learning_rate=0.05, max_leaf_nodes=12, min_samples_leaf=40, random_state=0
    )
    right = [row.is_right for row in outcomes]
    probabilities: Array = trees.fit(table, right).predict_proba(other)[:, 1]
    return probabilities


def quality(probabilities: Array, right: Array) -> dict[str, float | None]:
    """How good estimates are."""
    judged = np.column_stack([probabilities, right])
    figures = {
        "ece": expected_calibration_error(judged),
        "auroc": auroc(judged),
        "brier": float(((probabilities - right) ** 2).mean()),
    }
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}


def calibrated(answers: Answers, system: str, seen: Collection[str], seed: int) -> dict[str, Any]:
    """The confidence of a system's answers, held out, and its peers."""
    outcomes = answers.outcomes(range(len(answers.asked)), system, seen)
    right = np.array([outcome.is_right for outcome in outcomes], float)
    fold_of = folds(len(right), seed)
    ours, share, trees = (np.empty(len(right)) for _ in range(3))
    for fold in range(FOLDS):
        kept = [outcomes[at] for at in np.flatnonzero(fold_of != fold)]
        left_out = [outcomes[at] for at in np.flatnonzero(fold_of == fold)]
        ours[fold_of == fold] = estimates(fit(kept), left_out)
        share[fold_of == fold] = np.mean([outcome.is_right for outcome in kept])
        trees[fold_of == fold] = boosted(kept, left_out)
    source = np.array([one.source for one in answers.asked])
    return {
        "right": round(float(right.mean()), 4),
        "ours": quality(ours, right),
        **{
            f"ours, {name}": quality(ours[source == name], right[source == name])
            for name in sorted(set(source))
        },
        "share right for all": quality(share, right),
        "boosted trees": quality(trees, right),
        "bins": [
            [round(b.confidence, 3), round(b.right, 3), b.n]
            for b in reliability(np.column_stack([ours, right]))
        ],
    }


def most_within(confidences: Array, right: Array, max_error: float) -> float:
    """The largest share that a threshold could have answered, had the verdicts been known."""
    order = np.argsort(-confidences, kind="stable")
    wrong = np.cumsum(~right[order]) / np.arange(1, len(right) + 1)
    held = np.flatnonzero(wrong <= max_error)
    return float((held.max() + 1) / len(right)) if len(held) else 0.0


def bisected(confidences: Array, right: Array, max_error: float, delta: float) -> float | None:
    """The threshold of Geifman and El-Yaniv, with the exact tail."""
    order = np.argsort(-confidences, kind="stable")
    wrong = np.cumsum(~right[order])
    low, high, threshold = 1, len(right), None
    steps = math.ceil(math.log2(len(right)))
    for _ in range(steps):
        given = (low + high + 1) // 2
        if binomial_tail(int(wrong[given - 1]), given, max_error) <= delta / steps:
            low, threshold = given, float(confidences[order][given - 1])
        else:
            high = given - 1
    return threshold


def limited(answers: Answers, system: str, seen: Collection[str], splits: int) -> dict[str, Any]:
    """How often the limit held on what it was not set on, and what was answered."""
    outcomes = answers.outcomes(range(len(answers.asked)), system, seen)
    right = np.array([outcome.is_right for outcome in outcomes])
    held: Counter[str] = Counter()
    none: Counter[str] = Counter()
    answered: dict[str, list[float]] = {"ours": [], "bisection": [], "hindsight": []}
    for seed in range(splits):
        shuffled = np.random.default_rng(seed).permutation(len(right))
        judged, tried = np.split(shuffled, [len(right) // 2])
        fitted = fit_calibrator([outcomes[at] for at in judged], system, "evouna", seed)
        calibrator, known = Calibrator.from_record(fitted.record), np.array(fitted.held_out)
        confidences = estimates(calibrator, [outcomes[at] for at in tried])
        verdicts = right[judged].tolist()
        thresholds = {
            "ours": limit_risk(known.tolist(), verdicts, MAX_ERROR, DELTA).threshold,
            "bisection": bisected(known, right[judged], MAX_ERROR, DELTA),
        }
        for name, threshold in thresholds.items():
            given = confidences >= (math.inf if threshold is None else threshold)
            none[name] += int(threshold is None)
            is_held = not given.any() or (~right[tried][given]).mean() <= MAX_ERROR
            held[name] += int(is_held)
            answered[name].append(given.mean())
        answered["hindsight"].append(most_within(confidences, right[tried], MAX_ERROR))
    return {
        "held": {name: held[name] for name in ("ours", "bisection")},
        "no_threshold": {name: none[name] for name in ("ours", "bisection")},
        "answered": {name: round(float(np.mean(v)), 4) for name, v in answered.items()}
        | {"perfect": round(min(1.0, float(right.mean()) / (1 - MAX_ERROR)), 4)},
    }


def moved(answers: Answers, system: str, seen: Collection[str]) -> dict[str, Any]:
    """Fitted on half of one set: asked its other half, and the other set."""
    source = np.array([one.source for one in answers.asked])
    half = folds(len(source), seed=0) % 2 == 0
    figures = {}
    for name in sorted(set(source)):
        calibrator = fit(answers.outcomes(np.flatnonzero((source == name) & half), system, seen))
        for asked in sorted(set(source)):
            rows = np.flatnonzero((source == asked) & ~half)
            outcomes = answers.outcomes(rows, system, seen)
            watch = DriftWatch(calibrator)
            for outcome in outcomes:
                watch.observe(outcome.signals)
            levels = Counter(drift.level for drift in watch.report())
            right = np.array([outcome.is_right for outcome in outcomes], float)
            figures[f"fitted on {name}, asked {asked}"] = {
                **quality(estimates(calibrator, outcomes), right),
                "drift": {level: levels[level] for level in ("stable", "moved", "drifted")},
                "moved most": [drift.name for drift in watch.report()[:3]],
            }
    return figures


def measure(answers: Answers, splits: int, seed: int) -> dict[str, Any]:
    """All of it."""
    cases = {}
    for place, system in enumerate(CHEAPEST_FIRST):
        cases[f"{system} alone"] = (system, [system])
        if place:
            cases[f"{system} after {place} cheaper"] = (system, CHEAPEST_FIRST[: place + 1])
    limits = [f"{system} after {CHEAPEST_FIRST.index(system)} cheaper" for system in SYSTEMS[3:]]
    return {
        "questions": len(answers.asked),
        "folds": FOLDS,
        "seed": seed,
        "calibration": {
            name: calibrated(answers, system, seen, seed) for name, (system, seen) in cases.items()
        },
        "risk": {
            "max_error": MAX_ERROR,
            "delta": DELTA,
            "splits": splits,
            **{name: limited(answers, *cases[name], splits) for name in limits},
        },
        "drift": moved(answers, *cases[limits[0]]),
    }


async def read(data: Path, kept: Path | None) -> tuple[Answers, Vectors]:
    """The answers with their signals, and the vectors."""
    asked = load_evouna(data)
    vectors = await embed_all(asked, PackagedEmbedder(MODELS), kept)
    return Answers(asked, vectors), vectors


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--kept", type=Path, help="a folder that keeps vectors between runs")
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    answers, _ = asyncio.run(read(arguments.data, arguments.kept))
    write_result("calibration", measure(answers, arguments.splits, arguments.seed))


if __name__ == "__main__":
    main()
