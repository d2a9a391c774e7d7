"""Tables and numbers as the page of results writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Result = Mapping[str, Any]
"""What one benchmark has written, as it stands in its JSON."""


class Row(NamedTuple):
    """One goal. `reached` is None where none was set."""

    what: str
    measured: str
    against: str
    wanted: str
    reached: bool | None


def table(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def share(value: float | None) -> str:
    """A figure from 0 to 1; unknown stays empty."""
    return "" if value is None else f"{value:.3f}"


def between(low: float | None, high: float | None) -> str:
    """An interval; unknown stays empty."""
    return "" if low is None or high is None else f"{low:+.3f} to {high:+.3f}"


def with_interval(figure: Sequence[float]) -> str:
    """A mean with its 95% interval."""
    value, low, high = figure
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def listed(values: Iterable[float]) -> str:
    """Shares of one row side by side."""
    return " / ".join(map(share, values))


def p_value(value: float | None) -> str:
    """The probability of such a difference by chance; unknown stays empty."""
    if value is None:
        return ""
    return "below 0.001" if value < 0.001 else f"{value:.3f}"
