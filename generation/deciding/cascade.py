"""The cheapest tier that is good enough: quote first, then the local model, then the premium one.

A plain rule decides: a tier is asked when the answer of the one before it has a confidence below
the limit. A tier that is down, or that a budget does not let pass, is left out, and the answer says
so. Before a wall the context is made smaller first; then nobody is escalated to; then sentences are
quoted; and last the service abstains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from generation.writing.citing import NOT_FOUND
from rag.errors import BudgetError, ProviderError
from rag.ports import Compressor, Generator, Listener
from rag.types import Context, Generation, Hit, Question, Tier

_SMALLER = (1 / 2, 1 / 4)
_LEAST_TOKENS = 60  # of a context: with fewer there is hardly a passage left to answer from


def is_good_enough(generation: Generation, escalate_below: float) -> bool:
    """Whether no dearer tier need be asked."""
    return not generation.abstained and generation.confidence >= escalate_below


@dataclass(frozen=True, slots=True)
class TierGenerator:
    """A tier, and what answers in its name."""

    tier: Tier
    generator: Generator


class CascadeGenerator:
    """A Generator over several tiers, cheapest first; the first must need no server and no money.

    An answer whose confidence is at least `escalate_below` (0 to 1) is good enough. One below
    `abstain_below` is not given at all.
    """

    def __init__(
        self,
        tiers: Sequence[TierGenerator],
        compressor: Compressor,
        escalate_below: float,
        abstain_below: float,
    ) -> None:
        self._tiers = tuple(tiers)
        self._compressor = compressor
        self._escalate_below = escalate_below
        self._abstain_below = abstain_below

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """The best answer that was to be had; it says why it is not the one that was due."""
        made: list[Generation] = []
        reasons: list[str] = []
        for tier in self._due(question):
            if made:
                listener.restart()
            try:
                generation = await self._ask(tier, question, hits, context, listener)
            except (ProviderError, BudgetError) as error:
                listener.restart()
                reasons.append(f"{tier.tier} did not answer: {error}")
                continue
            if generation.abstained and generation.degraded_because is not None:
                reasons.append(f"{tier.tier} did not answer: {generation.degraded_because}")
                continue
            made.append(generation)
            if is_good_enough(generation, self._escalate_below):
                break
        if not made:  # the tier that was asked for is down
            made.append(await self._tiers[0].generator.generate(question, hits, context, listener))
        best = self._best(made)
        if best is not made[-1]:
            listener.restart()
        told = [*reasons, *filter(None, [best.degraded_because])]
        return replace(best, degraded_because="; ".join(told) or None)

    def _due(self, question: Question) -> list[TierGenerator]:
        """The tiers that may be asked, in order; the tier that the asker named, and no other."""
        if question.tier is None:
            return list(self._tiers)
        return [tier for tier in self._tiers if tier.tier == question.tier]

    async def _ask(
        self,
        tier: TierGenerator,
        question: Question,
        hits: Sequence[Hit],
        context: Context,
        listener: Listener,
    ) -> Generation:
        """The answer of one tier, from a smaller context where a budget lets no larger one pass."""
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

    def _best(self, made: Sequence[Generation]) -> Generation:
        """The most confident answer, the dearer one of two equals; or an abstention.

        When a model has read the context and says that it does not answer, a quote of which we were
        not sure does not either.
        """
        last = made[-1]
        if last.abstained:
            return last
        best = max(reversed(made), key=lambda generation: generation.confidence)
        if best.confidence >= self._abstain_below:
            return best
        return replace(best, text=NOT_FOUND, citations=(), abstained=True)
