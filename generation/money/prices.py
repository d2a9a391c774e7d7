"""What tokens of a model cost: its rates, from which day, by whose word."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from rag.types import Usage

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Dollars per million tokens of a call whose input has more than `above_input_tokens`.

    They hold for all tokens of such a call, not for those above alone. A rate that is None is not
    set apart by the provider: then tokens read from its cache or written to it cost as much as
    other input, and those of reasoning as much as other output.
    """

    input: Decimal
    output: Decimal
    cached_input: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    above_input_tokens: int = 0

    @property
    def dearest_input(self) -> Decimal:
        """The most that a token of input can cost."""
        return max(_known(self.input, self.cached_input, self.cache_write))

    @property
    def dearest_output(self) -> Decimal:
        """The most that a token of output can cost."""
        return max(_known(self.output, self.reasoning))

    def cost_usd(self, usage: Usage) -> Decimal:
        """Dollars for `usage`, each of its tokens counted once."""
        parts = (
            (usage.cached_input_tokens, self.cached_input, self.input),
            (usage.cache_write_tokens, self.cache_write, self.input),
            (usage.reasoning_tokens, self.reasoning, self.output),
        )
        whole = usage.input_tokens * self.input + usage.output_tokens * self.output
        apart = sum(
            (tokens * (rate - inside) for tokens, rate, inside in parts if rate is not None),
            start=Decimal(0),
        )
        return (whole + apart) / _MILLION


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens of `model` cost at `provider`, as of a day and by a source.

    `rates` are at least one: first those of a short prompt, then those of ever longer ones.
    """

    provider: str
    model: str
    rates: tuple[Rates, ...]
    as_of: date
    source: str

    def cost_usd(self, usage: Usage) -> Decimal:
        """Dollars for `usage`, by the rates that a prompt of its length has."""
        return self._rates_of(usage.input_tokens).cost_usd(usage)

    def at_most_usd(self, input_tokens: int, output_tokens: int) -> Decimal:
        """Dollars that a call of at most so many tokens cannot pass, whichever kinds they are."""
        within = [
            r for r in self.rates if r is self.rates[0] or input_tokens > r.above_input_tokens
        ]
        dearest = max(
            input_tokens * rates.dearest_input + output_tokens * rates.dearest_output
            for rates in within
        )
        return dearest / _MILLION

    def describe(self) -> str:
        """The whole price as JSON, short enough to stand beside each call that it was used for."""
        stated = {
            "provider": self.provider,
            "model": self.model,
            "usd_per_million": [_described(rates) for rates in self.rates],
            "as_of": self.as_of.isoformat(),
            "source": self.source,
        }
        return json.dumps(stated, separators=(",", ":"), ensure_ascii=False)

    def _rates_of(self, input_tokens: int) -> Rates:
        longer = [rates for rates in self.rates if input_tokens > rates.above_input_tokens]
        return longer[-1] if longer else self.rates[0]


def _known(*rates: Decimal | None) -> list[Decimal]:
    return [rate for rate in rates if rate is not None]


def _described(rates: Rates) -> dict[str, str | int]:
    stated: dict[str, str | int] = {}
    if rates.above_input_tokens:
        stated["above_input_tokens"] = rates.above_input_tokens
    for name in ("input", "cached_input", "cache_write", "output", "reasoning"):
        rate: Decimal | None = getattr(rates, name)
        if rate is not None:
            stated[name] = f"{rate:f}"
    return stated
