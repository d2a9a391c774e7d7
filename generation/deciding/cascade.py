"""The cheapest tier that is good enough: quotes, the local model, the premium one.

Quotes are made first, since they cost nothing; then a policy decides who is asked next, if anybody.
A tier that is down, or that a budget does not let pass, is left out, and the answer says so. Before
a wall the context is made smaller first; then nobody is escalated to; then sentences are quoted;
and last the service abstains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.confidence.judging import Judge
from generation.deciding.policy import Case, Policy
from generation.deciding.tier_costs import TierCosts
from generation.writing.citing import NOT_FOUND
from rag.errors import BudgetError, ProviderError
from rag.ports import Compressor, Generator, Listener
from rag.types import Context, CostLine, Generation, Hit, Question, Tier

_SMALLER = (1 / 2, 1 / 4)
_LEAST_TOKENS = 60  # of a context: with fewer there is hardly a passage left to answer from


@dataclass(frozen=True, slots=True)
class TierGenerator:
    """A tier, and what answers in its name."""

    tier: Tier
    generator: Generator


class CascadeGenerator:
    """A Generator over several tiers, cheapest first; the first must need no server and no money.

    An answer whose confidence is below `abstain_below` (0 to 1) is not given at all. `judge` gives
    answers their confidence; what calls cost is told to `costs`.
    """

    def __init__(
        self,
        tiers: Sequence[TierGenerator],
        compressor: Compressor,
        policy: Policy,
        abstain_below: float,
        *,
        judge: Judge | None = None,
        costs: TierCosts | None = None,
    ) -> None:
        self._tiers = {tier.tier: tier for tier in tiers}
        self._free = tiers[0]
        self._compressor = compressor
        self._policy = policy
        self._abstain_below = abstain_below
        self._judge = judge or Judge({})
        self._costs = costs or TierCosts({})

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """The best answer that was to be had; it says why it is not the one that was due."""
        answering = _Answering(
            question,
            hits,
            context,
            listener,
            compressor=self._compressor,
            judge=self._judge,
            costs=self._costs,
        )
        named = self._tiers.get(question.tier) if question.tier is not None else None
        if named is not None:
            await answering.ask(named)
            because = f"{named.tier} was asked for"
        else:
            await answering.ask(self._free)
            because = await self._go_on(answering)
        if not answering.made:  # the tier that was asked for is down
            await answering.ask(self._free)
        return answering.best(because, self._abstain_below)

    async def _go_on(self, answering: _Answering) -> str:
        """Asks as long as the policy says so; gives the reasons of its decisions."""
        left = [tier for tier in self._tiers if tier != self._free.tier]
        because: dict[str, None] = {}
        while True:
            choice = await self._policy.choose(answering.case(left))
            because[choice.because] = None  # the same where a tier was down
            if choice.tier is None:
                return "; then ".join(because)
            left = left[left.index(choice.tier) + 1 :]
            await answering.ask(self._tiers[choice.tier])


class _Answering:
    """One question on its way through the tiers: what was made of it, and what went wrong."""

    def __init__(
        self,
        question: Question,
        hits: Sequence[Hit],
        context: Context,
        listener: Listener,
        *,
        compressor: Compressor,
        judge: Judge,
        costs: TierCosts,
    ) -> None:
        self._question, self._hits, self._context = question, hits, context
        self._listener = listener
        self._compressor = compressor
        self._judge = judge
        self._costs = costs
        self._reasons: list[str] = []
        self.made: list[Generation] = []

    def case(self, left: Sequence[Tier]) -> Case:
        """How it stands, with the tiers that are left."""
        return Case(self._question, self._hits, self._context, self.made, left)

    async def ask(self, tier: TierGenerator) -> None:
        """Ask a tier; whatever comes of it is noted."""
        if self.made:
            self._question = replace(self._question, escalated_from=self.made[-1].tier)
            self._listener.restart()
        watch = _Watch(self._listener)
        try:
            generation = await self._generate(tier, watch)
        except (ProviderError, BudgetError) as error:
            self._listener.restart()
            self._reasons.append(f"{tier.tier} did not answer: {error}")
            return
        self._costs.learn(tier.tier, watch.lines)
        if generation.abstained and generation.degraded_because is not None:
            self._reasons.append(f"{tier.tier} did not answer: {generation.degraded_because}")
        else:
            quote = next(
                (one for one in (*self.made, generation) if one.tier == "extractive"), None
            )
            self.made.append(
                self._judge.judge(generation, self._question.collection, self._hits, quote)
            )

    async def _generate(self, tier: TierGenerator, listener: Listener) -> Generation:
        """The answer of one tier, from a smaller context where a budget lets no larger one pass."""
        question, hits, context = self._question, self._hits, self._context
        try:
            return await tier.generator.generate(question, hits, context, listener)
        except BudgetError as error:
            for share in _SMALLER:
                max_tokens = int(context.tokens * share)
                if max_tokens < _LEAST_TOKENS:
                    break
                smaller = await asyncio.to_thread(
                    self._compressor.compress, question, hits, max_tokens
                )
                try:
                    generation = await tier.generator.generate(question, hits, smaller, listener)
                except BudgetError:
                    continue
                why = f"{tier.tier} got {smaller.tokens} tokens of context, not {context.tokens}"
                return replace(
                    generation,
                    degraded_because=f"{why}: {error}",
                    context_tokens=smaller.tokens,
                )
            raise

    def best(self, because: str, abstain_below: float) -> Generation:
        """The most confident answer, the dearer one of two equals; or an abstention.

        When a model has read the context and says that it does not answer, a quote of which we were
        not sure does not either.
        """
        last = self.made[-1]
        best = last
        if not last.abstained:
            best = max(reversed(self.made), key=lambda generation: generation.confidence)
            if best.confidence < abstain_below:
                because += f"; {best.confidence:.2f} is less than {abstain_below:.2f}, so no answer"
                best = replace(best, text=NOT_FOUND, citations=(), abstained=True)
        if best.tier != last.tier:
            self._listener.restart()
        told = [*self._reasons, *filter(None, [best.degraded_because])]
        return replace(best, degraded_because="; ".join(told) or None, because=because)


class _Watch:
    """A Listener that keeps the cost lines, and lets another one hear everything."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self.lines: list[CostLine] = []

    def text(self, piece: str) -> None:
        self._listener.text(piece)

    def restart(self) -> None:
        self._listener.restart()

    def cost(self, line: CostLine) -> None:
        self.lines.append(line)
        self._listener.cost(line)
