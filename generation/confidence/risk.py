"""The lowest confidence above which answers are wrong no oftener than a limit allows.

Learn then Test (Angelopoulos et al., 2110.01052): thresholds are tested one after the other, each
by an exact binomial tail, letting more and more be answered until one fails. The order does not
depend on the verdicts, so the chance that any threshold is passed wrongly stays at most `delta`,
however many are tested. The first is the one that the confidences themselves promise to pass most
clearly: where they are wrong, less is answered and the promise is kept all the same. On the
verdicts of evouna this answers more than bisection with a union bound (Geifman and El-Yaniv,
1705.08500) and than beginning at fixed shares.

The promise is for questions drawn as the judged ones were, with confidences that were not fitted on
them, and for the long run: of the next few hundred answers more may be wrong by chance.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from rag.errors import InputError, RangeError

MIN_JUDGED = 100
_HALVINGS = 50
_STEPS = 20  # from the first threshold to the one that lets all be answered


@dataclass(frozen=True, slots=True)
class RiskLimit:
    """What a limit on errors costs, on the judged answers.

    Answers whose confidence is at least `threshold` are given: a share `answered` of all, of which
    a share `wrong` was wrong. Where no threshold holds the limit it is None, the shares are 0, and
    `reachable` is the lowest limit, in steps of a hundredth, that one could hold.
    """

    max_error: float
    threshold: float | None
    answered: float
    wrong: float
    reachable: float | None


def limit_risk(
    confidences: Sequence[float], right: Sequence[bool], max_error: float, delta: float
) -> RiskLimit:
    """The threshold that keeps the share of wrong answers among those given at `max_error` or less.

    With a chance of at most `delta`, the threshold does not hold. Raises RangeError for limits that
    are not between 0 and 1, InputError for fewer than 100 judged answers.
    """
    for name, value in (("max_error", max_error), ("delta", delta)):
        if not 0 < value < 1:
            raise RangeError(name, value, 0, 1)
    if len(right) < MIN_JUDGED:
        raise InputError(
            f"{len(right)} judged answers are too few to hold a risk limit, at least {MIN_JUDGED} "
            "are needed: collect more verdicts"
        )
    judged = _Judged.of(confidences, right)
    given = judged.most_given(max_error, delta)
    if given == 0:
        reachable = (
            percent / 100
            for percent in range(math.floor(100 * max_error) + 1, 100)
            if judged.most_given(percent / 100, delta)
        )
        return RiskLimit(max_error, None, 0.0, 0.0, next(reachable, None))
    return RiskLimit(
        max_error,
        judged.confidences[given - 1],
        given / len(right),
        judged.wrong[given - 1] / given,
        max_error,
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    """Judged answers, the most confident first; `wrong` counts the wrong ones so far."""

    confidences: tuple[float, ...]
    wrong: tuple[int, ...]

    @classmethod
    def of(cls, confidences: Sequence[float], right: Sequence[bool]) -> _Judged:
        ranked = sorted(zip(confidences, right, strict=True), key=lambda pair: -pair[0])
        return cls(
            tuple(float(confidence) for confidence, _ in ranked),
            tuple(accumulate(int(not is_right) for _, is_right in ranked)),
        )

    def most_given(self, max_error: float, delta: float) -> int:
        """How many answers may be given, 0 for none."""
        first, last = self._most_promising(max_error, delta), len(self.wrong)
        most = 0
        for step in range(_STEPS):
            given = self._with_ties(first + (last - first) * step // (_STEPS - 1))
            if binomial_tail(self.wrong[given - 1], given, max_error) > delta:
                break
            most = given
        return most

    def _most_promising(self, max_error: float, delta: float) -> int:
        """How many to give for errors to stay below the limit most clearly, by the confidences."""
        promised = accumulate(1 - confidence for confidence in self.confidences)
        clearness = [
            (max_error - errors / given) * math.sqrt(given)
            for given, errors in enumerate(promised, start=1)
        ]
        fewest = math.ceil(math.log(delta) / math.log1p(-max_error))  # that pass without an error
        clear = clearness[fewest - 1 :]
        return fewest + clear.index(max(clear)) if clear else len(clearness)

    def _with_ties(self, given: int) -> int:
        """The answers that are given when the last of so many is."""
        lowest = self.confidences[given - 1]
        return bisect_right(self.confidences, -lowest, key=lambda confidence: -confidence)


def binomial_tail(wrong: int, given: int, rate: float) -> float:
    """The chance of at most so many wrong ones among so many given, at a rate of errors."""
    odds = math.log(rate), math.log1p(-rate)
    chances = (
        math.lgamma(given + 1)
        - math.lgamma(count + 1)
        - math.lgamma(given - count + 1)
        + count * odds[0]
        + (given - count) * odds[1]
        for count in range(wrong + 1)
    )
    return min(1.0, math.fsum(map(math.exp, chances)))


def rate_at_most(wrong: int, given: int, delta: float) -> float:
    """The rate of errors of which so few wrong ones would come with a chance of `delta` only.

    It is the upper end of the interval of Clopper and Pearson (1934), on one side.
    """
    low, high = wrong / given if given else 1.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if middle < 1 and binomial_tail(wrong, given, middle) > delta:
            low = middle
        else:
            high = middle
    return high
