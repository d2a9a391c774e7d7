"""What came back from a batch, as if it was asked just now: so it is checked like any answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from generation.providers.batch import BatchAnswer
from rag.calls import ModelCall, ModelEvent, TextDelta
from rag.errors import BudgetError, ProviderError
from rag.ports import Listener
from rag.types import Context, CostLine, Generation, Hit, Question

Outcome = BatchAnswer | ProviderError | BudgetError
"""How a call of a batch ended; it was not made where a wall was in the way."""


@dataclass(frozen=True, slots=True)
class CollectedModel:
    """A LanguageModel that has answered one call already; `cost` is what that came to."""

    provider: str
    model: str
    outcome: Outcome
    cost: CostLine | None

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """The answer and its cost, or the cost and then the error."""
        if isinstance(self.outcome, BatchAnswer):
            yield TextDelta(self.outcome.text)
        if self.cost is not None:
            yield self.cost
        if not isinstance(self.outcome, BatchAnswer):
            raise self.outcome
        yield self.outcome.end


@dataclass(frozen=True, slots=True)
class KeptGenerator:
    """A Generator that has quoted already."""

    quote: Generation

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """The quote."""
        return self.quote


class Heard:
    """A Listener that keeps the costs, since nobody hears the text."""

    def __init__(self, lines: Sequence[CostLine]) -> None:
        self.lines = list(lines)

    def text(self, piece: str) -> None:
        """Comes with the answer."""

    def restart(self) -> None:
        """Nobody heard what is void."""

    def cost(self, line: CostLine) -> None:
        """One more."""
        self.lines.append(line)
