"""A batch under a budget that does not do for all: which questions the money goes to.

    python -m benchmarks.batch_allocation --data ../shared/data

The questions, their quotes and the drawn answers of the premium model are those of
`benchmarks.thousand_answers`: what is searched, quoted and estimated is real, the model simulated.
All held-out questions are one batch. Those whose quote is not sure enough by the plain rule wait,
and a quarter, half or three quarters of what asking all of them can cost may be reserved. Ours asks
first where a dollar gains most, as `rag batch` does. Beside it, in the same run: who comes first,
in random order; who is least sure; the chance of the model less the confidence of the quote; and
knowing beforehand whom the model makes right.

Quality is the share of all questions of the batch that are answered rightly, or rightly not
answered.
"""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from api.setting_groups.answers import AnswerSettings
from benchmarks.publish import write_result
from benchmarks.question_sets import load_clapnq, load_nq_open
from benchmarks.thousand_answers import (
    OUTPUT_TOKENS,
    SKILL,
    USD_OUTPUT,
    Prepared,
    calibrated,
    prepare,
    usd_of,
    written,
)
from generation.batching.choosing import gain_per_usd
from generation.deciding.frontier import Told

MOST_OUTPUT_TOKENS = 600  # what a call may write by default, and what is reserved for it
SHARES = (0.25, 0.5, 0.75)
SEEDS = range(20)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A question whose quote is not sure enough: whether it is right without the call, and with it.

    `usd` is the most that the call can cost, and `gain` what the estimates let one expect of it.
    `rise` is the chance of the model less the confidence of the quote, 0 for one that is not given.
    """

    usd: float
    confidence: float
    gain: float
    rise: float
    right_quoted: bool
    right_asked: bool


def waiting_of(one: Prepared, seed: int) -> Waiting:
    """A question with one drawing of the model's answer."""
    chooser = random.Random(f"{seed}/{one.question_id}")
    usd = usd_of(one.tokens) + (MOST_OUTPUT_TOKENS - OUTPUT_TOKENS) * USD_OUTPUT
    told = written(one, "premium", usd, chooser.random(), chooser.gauss(0, 1))
    chance = next(option.chance for option in one.options if option.tier == "premium")
    is_given = _is_given(one.quote)
    given = told if told.abstains or told.confidence >= one.quote.confidence else one.quote
    return Waiting(
        usd,
        one.quote.confidence,
        SKILL["premium"] - one.quote.confidence if is_given else chance,
        chance - one.quote.confidence if is_given else chance,
        _is_right(one, one.quote),
        _is_right(one, given),
    )


def _is_given(told: Told) -> bool:
    return not told.abstains and told.confidence >= AnswerSettings().abstain_below


def _is_right(one: Prepared, told: Told) -> bool:
    return told.is_right if _is_given(told) else not one.has_answer


def bought(order: Sequence[Waiting], budget: float) -> int:
    """How many are right when calls are made in this order, each that still fits."""
    right = 0
    for one in order:
        is_asked = one.usd <= budget
        budget -= one.usd if is_asked else 0.0
        right += one.right_asked if is_asked else one.right_quoted
    return right


def orders(waiting: Sequence[Waiting], seed: int) -> dict[str, list[Waiting]]:
    """Who is asked first, by name of the rule."""
    came = random.Random(seed).sample(waiting, len(waiting))
    return {
        "first come": came,
        "chance less confidence": sorted(came, key=lambda one: -one.rise),
        "least sure first": sorted(came, key=lambda one: one.confidence),
        "most gain for a dollar first": sorted(came, key=lambda o: -gain_per_usd(o.gain, o.usd)),
        "knowing who is right": sorted(came, key=lambda o: o.right_quoted - o.right_asked),
    }


def measure(prepared: Sequence[Prepared]) -> dict[str, Any]:
    """What each rule buys for each share of the whole price."""
    enough = AnswerSettings().escalate_below
    unsure = [one for one in prepared if one.quote.confidence < enough]
    sure = sum(_is_right(one, one.quote) for one in prepared if one.quote.confidence >= enough)
    found: dict[str, dict[str, list[float]]] = {}
    for seed in SEEDS:
        waiting = [waiting_of(one, seed) for one in unsure]
        whole = sum(one.usd for one in waiting)
        for name, order in orders(waiting, seed).items():
            for share in (0.0, *SHARES, 1.0):
                right = sure + bought(order, share * whole * (1 + 1e-9))
                told = found.setdefault(f"{share:.0%} of the price", {})
                told.setdefault(name, []).append(right / len(prepared))
    return {
        "questions": len(prepared),
        "waiting": len(unsure),
        "quality": {
            share: {
                name: {"mean": round(float(np.mean(all_)), 4), "sd": round(float(np.std(all_)), 4)}
                for name, all_ in rules.items()
            }
            for share, rules in found.items()
        },
    }


def main() -> None:
    """Prepare, draw, publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    sets = [asyncio.run(prepare(load(arguments.data))) for load in (load_nq_open, load_clapnq)]
    held_out = [one for some in sets for one in some if one.is_held_out]
    figures = {
        "seeds": len(SEEDS),
        "default": measure(held_out),
        "calibrated": measure([one for some in sets for one in calibrated(some)]),
    }
    write_result("batch_allocation", figures)


if __name__ == "__main__":
    main()
