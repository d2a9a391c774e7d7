"""Several paths from question to answer side by side, each for a part of the conversations.

Knows neither what sets the paths apart nor who compares them.
"""

from __future__ import annotations

from collections.abc import Mapping

from rag.ports import Answerer, Assigner, Listener
from rag.types import Answer, Context, Hit, Question


class SplitPipeline:
    """An Answerer that leaves each conversation to the one of `arms` that `assigner` names.

    `outside` does what is not compared: it searches, gives contexts, and answers where the asker
    chose the tier himself, or wants an answer that is fresh.
    """

    def __init__(self, outside: Answerer, arms: Mapping[str, Answerer], assigner: Assigner) -> None:
        self._outside = outside
        self._arms = dict(arms)
        self._assigner = assigner

    async def search(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits, best first."""
        return await self._outside.search(question, k)

    async def context(self, question: Question, max_context_tokens: int | None = None) -> Context:
        """The compressed context alone; None takes the budget that is set."""
        return await self._outside.context(question, max_context_tokens)

    async def answer(
        self,
        question: Question,
        max_context_tokens: int | None = None,
        listener: Listener | None = None,
    ) -> Answer:
        """The answer of the conversation's arm, which stands on it."""
        answering = self._outside
        if question.tier is None and not question.is_fresh:
            answering = self._arms[await self._assigner.arm_of(question)]
        return await answering.answer(question, max_context_tokens, listener)
