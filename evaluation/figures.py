"""How figures are written for people: in a table of the command line, and on the page."""

from __future__ import annotations

from evaluation.measures.table import Unit
from evaluation.statistics import Difference, Measurement

_DIGITS = {"share": 3, "tokens": 1, "ms": 1, "usd": 6}


def told(value: float | None, unit: Unit) -> str:
    """A figure in its unit; "unknown" for None."""
    if value is None:
        return "unknown"
    size = f"{abs(value):,.{_DIGITS[unit]}f}"
    sign = "−" if value < 0 and float(size.replace(",", "")) else ""
    return f"{sign}{'$' if unit == 'usd' else ''}{size}"


def interval(one: Measurement | Difference) -> str:
    """The 95% interval, empty where there is none."""
    if one.low is None or one.high is None:
        return ""
    return f"{told(one.low, one.unit)} to {told(one.high, one.unit)}"


def difference(one: Difference) -> str:
    """The difference with its sign."""
    if one.difference is None:
        return "unknown"
    text = told(one.difference, one.unit)
    return text if text.startswith("−") else f"+{text}"


COMPARED = ("measure", "earlier", "now", "difference", "95% interval", "p", "questions")
"""What the columns of a comparison are called; all but the first hold figures."""


def compared(one: Difference) -> list[str]:
    """A row of a comparison, under the names of COMPARED."""
    return [
        one.name,
        told(one.other, one.unit),
        told(one.value, one.unit),
        difference(one),
        interval(one),
        p_value(one),
        f"{one.n:,}",
    ]


def p_value(one: Difference) -> str:
    """The p-value; empty where there is none."""
    return "" if one.p is None else ("< 0.001" if one.p < 0.001 else f"{one.p:.3f}")
