"""What is known of an answer once it is there: its signals, and the confidence they are worth.

Whether the signals still look like those that were fitted on is watched, and told in the log.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace

from generation.confidence.calibration import Calibrator
from generation.confidence.drift import DriftWatch
from generation.confidence.signals import retrieval_signals
from rag.types import Generation, Hit, Tier

_LOOK_EVERY = 100  # answers of a tier
_log = logging.getLogger(__name__)


class Judge:
    """Gives answers the confidence that outcomes say their signals are worth.

    `calibrators` are by tier and collection, "" for all others. A tier without one keeps its own
    estimate. Where signals are not like those that were fitted on, the lower of both holds.
    """

    def __init__(self, calibrators: Mapping[tuple[Tier, str], Calibrator]) -> None:
        self._calibrators = dict(calibrators)
        self._watches = {key: DriftWatch(one) for key, one in calibrators.items()}
        self._seen = dict.fromkeys(calibrators, 0)
        self._told: set[str] = set()

    def drift(self) -> dict[str, float]:
        """By tier, collection and signal, the population stability index of the latest answers.

        Nothing is told of fewer than a hundred answers, of which chance decides.
        """
        return {
            f"{_name(key)}: {one.name}": one.index
            for key, watch in self._watches.items()
            for one in watch.report()
            if one.seen >= _LOOK_EVERY
        }

    def judge(
        self,
        made: Generation,
        collection: str,
        hits: Sequence[Hit],
        quote: Generation | None,
    ) -> Generation:
        """The same answer with all its signals; `quote` is the free tier's, if it was asked."""
        known = retrieval_signals(hits, quote)
        signals = {name: value for name, value in known.items() if value is not None}
        made = replace(made, signals=signals | dict(made.signals))
        key = made.tier, collection if (made.tier, collection) in self._calibrators else ""
        if key not in self._calibrators or made.abstained:
            return made
        self._watch(key, made)
        told = self._calibrators[key].estimate(made.signals)
        lower = min(told.probability, made.confidence)
        return replace(made, confidence=told.probability if told.is_in_range else lower)

    def _watch(self, key: tuple[Tier, str], made: Generation) -> None:
        self._watches[key].observe(made.signals)
        self._seen[key] += 1
        if self._seen[key] % _LOOK_EVERY:
            return
        for one in self._watches[key].report():
            name = f"{_name(key)}: {one.name}"
            if one.level == "drifted" and name not in self._told:
                self._told.add(name)
                _log.warning(
                    "answers have drifted from what their confidence was fitted on (%s, index "
                    "%.2f over %d answers): judge some of them, and run rag calibrate",
                    name,
                    one.index,
                    one.seen,
                )


def _name(key: tuple[Tier, str]) -> str:
    tier, collection = key
    return f"{tier} in {collection}" if collection else tier
