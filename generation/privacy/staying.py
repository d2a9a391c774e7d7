"""Collections of which nothing leaves this machine: the premium tier is not asked about them.

Politeness, since `Masking` refuses such a call anyway: here the choice is made without the tier,
and an answer for which it was named says why it is of another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from generation.deciding.policy import Case, Choice, Policy
from generation.privacy.masking import STAYS
from rag.ports import Generator, Listener
from rag.types import Context, Generation, Hit, Question, Tier

_ELSEWHERE: Tier = "premium"


class StayingPolicy:
    """A Policy that decides as `policy` does, without the premium tier for these collections."""

    def __init__(self, policy: Policy, collections: Collection[str]) -> None:
        self._policy = policy
        self._collections = frozenset(collections)

    async def choose(self, case: Case) -> Choice:
        """See `Policy`."""
        collection = case.question.collection
        if collection not in self._collections or _ELSEWHERE not in case.left:
            return await self._policy.choose(case)
        left = [tier for tier in case.left if tier != _ELSEWHERE]
        choice = await self._policy.choose(replace(case, left=left))
        return replace(choice, because=f"{choice.because}; {STAYS}")


class StayingGenerator:
    """A Generator that quotes where the premium tier was named for one of these collections."""

    def __init__(self, generator: Generator, collections: Collection[str]) -> None:
        self._generator = generator
        self._collections = frozenset(collections)

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """The answer of the generator. Raises what that raises."""
        if question.collection not in self._collections or question.tier != _ELSEWHERE:
            return await self._generator.generate(question, hits, context, listener)
        here = replace(question, tier="extractive")
        generation = await self._generator.generate(here, hits, context, listener)
        told = f"{_ELSEWHERE} was not asked: {STAYS}"
        reasons = [told, *filter(None, [generation.degraded_because])]
        return replace(generation, degraded_because="; ".join(reasons))
