"""A policy of least expected dollars: the price, the price of an error, and that of waiting.

Falls back to the plain rule, and says so, where the chances do not rest on what was fitted.
"""

from __future__ import annotations

from dataclasses import replace

from generation.deciding.chances import ChanceEstimator, Chances
from generation.deciding.decision import Option, Plan, Stakes, after, plans
from generation.deciding.dials import Situation
from generation.deciding.policy import Case, Choice, PlainRule
from generation.deciding.price_of_error import PriceOfError
from generation.deciding.tier_costs import TierCosts
from rag.types import Tier


class ExpectedCost:
    """A Policy that asks whom the least expected cost says."""

    def __init__(
        self,
        chances: ChanceEstimator,
        costs: TierCosts,
        price_of_error: PriceOfError,
        fallback: PlainRule,
    ) -> None:
        self._chances = chances
        self._costs = costs
        self._price_of_error = price_of_error
        self._fallback = fallback

    async def choose(self, case: Case) -> Choice:
        """See `Policy`."""
        asked: list[Tier] = [one.tier for one in case.made[1:]]
        if not case.left and not asked:
            return Choice(None, f"{case.made[0].tier} is the only tier")
        chances = await self._chances.estimate(case, [*asked, *case.left])
        if chances.doubt:
            rule = await self._fallback.choose(case)
            return replace(
                rule, because=f"by the plain rule, since {chances.doubt}: {rule.because}"
            )
        stakes = self._price_of_error.stakes(case.question.collection)
        options = self._options(case, chances)
        confidence = _confidence(case)
        if not asked:
            await self._price_of_error.saw(Situation(confidence, tuple(options)))
        found = plans(confidence, options, stakes)
        best = found[0]
        return Choice(best.ask.tier if best.ask else None, _because(case, found, stakes))

    def _options(self, case: Case, chances: Chances) -> list[Option]:
        """What is left, in the light of what the tiers that were asked have said."""
        options = [self._option(tier, chances) for tier in case.left]
        for made in case.made[1:]:
            confidence = 0.0 if made.abstained else made.confidence
            options = [
                after(option, self._option(made.tier, chances), confidence) for option in options
            ]
        return options

    def _option(self, tier: Tier, chances: Chances) -> Option:
        cost, told = self._costs.of(tier), chances.by_tier[tier]
        return Option(tier, cost.usd, cost.seconds, told.chance, told.sharpness, told.after_error)


def _confidence(case: Case) -> float:
    """That of the answer that would be given now; 0 where a model found that there is none."""
    if case.made[-1].abstained and len(case.made) > 1:
        return 0.0
    return max((one.confidence for one in case.made if not one.abstained), default=0.0)


def _because(case: Case, found: list[Plan], stakes: Stakes) -> str:
    """The choice and what the others would have come to."""
    told = [_told(case, plan, stakes) for plan in found]
    others = f", against {'; '.join(told[1:])}" if len(told) > 1 else ""
    return f"{told[0]}{others}; an error costs ${stakes.error_usd:.3g}"


def _told(case: Case, plan: Plan, stakes: Stakes) -> str:
    if plan.ask is None:
        what = "no answer" if plan.abstains else f"the answer of {_surest(case)}"
        return f"{what} is expected to cost ${plan.total_usd:.3g} ({plan.chance:.0%} right)"
    then = " and perhaps a dearer one" if plan.price_usd > plan.ask.price_usd * 1.001 else ""
    return (
        f"asking {plan.ask.tier}{then} ${plan.total_usd:.3g} "
        f"(${plan.price_usd:.3g} for {plan.chance:.0%} right)"
    )


def _surest(case: Case) -> str:
    return max(reversed(case.made), key=lambda one: one.confidence).tier
