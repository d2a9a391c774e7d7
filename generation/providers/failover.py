"""Several models as one: the cheapest that works answers.

Each call goes to the model that should cost least for it, and to the next dearer one when that
fails before it wrote anything, for whatever reason. A call that does not fit into a budget goes no
further: the next model is dearer.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from decimal import Decimal

from rag.calls import ModelCall, ModelEvent
from rag.errors import BudgetError, ProviderError
from rag.ports import LanguageModel, Pricing
from rag.types import CostLine


class FailoverModel:
    """A LanguageModel over `models`, at least one, each with its prices.

    They are tried in order of what the call may cost at most; those without a known price come
    last, and equals stay in the order given. When all fail, the error names each; it is of a class
    that may be tried again if one of them may.
    """

    def __init__(self, models: Sequence[tuple[LanguageModel, Pricing]]) -> None:
        self._models = tuple(models)

    @property
    def provider(self) -> str:
        """That of the first model given; the CallEnd tells which one answered."""
        return self._models[0][0].provider

    @property
    def model(self) -> str:
        """That of the first model given."""
        return self._models[0][0].model

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """As the first model that does not fail, after the cost lines of those that did."""
        failures: list[tuple[LanguageModel, ProviderError | BudgetError]] = []
        for model in self._cheapest_first(call):
            has_written = False
            try:
                async with aclosing(model.stream(call)) as events:
                    async for event in events:
                        has_written |= not isinstance(event, CostLine)
                        yield event
                return
            except (ProviderError, BudgetError) as error:
                if has_written:
                    raise
                failures.append((model, error))
                if isinstance(error, BudgetError):
                    break
        raise _together(failures)

    def _cheapest_first(self, call: ModelCall) -> list[LanguageModel]:
        def cost(offer: tuple[LanguageModel, Pricing]) -> tuple[bool, Decimal]:
            usd = offer[1].at_most_usd(call)
            return usd is None, usd or Decimal(0)

        return [model for model, _ in sorted(self._models, key=cost)]


def _together(
    failures: Sequence[tuple[LanguageModel, ProviderError | BudgetError]],
) -> ProviderError | BudgetError:
    """One error for all: the only one itself, or one that names each and what it said."""
    errors = [error for _, error in failures]
    if len(errors) == 1:
        return errors[0]
    told = "; ".join(f"{model.model} at {model.provider}: {error}" for model, error in failures)
    chosen = next((error for error in errors if error.retryable), errors[-1])
    waits_s = [error.retry_after_s for error in errors if error.retry_after_s is not None]
    return type(chosen)(
        f"none of {len(errors)} models answered: {told}",
        retry_after_s=min(waits_s, default=None),
    )
