"""The frontier of cost and quality over a user's own outcomes."""

from __future__ import annotations

from collections.abc import Sequence

from api.fitting.calibrating import asked_of, traits_from, with_calibrated
from api.fitting.outcomes import Outcome
from api.settings import Settings
from generation.confidence.fitting import MIN_OF_EACH, MIN_OUTCOMES
from generation.deciding.decision import Option, Stakes
from generation.deciding.fitting_routes import RoutingExample, fit_router
from generation.deciding.frontier import Frontier, Played, Told, frontier
from rag.errors import InputError
from rag.ports import Embedder
from rag.types import Tier

_WRITTEN: tuple[Tier, ...] = ("local", "premium")
_FOLDS = 5


async def draw_frontier(
    outcomes: Sequence[Outcome], settings: Settings, embedder: Embedder, seed: int
) -> Frontier:
    """Over the questions that every tier has answered; the routing is fitted five times.

    A cost that no row tells is taken for nothing. Raises InputError where there are too few.
    """
    outcomes = with_calibrated(outcomes, seed)
    questions = _answered_by_all(outcomes)
    tiers = [tier for tier in _WRITTEN if tier in next(iter(questions.values()))]
    asked = await asked_of({key: list(told.values()) for key, told in questions.items()}, embedder)
    examples = [
        RoutingExample(one, {tier: told[tier].is_right for tier in tiers})
        for one, told in zip(asked, questions.values(), strict=True)
    ]
    traits = traits_from(outcomes)
    prices = {tier: _mean_usd([told[tier] for told in questions.values()]) for tier in tiers}
    played = []
    for fold in range(_FOLDS):
        router = fit_router(
            [one for place, one in enumerate(examples) if place % _FOLDS != fold], seed
        )
        for place, told in enumerate(questions.values()):
            if place % _FOLDS != fold:
                continue
            chances = router.chances(examples[place].asked)
            options = tuple(
                Option(
                    tier=tier,
                    price_usd=prices[tier],
                    seconds=0.0,
                    chance=chances[tier],
                    sharpness=traits[tier].sharpness,
                    after_error=traits[tier].after_error,
                )
                for tier in tiers
            )
            played.append(Played({tier: _told(one) for tier, one in told.items()}, options))
    stakes = Stakes(1.0, 0.0, settings.answers.abstain_below)
    return frontier(played, stakes)


def _answered_by_all(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], dict[Tier, Outcome]]:
    """The questions that every tier of the outcomes has answered, by question and collection."""
    tiers = {one.tier for one in outcomes}
    if not tiers & set(_WRITTEN):
        raise InputError(
            "no outcome is of the local or the premium tier: there is nothing to choose between"
        )
    found: dict[tuple[str, str], dict[Tier, Outcome]] = {}
    for one in outcomes:
        if one.question:
            found.setdefault((one.question, one.collection), {})[one.tier] = one
    whole = {key: told for key, told in found.items() if set(told) == tiers}
    if len(whole) < MIN_OUTCOMES * 5 // 4:
        raise InputError(
            f"{len(whole)} questions have an outcome of each of the tiers "
            f"{', '.join(sorted(tiers))}, at least {MIN_OUTCOMES * 5 // 4} are needed, with at "
            f"least {MIN_OF_EACH} right and wrong ones of each: judge more answers"
        )
    return whole


def _told(one: Outcome) -> Told:
    return Told(float(one.usd or 0), one.confidence, one.is_right)


def _mean_usd(told: Sequence[Outcome]) -> float:
    return sum(float(one.usd or 0) for one in told) / len(told)
