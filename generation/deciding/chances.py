"""How likely each tier that was not asked yet is to answer a question rightly.

A router that was fitted to outcomes tells it (`routing`). Before there is one, a tier is right if
the context holds the answer and the tier makes it out: the first is estimated from the signals of
retrieval and of the quotes, fitted on public question sets; the second is a stated share for each
tier, which no data stands behind. `chances.json` holds both and names the data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from generation.confidence.calibration import Calibrator
from generation.confidence.signals import retrieval_signals
from generation.deciding.asked import Asked
from generation.deciding.policy import Case
from generation.deciding.routing import Router
from rag.ports import Embedder
from rag.types import Passage, Tier


@dataclass(frozen=True, slots=True)
class TierChance:
    """The chance of a tier to be right; `sharpness` and `after_error` as in `decision.Option`."""

    chance: float
    sharpness: float
    after_error: float


@dataclass(frozen=True, slots=True)
class Chances:
    """By tier. Where they do not rest on what was fitted, `doubt` says why; empty where they do."""

    by_tier: Mapping[Tier, TierChance]
    doubt: str = ""


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a tier besides its chance for a question, each 0 to 1.

    `skill` is the share of answers that it makes out of those that the context holds.
    """

    skill: float
    sharpness: float
    after_error: float


class ChanceEstimator:
    """Estimates chances by the router, where there is one that knows the tier."""

    def __init__(
        self,
        holds_answer: Calibrator,
        traits: Mapping[Tier, Traits],
        embedder: Embedder,
        router: Router | None = None,
    ) -> None:
        self._holds_answer = holds_answer
        self._traits = dict(traits)
        self._embedder = embedder
        self._router = router

    async def estimate(self, case: Case, tiers: Sequence[Tier]) -> Chances:
        """The chances of these tiers, as they were before any of them was asked."""
        signals = retrieval_signals(case.hits, case.made[0])
        router = self._router
        if router is not None and all(tier in router.tiers for tier in tiers):
            embedded = await self._embedder.embed([Passage(case.question.text, "question")])
            asked = Asked(case.question.text, embedded[0].vector, case.question.collection, signals)
            told = router.estimate(asked)
            by_tier = {tier: self._fitted(tier, told.chances[tier]) for tier in tiers}
            return Chances(by_tier, "" if told.is_in_range else told.why)
        holds = self._holds_answer.estimate(signals)
        by_tier = {tier: self._stated(tier, holds.probability) for tier in tiers}
        return Chances(by_tier, "" if holds.is_in_range else holds.why)

    def skill(self, tier: Tier) -> float:
        """The share that a tier makes out of the answers that the context holds, 0 to 1."""
        return self._traits[tier].skill

    def _fitted(self, tier: Tier, chance: float) -> TierChance:
        traits = self._traits[tier]
        return TierChance(chance, traits.sharpness, traits.after_error)

    def _stated(self, tier: Tier, holds_answer: float) -> TierChance:
        """Where the tier before was wrong, the context more likely does not hold the answer."""
        traits = self._traits[tier]
        below = self._traits["local"].skill
        after_error = (1 - below) / (1 - holds_answer * below)
        return TierChance(holds_answer * traits.skill, traits.sharpness, after_error)


def bundled_chances() -> dict[str, Any]:
    """The record that comes with the project: `holds_answer`, and `traits` by tier."""
    record: dict[str, Any] = json.loads(files(__package__).joinpath("chances.json").read_text())
    return record


def traits_of(record: Mapping[str, Any]) -> dict[Tier, Traits]:
    """The traits in a record of chances, by tier."""
    return {tier: Traits(**told) for tier, told in record["traits"].items()}
