"""What tokens cost, from the dated table that comes with the `genai-prices` package.

Nothing is fetched: the table is as old as the package. A model it does not know has no price.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

from rag.types import Usage


@lru_cache(maxsize=256)
def price_usd_per_token(model: str) -> tuple[Decimal, Decimal] | None:
    """Dollars for one input and one output token of `model`, or None for an unknown model.

    The price of the first tier where a model's price grows with the length of its input.
    """
    from genai_prices import Usage as PricedUsage
    from genai_prices import calc_price

    million = 1_000_000
    try:
        read = calc_price(PricedUsage(input_tokens=1), model_ref=model).total_price
        both = calc_price(
            PricedUsage(input_tokens=1, output_tokens=million), model_ref=model
        ).total_price
    except LookupError:
        return None
    return read, (both - read) / million


def cost_usd(model: str, usage: Usage) -> Decimal | None:
    """Dollars for `usage` of `model` without caching discounts; None for an unknown model."""
    price = price_usd_per_token(model)
    if price is None:
        return None
    return usage.input_tokens * price[0] + usage.output_tokens * price[1]
