"""Which of five systems to pay for, question by question: cost against quality, beside its bounds.

    python -m benchmarks.choosing --data ../shared/data

evouna (`benchmarks.evouna`), 5-fold: all is fitted on four fifths and tried on the last. The
chooser knows the answers that it has paid for and how sure it may be of each, and either gives the
surest or pays for one more. It takes what costs least in expectation, an error having a price: the
value of each set of answers is worked out backwards from all five, a regression telling what the
answers that are there let one expect of the next. Beside it, in the same run: a choice before any
call, from the question alone; each system for every question; two systems mixed at random; and the
perfect choice, which knows who is right.

Prices are the list prices of these very models when they answered, in 2023, on tokens counted here
with today's vocabulary. Two are assumptions: FiD on 100 passages takes .4 s of a GPU at $1.20 an
hour; a chat that searches costs $7 per 1,000 searches and reads 1,000 tokens of results with gpt-4.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.calibration import FOLDS, folds, read
from benchmarks.evouna import SYSTEMS, Answers
from benchmarks.planned_answers import ERROR_PRICES, Chances, Rows, Seen, followed, lattice, plan
from benchmarks.publish import write_result
from compression.tokens import TiktokenCounter
from evaluation.measures.table import mean
from evaluation.statistics import interval
from generation.confidence.calibration import Calibrator
from generation.confidence.fitting import fit_calibrator
from generation.deciding.asked import Asked
from generation.deciding.fitting_routes import RoutingExample, fit_router


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars: for a million tokens read and written, and for each answer besides."""

    usd_read: float
    usd_written: float
    usd_answer: float = 0.0
    tokens_searched: int = 0


PRICES = {
    "chatgpt": Price(1.5, 2.0),
    "fid": Price(0.0, 0.0, usd_answer=0.4 * 1.20 / 3600),
    "gpt35": Price(20.0, 20.0),
    "gpt4": Price(30.0, 60.0),
    "newbing": Price(30.0, 60.0, usd_answer=0.007, tokens_searched=1_000),
}
ASKING_TOKENS = 20  # of a prompt, besides the question
SHARES = (0.97, 1.0)  # of the accuracy of a single system, to be reached at the least cost

Array = np.ndarray


def usd_of(answers: Answers) -> Array:
    """What each answer costs: shape `[questions, systems]`."""
    count = TiktokenCounter().count
    rows = []
    for one in answers.asked:
        asked = count(one.question) + ASKING_TOKENS
        rows.append(
            [
                price.usd_answer
                + price.usd_read * (asked + price.tokens_searched) / 1e6
                + price.usd_written * count(one.answers[system]) / 1e6
                for system, price in ((system, PRICES[system]) for system in SYSTEMS)
            ]
        )
    return np.array(rows)


def chances(answers: Answers, kept: Array, left_out: Array) -> tuple[Chances, Chances]:
    """Of the rows fitted on, each estimated by what was not fitted on it; and of the others."""
    known: dict[Seen, Array] = {}
    tried: dict[Seen, Array] = {}
    for seen in lattice():
        known[seen] = np.full((len(kept), len(SYSTEMS)), -1.0)
        tried[seen] = np.full((len(left_out), len(SYSTEMS)), -1.0)
        for system in seen:
            fitted = fit_calibrator(answers.outcomes(kept, system, seen), system, "evouna", seed=0)
            calibrator = Calibrator.from_record(fitted.record)
            place = SYSTEMS.index(system)
            known[seen][:, place] = fitted.held_out
            tried[seen][:, place] = [
                calibrator.estimate(answers.signals(at, system, seen)).probability
                for at in left_out
            ]
    return known, tried


def routed(answers: Answers, vectors: Array, kept: Array, left_out: Array) -> Array:
    """The chance of each system before any call: `[questions left out, systems]`."""
    asked = [
        Asked(one.question, vector) for one, vector in zip(answers.asked, vectors, strict=True)
    ]
    router = fit_router([RoutingExample(asked[at], answers.asked[at].right) for at in kept], seed=0)
    told = [router.chances(asked[at]) for at in left_out]
    return np.array([[one[system] for system in SYSTEMS] for one in told])


def route(chance: Array, price: Array, rows: Rows) -> tuple[Array, Array]:
    """What one call, the cheapest in expectation, costs and whether it is right."""
    expected = price[:, None] + (1 - chance)[:, :, None] * ERROR_PRICES
    chosen = expected.argmin(1)
    return (
        np.take_along_axis(rows.usd, chosen, axis=1),
        np.take_along_axis(rows.right, chosen, axis=1).astype(float),
    )


def mixed(rows: Rows, accuracy: float) -> float:
    """The least cost of two systems mixed at random that reaches an accuracy."""
    right, usd = rows.right.mean(0), rows.usd.mean(0)
    costs = [usd[place] for place in range(len(usd)) if right[place] >= accuracy]
    for low in range(len(usd)):
        for high in range(len(usd)):
            if right[low] < accuracy <= right[high]:
                share = (accuracy - right[low]) / (right[high] - right[low])
                costs.append(usd[low] + share * (usd[high] - usd[low]))
    return float(min(costs))


def perfect(rows: Rows, accuracy: float) -> float:
    """The cost of knowing who is right: the cheapest of them, where that is worth it."""
    least = rows.usd.min(1)
    extra = np.sort(np.where(rows.right, rows.usd, np.inf).min(1) - least)
    needed = int(np.ceil(accuracy * len(extra)))
    return float((least.sum() + extra[:needed].sum()) / len(extra))


def measure(answers: Answers, question_vectors: Array, seed: int) -> dict[str, Any]:
    """The frontiers, and what it costs to come near the single systems."""
    usd = usd_of(answers)
    everything = Rows(usd, answers.right)
    fold_of = folds(len(usd), seed)
    shape = len(usd), len(ERROR_PRICES)
    cascade, routes = (np.zeros(shape), np.zeros(shape)), (np.zeros(shape), np.zeros(shape))
    chosen: dict[tuple[str, float], Array] = {}
    for fold in range(FOLDS):
        kept, left_out = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        fitted, tried = everything.some(kept), everything.some(left_out)
        known, estimated = chances(answers, kept, left_out)
        made = plan(known, estimated, fitted)
        cascade[0][left_out], cascade[1][left_out] = followed(made.tried, estimated, tried)
        reached = followed(made.known, known, fitted)[1].mean(0)
        chance = routed(answers, question_vectors, kept, left_out)
        routes[0][left_out], routes[1][left_out] = route(chance, fitted.usd.mean(0), tried)
        for place, system in enumerate(SYSTEMS):
            for share in SHARES:
                enough = reached >= share * fitted.right[:, place].mean()
                dial = int(np.argmax(enough)) if enough.any() else len(reached) - 1
                chosen.setdefault((system, share), np.zeros(len(usd), int))[left_out] = dial
    return {
        "questions": len(usd),
        "folds": FOLDS,
        "seed": seed,
        "singles": {
            system: _point(usd[:, place], answers.right[:, place])
            for place, system in enumerate(SYSTEMS)
        },
        "perfect": {
            "usd_per_1000": round(1000 * perfect(everything, answers.right.any(1).mean()), 4),
            "right": round(float(answers.right.any(1).mean()), 4),
        },
        "cascade": _frontier(*cascade),
        "route": _frontier(*routes),
        "near_a_single": {
            f"{share:.0%} of {system}": _near(place, share, everything, dial, cascade, routes)
            for place, system in enumerate(SYSTEMS)
            for share in SHARES
            for dial in [chosen[system, share]]
            if answers.right[:, place].mean() > 0.8
        },
    }


def _near(
    place: int,
    share: float,
    rows: Rows,
    dial: Array,
    cascade: tuple[Array, Array],
    routes: tuple[Array, Array],
) -> dict[str, Any]:
    """The cost of a share of a system's accuracy, in shares of its cost.

    Ours with the price of an error that reached it on the rows fitted on; the others with what is
    known of all rows.
    """
    accuracy = share * rows.right[:, place].mean()
    whole = rows.usd[:, place].mean()
    every = np.arange(len(dial))
    ours_usd, ours_right = (values[every, dial] for values in cascade)
    enough = [
        usd for usd, right in zip(*(v.mean(0) for v in routes), strict=True) if right >= accuracy
    ]
    return {
        "target": round(float(accuracy), 4),
        "ours": {
            **_point(ours_usd, ours_right),
            "interval_right": [
                round(float(end or 0), 4) for end in interval(mean, ours_right[:, None], seed=0)
            ],
            "of_its_cost": round(float(ours_usd.mean() / whole), 4),
        },
        "of_its_cost": {
            "route, best dial in hindsight": round(float(min(enough) / whole), 4)
            if enough
            else None,
            "two mixed at random": round(mixed(rows, accuracy) / whole, 4),
            "perfect": round(perfect(rows, accuracy) / whole, 4),
        },
    }


def _point(usd: Array, right: Array) -> dict[str, float]:
    return {
        "usd_per_1000": round(1000 * float(usd.mean()), 4),
        "right": round(float(right.mean()), 4),
    }


def _frontier(usd: Array, right: Array) -> list[dict[str, float]]:
    """Every fourth price of an error."""
    return [
        {"error_usd": float(f"{ERROR_PRICES[dial]:.2g}"), **_point(usd[:, dial], right[:, dial])}
        for dial in range(0, len(ERROR_PRICES), 4)
    ]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--kept", type=Path, help="a folder that keeps vectors between runs")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    answers, vectors = asyncio.run(read(arguments.data, arguments.kept))
    write_result("choosing", measure(answers, vectors["question"], arguments.seed))


if __name__ == "__main__":
    main()
