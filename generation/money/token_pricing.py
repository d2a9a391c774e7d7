"""What calls cost that are paid by the token."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from generation.money.prices import Price
from generation.providers.usage import MAX_OVERSHOOT, TEMPLATE_TOKENS
from rag.calls import Charge, ModelCall, Prompt
from rag.ports import TokenCounter
from rag.types import Usage

_NO_PRICE = "{}"
_OPENAI_TEMPLATE_TOKENS = 50
_OPENAI_COUNT = "o200k_base"
_HOLD_THE_LIMIT = ("openai", "anthropic")
"""Providers whose limit of output holds what a model thinks too. With others it may come on top."""


class TokenPricing:
    """Pricing of calls that are paid by the token."""

    def __init__(
        self,
        price: Callable[[], Price | None],
        input_tokens_at_most: Callable[[Prompt], int],
        output_factor: int = 1,
    ) -> None:
        """`price` is asked for each call, since prices change by the day and the hour.

        Output can be `output_factor` times as long as its limit (see `output_factor_of`).
        """
        self._price = price
        self._input_tokens_at_most = input_tokens_at_most
        self._output_factor = output_factor

    def at_most_usd(self, call: ModelCall) -> Decimal | None:
        """Dollars at the dearest rates, with every token of the output that is allowed."""
        price = self._price()
        if price is None:
            return None
        output = self._output_factor * call.max_output_tokens
        return price.at_most_usd(self._input_tokens_at_most(call.prompt), output)

    def begin(self) -> TokenMeter:
        """A call begins now, at the price of now."""
        return TokenMeter(self._price())


class TokenMeter:
    """The price of one call that is paid by the token."""

    def __init__(self, price: Price | None) -> None:
        self._price = price

    def end(self, usage: Usage | None) -> Charge:
        """Dollars for `usage`; None without it, or without a price."""
        if self._price is None:
            return Charge(None, _NO_PRICE)
        usd = None if usage is None else self._price.cost_usd(usage)
        return Charge(usd, self._price.describe())


def output_factor_of(provider: str) -> int:
    """How many times its limit the output of a provider's model can be, with what it thinks."""
    return 1 if provider.lower() in _HOLD_THE_LIMIT else MAX_OVERSHOOT


def input_tokens_at_most(
    provider: str, model: str, counter: TokenCounter
) -> Callable[[Prompt], int]:
    """Counts the tokens that a prompt to this model cannot pass.

    `counter` counts as the vocabulary o200k_base does. OpenAI's models that use it get that count
    and 5% more. Any other tokenizer, of which nothing is known, makes no more tokens than a text
    has bytes in UTF-8.
    """
    if provider.lower() == "openai" and _encoding_of(model) == _OPENAI_COUNT:
        return lambda prompt: _counted(prompt, counter)
    return _bytes


def _counted(prompt: Prompt, counter: TokenCounter) -> int:
    tokens = counter.count(prompt.system) + counter.count(prompt.user)
    return -(-tokens * 105 // 100) + _OPENAI_TEMPLATE_TOKENS


def _bytes(prompt: Prompt) -> int:
    return len((prompt.system + prompt.user).encode("utf-8", "replace")) + TEMPLATE_TOKENS


def _encoding_of(model: str) -> str | None:
    from tiktoken.model import encoding_name_for_model

    try:
        return encoding_name_for_model(model)
    except KeyError:
        return None
