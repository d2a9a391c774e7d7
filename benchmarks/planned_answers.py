"""Whom to ask next, and when to stop: the least expected cost, worked out backwards.

A state is the set of systems whose answers have been paid for. In each, the surest answer may be
given, at the price of an error times the chance that it is wrong; or one more system be paid for,
at its price and the value of the state that follows. What that value will be is told from the
chances of the answers that are there, by a ridge regression on questions whose answers are all
known (fitted backward induction; Tsitsiklis and Van Roy, 2001).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from benchmarks.evouna import SYSTEMS

ERROR_PRICES = np.geomspace(1e-3, 10, 80)
"""Dollars that a wrong answer costs: the dial that makes a frontier."""

GIVE = -1
"""The action of giving the surest answer; the others are places in SYSTEMS."""

_SMALL = 3.0  # the ridge

Array = np.ndarray
Seen = frozenset[str]


@dataclass(frozen=True, slots=True)
class Rows:
    """Some questions: what each answer costs, and whether it is right, `[questions, systems]`."""

    usd: Array
    right: Array

    def some(self, places: Array) -> Rows:
        """Those at some places."""
        return Rows(self.usd[places], self.right[places])


Chances = Mapping[Seen, Array]
"""By the answers that are there, how likely each is right: `[questions, systems]`, else -1."""


def lattice() -> list[Seen]:
    """Every set of systems, the largest first."""
    return [
        frozenset(chosen)
        for size in range(len(SYSTEMS), -1, -1)
        for chosen in combinations(SYSTEMS, size)
    ]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with the answers that are there: `[questions, error prices]`, GIVE or a system."""

    known: Mapping[Seen, Array]
    tried: Mapping[Seen, Array]


def plan(known: Chances, tried: Chances, fitted: Rows) -> Plan:
    """The least expected cost, worked out backwards; the value of more answers by regression."""
    price = fitted.usd.mean(0)
    values: dict[Seen, Array] = {}
    known_actions: dict[Seen, Array] = {}
    tried_actions: dict[Seen, Array] = {}
    for seen in lattice():
        features, others = _features(known[seen]), _features(tried[seen])
        options, tried_options = {GIVE: _given(known[seen])}, {GIVE: _given(tried[seen])}
        actual = dict(options)
        for place, system in enumerate(SYSTEMS):
            if system in seen:
                continue
            next_value = values[seen | {system}]
            weights = _ridge(features, next_value)
            options[place] = price[place] + features @ weights
            tried_options[place] = price[place] + others @ weights
            actual[place] = price[place] + next_value
        known_actions[seen] = _cheapest(options)
        tried_actions[seen] = _cheapest(tried_options)
        values[seen] = _taken(actual, known_actions[seen])
    return Plan(known_actions, tried_actions)


def _given(chance: Array) -> Array:
    """What giving the surest answer costs in expectation; without one, no end of money."""
    best = chance.max(1)
    return np.where(best[:, None] < 0, np.inf, np.outer(1 - best, ERROR_PRICES))


def _features(chance: Array) -> Array:
    """Of the chances of the answers that are there: each, its square, and the best one bent."""
    there = chance[:, chance[0] >= 0]
    columns = [np.ones(len(chance))]
    if there.shape[1]:
        best = there.max(1)
        columns += [best, best**2, np.maximum(best - 0.8, 0), np.maximum(best - 0.9, 0)]
    return np.column_stack([*columns, there, there**2])


def _ridge(features: Array, targets: Array) -> Array:
    gram = features.T @ features + _SMALL * np.eye(features.shape[1])
    return np.linalg.solve(gram, features.T @ targets)


def _cheapest(options: Mapping[int, Array]) -> Array:
    actions = np.array(list(options))
    return actions[np.argmin(np.stack(list(options.values())), axis=0)]


def _taken(options: Mapping[int, Array], actions: Array) -> Array:
    return np.select([actions == action for action in options], list(options.values()))


def followed(actions: Mapping[Seen, Array], chance: Chances, rows: Rows) -> tuple[Array, Array]:
    """What following a plan costs, and whether the answer is right: `[questions, error prices]`."""
    shape = len(rows.usd), len(ERROR_PRICES)
    usd, right = np.zeros(shape), np.zeros(shape)
    waiting = {seen: np.zeros(shape, bool) for seen in lattice()}
    waiting[frozenset()][:] = True
    for seen in reversed(lattice()):
        given = waiting[seen] & (actions[seen] == GIVE)
        best = np.argmax(chance[seen], axis=1)
        right += given * rows.right[np.arange(len(best)), best][:, None]
        for place, system in enumerate(SYSTEMS):
            asked = waiting[seen] & (actions[seen] == place)
            usd += asked * rows.usd[:, [place]]
            if system not in seen:
                waiting[seen | {system}] |= asked
    return usd, right
