"""Which trial to take: good enough, and then the cheapest; and whether other questions agree.

What is nearly as cheap counts as equal: then a trial that is better for certain goes first, and
else the one that changes the fewest settings, so that noise changes none.
"""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.tuning.scoring import Goal, Score

EQUAL_TOKENS = 0.05
EQUAL_MS = 1.0
"""How much more tokens and milliseconds may be and still count as equal, as a share: a median of
a few milliseconds doubles while the machine does something else too."""


def choose(scores: Sequence[Score]) -> Score:
    """The cheapest of those that are good enough; of none, the one of best quality."""
    good = [one for one in scores if one.is_good_enough]
    return _cheapest(good) if good else best(scores)


def best(scores: Sequence[Score]) -> Score:
    """The one of best quality, the first of equals."""
    return max(scores, key=lambda one: one.quality)


def front_of(scores: Sequence[Score]) -> list[Score]:
    """The trials of which none is better at no more tokens, fewest tokens first."""
    front: list[Score] = []
    for one in sorted(scores, key=lambda one: (one.context_tokens, -one.quality)):
        if not front or one.quality > front[-1].quality:
            front.append(one)
    return front


def contradicts(checked: Score, goal: Goal) -> bool:
    """Whether a score on the other half says, beyond chance, that it is not good enough."""
    if goal.wanted is not None:
        return checked.high is not None and checked.high < goal.wanted
    return checked.gain_high is not None and checked.gain_high < 0


def _cheapest(good: Sequence[Score]) -> Score:
    least = min(one.context_tokens for one in good)
    small = [one for one in good if one.context_tokens <= least * (1 + EQUAL_TOKENS)]
    fastest = min(one.ms for one in small)
    equal = [one for one in small if one.ms <= fastest * (1 + EQUAL_MS)]
    better = [one for one in equal if one.gain_low is not None and one.gain_low > 0]
    if better:
        return best(better)
    return min(equal, key=lambda one: (len(one.changes), one.context_tokens, one.ms, one.name))
