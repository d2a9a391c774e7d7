"""Dollars as whole pico-dollars, 1e-12 dollars, so that sums are exact in every database."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal

from rag.errors import SettingsError

_DIGITS = 12
_MOST_USD = Decimal(9_000_000)  # what 63 bits hold


def to_pico(usd: Decimal) -> int:
    """The nearest whole number of pico-dollars. Raises SettingsError for what no price gives."""
    return _scaled(usd, ROUND_HALF_EVEN)


def to_pico_at_most(usd: Decimal) -> int:
    """The next whole number of pico-dollars that is not less. Raises as `to_pico`."""
    return _scaled(usd, ROUND_CEILING)


def to_pico_limit(usd: Decimal) -> int:
    """A limit, which may be more than any sum comes to."""
    return to_pico(min(usd, _MOST_USD))


def to_usd(pico_usd: int) -> Decimal:
    """Dollars, exactly."""
    return Decimal(pico_usd).scaleb(-_DIGITS)


def shown(pico_usd: int) -> str:
    """Dollars for a message, as $0.25 or $0.0000004."""
    text = f"{to_usd(pico_usd):,.{_DIGITS}f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents:0<2}"


def _scaled(usd: Decimal, rounding: str) -> int:
    if not 0 <= usd <= _MOST_USD:
        raise SettingsError(
            f"a call costs ${usd:,f}, the limit is $0 to ${_MOST_USD:,f}: correct the price of its "
            "model in the file of prices"
        )
    return int(usd.scaleb(_DIGITS).to_integral_value(rounding))
