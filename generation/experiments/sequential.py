"""Tests that may be looked at after every outcome, and stopped whenever one likes.

Outcomes between 0 and 1 are tested by betting: capital of 1 is bet on every outcome that the mean
is above some value. If it is not, the capital exceeds 1 / error with a chance of at most `error`,
ever (Ville's inequality), whatever the distribution and however small the count: so much capital
proves the claim. The bets are a fixed grid, each with an equal part of the capital, and the means
that are not disproved in this way are an interval that holds at all times at once (Waudby-Smith and
Ramdas, "Estimating means of bounded random variables by betting", 2010.09686; Shafer, "Testing by
betting", 2021).

Two arms are compared in blocks of as many outcomes of each as their shares are to each other, in
the order in which they came, so that a change of all questions over time hits both arms alike. It
supposes that outcomes do not depend on each other, and are not changed afterwards.

Costs have no upper bound; their intervals hold at all times too, but asymptotically: of many
answers (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", 2103.06476).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Outcomes = npt.NDArray[np.float64]

BETS = tuple(float(bet) for bet in np.geomspace(0.04, 0.9, 8))
"""Parts of the capital that are bet: small ones prove small differences, out of many outcomes."""

LEAST_CONVERSATIONS = 100
"""Of each arm, whose cost is known, before anything is said of it."""

_TIGHTEST_AT = 1_000  # values at which the interval of costs is as narrow as can be
_HALVINGS = 16  # of the range in which an end of an interval is looked for
_MOST_LOG = 690.0  # e to it is still a number
_MOST_OF_ONE = 20  # arms with less than a twentieth of the other's share waste the rest


@dataclass(frozen=True, slots=True)
class Interval:
    """A value, and the ends between which the true one lies."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Moments:
    """How many independent values there are, their mean and their variance."""

    count: int
    mean: float
    variance: float


def block_sizes(arm_share: float, control_share: float) -> tuple[int, int]:
    """How many outcomes of the arm and of the control make a block: one or two of the rarer."""
    rarer, other = sorted((arm_share, control_share))
    ratio = min(other / rarer, _MOST_OF_ONE)
    few, many = min(
        ((few, round(few * ratio)) for few in (1, 2)),
        key=lambda sizes: (abs(sizes[1] / sizes[0] - ratio) > 0.1 * ratio, sizes[0]),
    )
    return (few, many) if arm_share <= control_share else (many, few)


def in_blocks(arm: Outcomes, control: Outcomes, sizes: tuple[int, int]) -> Outcomes:
    """By block, half of arm minus control, plus a half: above 0.5 where the arm was better.

    `arm` and `control` are outcomes from 0 to 1 in the order in which they came, each of its own
    shape `[count]`; those that do not make a whole block yet are left out. Shape `[blocks]`.
    """
    count = min(len(arm) // sizes[0], len(control) // sizes[1])
    means = [
        outcomes[: count * size].reshape(count, size).mean(axis=1)
        for outcomes, size in zip((arm, control), sizes, strict=True)
    ]
    outcomes: Outcomes = (1 + means[0] - means[1]) / 2
    return outcomes


def log_capital(outcomes: Outcomes, mean: float = 0.5) -> Outcomes:
    """The logarithm of the capital after each outcome, of who bets on more than `mean`.

    `outcomes` are 0 to 1, in order along the last axis, and `mean` is above 0; the same shape.
    """
    gains = outcomes / mean - 1
    logs = np.cumsum(np.log1p(BETS[0] * gains), axis=-1)
    for bet in BETS[1:]:
        logs = np.logaddexp(logs, np.cumsum(np.log1p(bet * gains), axis=-1))
    capital: Outcomes = logs - math.log(len(BETS))
    return capital


def evidence(outcomes: Outcomes) -> float:
    """The most capital that there ever was, 1 or more, of who bets that the mean is above 0.5.

    This e-value proves it with an error of 1 / e at most.
    """
    return math.exp(min(_most(log_capital(outcomes)), _MOST_LOG))


def interval(outcomes: Outcomes, error: float) -> tuple[float, float]:
    """Between which values, 0 to 1, the mean lies; each end is wrong with a chance of `error`.

    It leaves 0.5 out just when `evidence` of one side has reached 1 / error.
    """
    return _low_end(outcomes, error), 1 - _low_end(1 - outcomes, error)


def blocks_to_proof(outcomes: Outcomes, error: float) -> int | None:
    """About how many outcomes more prove what is seen so far; None where nothing is seen.

    They are those like the present ones, at whatever side of 0.5 these are.
    """
    if not outcomes.size or outcomes.mean() == 0.5:
        return None
    seen = outcomes if outcomes.mean() > 0.5 else 1 - outcomes
    growth = max(float(np.log1p(bet * (2 * seen - 1)).mean()) for bet in BETS)
    if growth <= 0:
        return None
    return max(1, math.ceil((-math.log(error) - float(log_capital(seen)[-1])) / growth))


def cost_interval(cost: Moments, error: float) -> Interval | None:
    """The mean cost, in its unit, with both ends wrong with a chance of `error` together.

    Asymptotic. None of fewer than 100 values, and where all are the same, which tells nothing of
    those that have not been seen.
    """
    if cost.count < LEAST_CONVERSATIONS:
        return None
    return _asymptotic(cost.mean, cost.variance / cost.count, cost.count, error)


def cost_difference(
    arm: Moments, control: Moments, error: float, ratio: float = 1.0
) -> Interval | None:
    """The mean cost of an arm minus `ratio` times the control's; as `cost_interval` otherwise."""
    if min(arm.count, control.count) < LEAST_CONVERSATIONS:
        return None
    variance = arm.variance / arm.count + ratio**2 * control.variance / control.count
    value = arm.mean - ratio * control.mean
    return _asymptotic(value, variance, arm.count + control.count, error)


def _asymptotic(value: float, variance: float, count: int, error: float) -> Interval | None:
    """Around an estimate of this variance: the boundary of Gaussian mixtures, and its best rho."""
    if variance <= 0:
        return None
    narrow = -2 * math.log(error)
    spread = count * (narrow + math.log(narrow + 1)) / _TIGHTEST_AT
    logs = math.log(math.sqrt(spread + 1) / error)
    half = math.sqrt(variance * 2 * (spread + 1) / spread * logs)
    return Interval(value, value - half, value + half)


def _most(logs: Outcomes) -> float:
    return float(logs.max(initial=0.0))


def _low_end(outcomes: Outcomes, error: float) -> float:
    """The greatest mean that is disproved, by bets that there is more; 0 where none is."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _most(log_capital(outcomes, middle)) >= -math.log(error):
            low = middle
        else:
            high = middle
    return low
