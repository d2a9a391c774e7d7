"""The prices in force: the operator's own first, else the table of the package `genai-prices`.

Nothing is fetched: the table is as old as the package. It knows prices that change on a day or by
the hour, of long prompts and of batches; a model that charges for more than tokens in each call
has no price here, since its cost cannot be told from tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING

from generation.money.price_file import OwnPrice
from generation.money.prices import Price, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

_BATCH = {"processing": "batch"}
_NOT_TOKENS = ("requests_kcount", "output_citation_mtok")
"""Charged for in each call, and in no usage that a provider reports."""


def _now() -> datetime:
    return datetime.now(UTC)


class PriceTable:
    """Knows what models cost now. A model is looked up under the exact name of its provider."""

    def __init__(
        self,
        own: Mapping[tuple[str, str], OwnPrice] | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        """`own` are the operator's prices, as `read_price_file` gives them."""
        self._own = own or {}
        self._now = now

    def price(self, provider: str, model: str) -> Price | None:
        """The price of a call that is answered at once; None where none is known."""
        own = self._own.get((provider.lower(), model.lower()))
        if own is not None:
            return own.price
        found = _find(provider, model)
        return None if found is None else _published(*found, self._now())

    def batch_price(self, provider: str, model: str) -> Price | None:
        """The price of the same call put to a batch endpoint; None where none is known."""
        own = self._own.get((provider.lower(), model.lower()))
        if own is not None:
            return own.batch
        found = _find(provider, model)
        return None if found is None else _published_batch(*found, self._now())

    def price_of_maker(self, model: str) -> Price | None:
        """The price of a model by its name alone: the operator's own, else its maker's."""
        for (_, name), own in self._own.items():
            if name == model.lower():
                return own.price
        found = _find(None, model)
        return None if found is None else _published(*found, self._now())


def _find(provider: str | None, model: str) -> tuple[Provider, ModelInfo] | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        found, info = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return (found, info) if provider is None or provider.lower() == found.id else None


def _published(provider: Provider, info: ModelInfo, at: datetime) -> Price | None:
    return _as_price(provider, info, info.get_prices(at), at)


def _published_batch(provider: Provider, info: ModelInfo, at: datetime) -> Price | None:
    known = any(
        variant.when == _BATCH and (variant.constraint is None or variant.constraint.active(at))
        for variant in info.price_variants or ()
    )
    own = any(info is model for model in provider.models)  # not another provider's, lent by it
    return _as_price(provider, info, info.get_prices(at, _BATCH), at) if known and own else None


def _as_price(provider: Provider, info: ModelInfo, found: ModelPrice, at: datetime) -> Price | None:
    if found.input_mtok is None or found.output_mtok is None:
        return None
    if any(getattr(found, name) is not None for name in _NOT_TOKENS):
        return None
    published = {
        "input": found.input_mtok,
        "output": found.output_mtok,
        "cached_input": found.cache_read_mtok,
        "cache_write": found.cache_write_mtok,
        "reasoning": found.output_reasoning_mtok,
    }
    starts = {0} | {start for price in published.values() for start in _starts(price)}
    return Price(
        provider.id,
        info.id,
        tuple(_rates(published, start) for start in sorted(starts)),
        _table_date(at.date()),
        _source(),
    )


def _starts(price: Decimal | TieredPrices | None) -> list[int]:
    return [] if price is None or isinstance(price, Decimal) else [t.start for t in price.tiers]


def _rates(published: Mapping[str, Decimal | TieredPrices | None], start: int) -> Rates:
    at_start = {name: _rate(price, start) for name, price in published.items()}
    return Rates(**at_start, above_input_tokens=start)  # type: ignore[arg-type]


def _rate(price: Decimal | TieredPrices | None, start: int) -> Decimal | None:
    if price is None or isinstance(price, Decimal):
        return price
    return next((t.price for t in reversed(price.tiers) if t.start <= start), price.base)


@cache
def _source() -> str:
    return f"genai-prices {version('genai-prices')}"


@lru_cache(maxsize=1)
def _table_date(today: date) -> date:
    """The newest day that has come of those on which a price in the table begins."""
    from genai_prices.data_snapshot import get_snapshot
    from genai_prices.types import StartDateConstraint

    models = [model for provider in get_snapshot().providers for model in provider.models]
    constraints = [row.constraint for model in models for row in model.price_variants or ()]
    for model in models:
        if isinstance(model.prices, list):
            constraints.extend(row.constraint for row in model.prices)
    days = [each.start_date for each in constraints if isinstance(each, StartDateConstraint)]
    return max((day for day in days if day <= today), default=today)
