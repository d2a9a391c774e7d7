"""Which questions of a batch are asked: decided as at any other time, once all is known but money.

Where the money does not do for all of them, it goes where a dollar gains most (`asking`): most
questions that are answered rightly, or rightly not answered. By its skill a model makes out both
what the context holds and that it holds nothing. So where a quote would be given, the call gains
that skill less the confidence of the quote; where none would be, the chance of an answer. With a
calibrated confidence this buys more than the chance less the confidence, which gives quotes away
that are likely wrong (`benchmarks.batch_allocation`).

Which of the calls are made is OptLLM's problem (2405.15130) with two ways for each question, to ask
or not: a knapsack. Calls in the order of what they gain for a dollar solve it but for a part of one
call (Dantzig, "Discrete-variable extremum problems", 1957).
"""

from __future__ import annotations

from dataclasses import dataclass

from generation.batching.gathering import Gathered
from generation.deciding.chances import ChanceEstimator
from generation.deciding.policy import Case, Choice, Policy
from rag.types import Generation, Tier

_LEAST_USD = 1e-15

ASKED: Tier = "premium"
"""Whose model a batch goes to."""


@dataclass(frozen=True, slots=True)
class Decided:
    """Whether a question is asked, and why; `gain`, -1 to 1, is what its call is worth.

    That ranks questions, also where it is less sure than a decision by itself would need.
    """

    is_asked: bool
    because: str
    gain: float = 0.0


class BatchChoosing:
    """Decides by `policy`; `chances` tell what is to be gained.

    A quote whose confidence is below `abstain_below`, 0 to 1, would not be given.
    """

    def __init__(self, policy: Policy, chances: ChanceEstimator, abstain_below: float) -> None:
        self._policy = policy
        self._chances = chances
        self._abstain_below = abstain_below

    async def decide(self, found: Gathered) -> Decided:
        """Whether to ask it. Where nothing was found there is nothing to ask the model about."""
        if not found.context.pieces:
            return Decided(False, "nothing was found that a model could answer from")
        case = Case(found.question, found.hits, found.context, [found.quote], [ASKED])
        choice = await self._policy.choose(case)
        if choice.tier != ASKED:
            return Decided(False, choice.because)
        return Decided(True, choice.because, await self._gain(case, found.quote))

    async def _gain(self, case: Case, quote: Generation) -> float:
        if not quote.abstained and quote.confidence >= self._abstain_below:
            return self._chances.skill(ASKED) - quote.confidence
        told = await self._chances.estimate(case, [ASKED])
        return told.by_tier[ASKED].chance


def gain_per_usd(gain: float, price_usd: float) -> float:
    """What a dollar buys of it, by which calls are made in turn; at a price of 0 the most."""
    return gain / max(price_usd, _LEAST_USD)


@dataclass(frozen=True, slots=True)
class AsDecided:
    """A Policy for a question that was decided when its batch was made: each tier left is asked."""

    because: str

    async def choose(self, case: Case) -> Choice:
        """See `Policy`."""
        return Choice(next(iter(case.left), None), self.because)
