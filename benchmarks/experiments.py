"""How often an experiment is wrong that is looked at after every verdict, and how soon it is right.

    python -m benchmarks.experiments

Verdicts are drawn, since only then it is known which arm is better: each goes to an arm by chance,
by its share, and is right at the arm's rate. The code that judges is the service's. Beside it, on
the same draws, the z-test of two rates at 5%: looked at after every verdict and stopped when it
says that the arms differ, as is often done, and looked at once at the end, as it is meant. The
latter has to know beforehand when the end is: its verdicts are those that find the difference with
a chance of 80%, by the formula.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.publish import write_result
from generation.experiments.sequential import (
    Moments,
    Outcomes,
    block_sizes,
    cost_difference,
    in_blocks,
    log_capital,
)

SEED = 11
ERROR = 0.05
RATES = (0.6, 0.8, 0.95)
SHARES = (0.5, 0.1)
EXPERIMENTS, VERDICTS = 2_000, 5_000
WORSE = (0.05, 0.10)
FOUND_EXPERIMENTS, FOUND_RATE, FOUND_VERDICTS = 500, 0.8, 40_000
TALKS, TALK_VERDICTS, TALK_RATES = 500, 5, (1.6, 0.4)  # conversations; a beta law of mean 0.8
COST_EXPERIMENTS, COST_ANSWERS, COST_EVERY = 500, 5_000, 50
DEAR_USD, DEAR_SHARE = 0.02, 0.05
_Z, _Z_POWER = 1.959964, 0.841621  # of 5% on both sides, and of 80%
_LEAST = 30  # verdicts of each arm before the z-test is looked at

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """Verdicts in the order in which they came: whose they are, and whether they are right."""

    is_arm: Flags
    is_right: Flags
    share: float

    def blocks(self) -> tuple[Outcomes, npt.NDArray[np.int64]]:
        """The outcomes as the service pairs them, and after how many verdicts each was there."""
        sizes = block_sizes(self.share, 1 - self.share)
        sides = (self.is_arm, ~self.is_arm)
        outcomes = in_blocks(*(self.is_right[side].astype(float) for side in sides), sizes)
        last = [
            np.flatnonzero(side)[size - 1 :: size][: len(outcomes)]
            for side, size in zip(sides, sizes, strict=True)
        ]
        return outcomes, np.maximum(*last) + 1

    def z_scores(self) -> Outcomes:
        """The z-test after every verdict: arm minus control in standard errors, 0 at first."""
        arm, control = np.cumsum(self.is_arm), np.cumsum(~self.is_arm)
        right, whole = np.cumsum(self.is_arm & self.is_right), np.cumsum(self.is_right)
        early = (arm < _LEAST) | (control < _LEAST)
        arm, control = np.maximum(arm, 1), np.maximum(control, 1)
        rate = whole / (arm + control)
        errors = np.sqrt(np.maximum(rate * (1 - rate), 1e-9) * (1 / arm + 1 / control))
        scores: Outcomes = np.where(early, 0.0, (right / arm - (whole - right) / control) / errors)
        return scores


def draw(
    random: np.random.Generator, share: float, arm: float, control: float, count: int
) -> Drawn:
    """So many verdicts, of an arm with this share of them and of the control, by their rates."""
    is_arm = random.random(count) < share
    is_right = random.random(count) < np.where(is_arm, arm, control)
    return Drawn(is_arm, is_right, share)


def equal_arms(random: np.random.Generator, share: float, rate: float) -> dict[str, Any]:
    """Shares of experiments with equal arms that are said to differ, and whose arm is stopped."""
    proof = math.log(2 / ERROR)
    stopped = differ = peeked = once = 0
    for _ in range(EXPERIMENTS):
        drawn = draw(random, share, rate, rate, VERDICTS)
        outcomes, _ = drawn.blocks()
        is_worse = bool(log_capital(1 - outcomes).max() >= proof)
        stopped += is_worse
        differ += is_worse or bool(log_capital(outcomes).max() >= proof)
        scores = np.abs(drawn.z_scores())
        peeked += bool(scores.max() > _Z)
        once += bool(scores[-1] > _Z)
    shares = {"stopped": stopped, "differ": differ, "z_peeked_at": peeked, "z_at_the_end": once}
    return {"share": share, "rate": rate} | {
        name: count / EXPERIMENTS for name, count in shares.items()
    }


def talks(random: np.random.Generator) -> dict[str, float]:
    """Equal arms that are said to differ where the verdicts of a conversation go together.

    The service takes the first verdict of each; the other figure is what comes of taking all.
    """
    proof = math.log(2 / ERROR)
    differ = {"differ_by_first": 0, "differ_by_all": 0}
    for _ in range(EXPERIMENTS):
        arm, control = (
            (random.random((TALKS, TALK_VERDICTS)) < random.beta(*TALK_RATES, (TALKS, 1))) * 1.0
            for _ in range(2)
        )
        first = in_blocks(arm[:, 0], control[:, 0], (1, 1))
        every = in_blocks(arm.ravel(), control.ravel(), (1, 1))
        for name, seen in zip(differ, (first, every), strict=True):
            most = max(log_capital(seen).max(), log_capital(1 - seen).max())
            differ[name] += bool(most >= proof)
    return {name: count / EXPERIMENTS for name, count in differ.items()}


def worse_arm(random: np.random.Generator, share: float, worse: float) -> dict[str, Any]:
    """Verdicts until an arm that is worse by this is stopped, and whether the interval held."""
    arm, proof = FOUND_RATE - worse, math.log(2 / ERROR)
    true_mean = (1 - worse) / 2
    until: list[float] = []
    missed = called_better = 0
    for _ in range(FOUND_EXPERIMENTS):
        outcomes, at = draw(random, share, arm, FOUND_RATE, FOUND_VERDICTS).blocks()
        proves = log_capital(1 - outcomes) >= proof
        until.append(float(at[proves.argmax()]) if proves.any() else math.inf)
        called_better += bool(log_capital(outcomes).max() >= proof)
        below = log_capital(outcomes, true_mean).max() >= proof
        above = log_capital(1 - outcomes, 1 - true_mean).max() >= proof
        missed += bool(below or above)
    variance = arm * (1 - arm) / share + FOUND_RATE * (1 - FOUND_RATE) / (1 - share)
    quartiles = np.quantile(until, (0.25, 0.5, 0.75, 0.8), method="higher").tolist()
    return {
        "share": share,
        "worse_by": worse,
        "verdicts_until_stopped": dict(zip(("p25", "p50", "p75", "p80"), quartiles, strict=True)),
        "stopped": float(np.isfinite(until).mean()),
        "called_better": called_better / FOUND_EXPERIMENTS,
        "interval_ever_missed": missed / FOUND_EXPERIMENTS,
        "fixed_sample_verdicts": math.ceil(((_Z + _Z_POWER) / worse) ** 2 * variance),
    }


def costs(random: np.random.Generator, ratio: float) -> dict[str, Any]:
    """How often an arm that costs just `ratio` times as much is said to cost more, or less.

    Few answers cost anything, as in a cascade, and the arm has more of those that do.
    """
    dearer = cheaper = 0
    for _ in range(COST_EXPERIMENTS):
        sums = [
            DEAR_USD * (random.random(COST_ANSWERS) < share)
            for share in (DEAR_SHARE * ratio, DEAR_SHARE)
        ]
        found = [
            cost_difference(*(_moments(seen[:count]) for seen in sums), ERROR, ratio)
            for count in range(100, COST_ANSWERS + 1, COST_EVERY)
        ]
        dearer += any(one is not None and one.low > 0 for one in found)
        cheaper += any(one is not None and one.high < 0 for one in found)
    return {
        "ratio": ratio,
        "said_to_be_dearer": dearer / COST_EXPERIMENTS,
        "said_to_be_cheaper": cheaper / COST_EXPERIMENTS,
    }


def _moments(seen: Outcomes) -> Moments:
    return Moments(len(seen), float(seen.mean()), float(seen.var(ddof=1)))


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    random = np.random.default_rng(SEED)
    figures: dict[str, Any] = {
        "settings": {
            "seed": SEED,
            "error": ERROR,
            "experiments": EXPERIMENTS,
            "verdicts": VERDICTS,
            "found_experiments": FOUND_EXPERIMENTS,
            "found_rate": FOUND_RATE,
            "found_verdicts": FOUND_VERDICTS,
            "conversations_of_each_arm": TALKS,
            "verdicts_of_a_conversation": TALK_VERDICTS,
            "cost_experiments": COST_EXPERIMENTS,
            "cost_answers_of_each_arm": COST_ANSWERS,
            "cost_looks_every": COST_EVERY,
        },
        "equal_arms": [equal_arms(random, share, rate) for share in SHARES for rate in RATES],
        "conversations": talks(random),
        "worse_arm": [worse_arm(random, share, worse) for share in SHARES for worse in WORSE],
        "costs": [costs(random, ratio) for ratio in (1.0, 1.5)],
    }
    write_result("experiments", figures)


if __name__ == "__main__":
    main()
