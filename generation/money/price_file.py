"""The operator's own prices, in a TOML file; they stand before the published ones.

    [[models]]
    provider = "openai"               # as the ledger calls it
    model = "gpt-4o"
    input = 2.50                      # dollars per million tokens, as all rates
    output = 10.00
    cached_input = 1.25               # optional, as are cache_write and reasoning
    batch_discount = 0.5              # optional: the share taken off at the batch endpoint
    as_of = 2026-11-01
    source = "https://openai.com/api/pricing/"

    [[models.tiers]]                  # optional: all tokens of a longer prompt
    above_input_tokens = 200_000
    input = 5.00
    output = 15.00
    cached_input = 2.50

A price without a date and a source is no price, so each needs both. Rates may stand in quotes.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NoReturn

from generation.money.prices import Price, Rates
from rag.errors import SettingsError

_NEEDED_RATES = ("input", "output")
_FURTHER_RATES = ("cached_input", "cache_write", "reasoning")
_RATES = (*_NEEDED_RATES, *_FURTHER_RATES)
_TEXTS = ("provider", "model", "source")
_ROW_FIELDS = (*_TEXTS, "as_of", *_RATES, "batch_discount", "tiers")
_TIER_FIELDS = ("above_input_tokens", *_RATES)
_MAX_RATE = 10_000
_MAX_TOKENS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class OwnPrice:
    """What the operator says of a model; `batch` is None where he says nothing of batches."""

    price: Price
    batch: Price | None


def read_price_file(path: Path, today: date) -> dict[tuple[str, str], OwnPrice]:
    """The prices in the file, by provider and model in small letters.

    `today` is the day in UTC: a price cannot be as of one that has not come. Raises SettingsError,
    one line with the row, the field and the mend.
    """
    prices: dict[tuple[str, str], OwnPrice] = {}
    for number, values in enumerate(_rows(path), start=1):
        row = _Row(f"{path}, model {number}", values)
        own = _own_price(row, today)
        key = own.price.provider.lower(), own.price.model.lower()
        if key in prices:
            row.refuse(f"{key[0]} {key[1]} has a price already", "keep one of the two rows")
        prices[key] = own
    return prices


def _rows(path: Path) -> list[Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"), parse_float=Decimal)
    except OSError as error:
        raise SettingsError(
            f"the price file {path} cannot be read ({error.strerror}): mend its path or its rights"
        ) from error
    except ValueError as error:  # of TOML, or of UTF-8
        raise SettingsError(
            f"the price file {path} is not TOML ({error}): mend it there"
        ) from error
    whole = _Row(str(path), table)
    whole.allow(("models",))
    return whole.list("models")


def _own_price(row: _Row, today: date) -> OwnPrice:
    row.allow(_ROW_FIELDS)
    provider, model, source = (row.text(name) for name in _TEXTS)
    row = _Row(f"{row.place} ({provider} {model})", row.values)
    given = [name for name in _RATES if name in row.values]
    rates = [_rates(row, (*_NEEDED_RATES, *given), 0)]
    for number, values in enumerate(row.list("tiers"), start=1):
        tier = _Row(f"{row.place}, tier {number}", values)
        tier.allow(_TIER_FIELDS)
        above = tier.tokens("above_input_tokens")
        if above <= rates[-1].above_input_tokens:
            tier.refuse(
                f"above_input_tokens is {above:,}, not more than {rates[-1].above_input_tokens:,}",
                "give the tiers in rising order",
            )
        for name in _RATES:
            if name in tier.values and name not in given:
                tier.refuse(f"{name} is not in the model's own row", "give it there too")
        rates.append(_rates(tier, given, above))
    price = Price(provider, model, tuple(rates), row.day("as_of", today), source)
    return OwnPrice(price, _batch(row, price))


def _rates(row: _Row, names: Collection[str], above: int) -> Rates:
    given = {name: row.number(name, _MAX_RATE) for name in names}
    return Rates(**given, above_input_tokens=above)


def _batch(row: _Row, price: Price) -> Price | None:
    if "batch_discount" not in row.values:
        return None
    share = 1 - row.number("batch_discount", 1)
    return replace(price, rates=tuple(_reduced(rates, share) for rates in price.rates))


def _reduced(rates: Rates, share: Decimal) -> Rates:
    given = {name: getattr(rates, name) for name in _RATES}
    reduced = {name: rate * share for name, rate in given.items() if rate is not None}
    return Rates(**reduced, above_input_tokens=rates.above_input_tokens)


class _Row:
    """One table of the file, and where it stands."""

    def __init__(self, place: str, values: Any) -> None:
        self.place = place
        if not isinstance(values, dict):
            self.refuse(f"{values!r} is no table", "begin each with [[models]] or [[models.tiers]]")
        self.values: Mapping[str, Any] = values

    def refuse(self, what: str, mend: str) -> NoReturn:
        raise SettingsError(f"{self.place}: {what}: {mend}")

    def allow(self, names: Collection[str]) -> None:
        for name in self.values:
            if name not in names:
                self.refuse(f"{name} is no field here", f"use only {', '.join(names)}")

    def list(self, name: str) -> list[Any]:
        value = self.values.get(name, [])
        if not isinstance(value, list):
            self.refuse(f"{name} is {value!r}, no list", f"write [[{name}]] in double brackets")
        return value

    def text(self, name: str) -> str:
        value = self._given(name, "give it, in quotes")
        if not isinstance(value, str) or not value.strip():
            self.refuse(f"{name} is {value!r}, no text", "give it, in quotes")
        return value.strip()

    def day(self, name: str, today: date) -> date:
        mend = f"write the day on which the price was seen, as {name} = {today}, without quotes"
        value = self._given(name, mend)
        if type(value) is not date:  # a datetime is one too
            self.refuse(f"{name} is {value!r}, no day", mend)
        if value > today + timedelta(days=1):  # it is tomorrow already in some places
            self.refuse(f"{name} is {value}, after today, {today}", mend)
        return value

    def tokens(self, name: str) -> int:
        mend = f"give a whole number, 1 to {_MAX_TOKENS:,}"
        value = self._given(name, mend)
        if type(value) is not int or not 1 <= value <= _MAX_TOKENS:
            self.refuse(f"{name} is {value!r}", mend)
        return value

    def number(self, name: str, most: int) -> Decimal:
        unit = "dollars per million tokens" if name in _RATES else "a share"
        mend = f"give {unit}, 0 to {most:,}"
        value = self._given(name, mend)
        try:
            number = None if isinstance(value, bool) else Decimal(value)
        except (InvalidOperation, TypeError, ValueError):
            number = None
        if number is None or not number.is_finite() or not 0 <= number <= most:
            self.refuse(f"{name} is {value}", mend)
        return number

    def _given(self, name: str, mend: str) -> Any:
        if name not in self.values:
            self.refuse(f"{name} is missing", mend)
        return self.values[name]
