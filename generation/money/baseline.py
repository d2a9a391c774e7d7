"""What the same question would cost the naive way: the top chunks whole, to a premium model."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from generation.money.price_table import PriceTable
from rag.ports import TokenCounter
from rag.types import Hit, Question, Usage

_INSTRUCTION_TOKENS = 60
"""Of a short system prompt: answer from the context, cite, say so when it is not there."""


class PremiumBaseline:
    """A Baseline: the first `chunks` hits whole, the question, a short instruction; the answer.

    The answer is taken to be as long as the one that was given.
    """

    def __init__(
        self, counter: TokenCounter, model: str, chunks: int, prices: PriceTable | None = None
    ) -> None:
        """`prices` are the published ones where none are given."""
        self._counter = counter
        self._model = model
        self._chunks = chunks
        self._prices = prices or PriceTable()

    def cost_usd(self, question: Question, hits: Sequence[Hit], answer: str) -> Decimal | None:
        """Dollars; None when the model's price is not known."""
        price = self._prices.price_of_maker(self._model)
        if price is None:
            return None
        sent = [question.text, *(hit.chunk.text for hit in hits[: self._chunks])]
        usage = Usage(
            input_tokens=_INSTRUCTION_TOKENS + sum(map(self._counter.count, sent)),
            output_tokens=self._counter.count(answer),
        )
        return price.cost_usd(usage)
