"""Draws what was spent and what was saved, day by day, into an SVG or PNG file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from api.models.costs import CostsOut, SumOut
from api.reports.drawing import LINE, MUTED, SAVED, SPENT, drawn_into

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Days = npt.NDArray[np.float64]
"""As matplotlib counts them; shape `[days]`."""

WIDTH, HEIGHT = 8.0, 5.4
BAR = 0.38  # of a day
LEAST_DAYS = 7  # on the axis, so that a single day is no wall of colour


def draw_costs(costs: CostsOut, file: Path) -> None:
    """Draw `costs`, by day and at least one: each day above, all days up to it below.

    Raises InputError where the file cannot be written.
    """
    from matplotlib.dates import date2num

    dates, spent, saved = _by_day(costs.rows)
    days = date2num(dates)
    with drawn_into(file, WIDTH, HEIGHT) as figure:
        daily, running = figure.subplots(2, 1, sharex=True)
        _bars(daily, days, spent, saved)
        _lines(running, days, spent, saved)
        _set_days(running, days)
        for axes in (daily, running):
            _set_dollars(axes)
        figure.supxlabel(_missing(costs), fontsize=8, color=MUTED)


def _by_day(rows: Sequence[SumOut]) -> tuple[list[date], list[float], list[float]]:
    """Every day from the first row's to the last one's, with what was spent and saved on it."""
    by_day = {date.fromisoformat(row.name): row for row in rows}
    first, last = min(by_day), max(by_day)
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    spent = [float(by_day[day].spent_usd or 0) if day in by_day else 0.0 for day in days]
    saved = [float(by_day[day].saved_usd or 0) if day in by_day else 0.0 for day in days]
    return days, spent, saved


def _missing(costs: CostsOut) -> str:
    """What the drawing does not show since nobody knows it; empty if nothing."""
    days = sum(row.baseline_usd is not None and row.saved_usd is None for row in costs.rows)
    missing = {"calls without a known cost": costs.total.unknown_calls}
    missing["days without a known saving"] = days
    told = [f"{what}: {number:,}" for what, number in missing.items() if number]
    return f"not shown are {', '.join(told)}" if told else ""


def _bars(axes: Axes, days: Days, spent: Sequence[float], saved: Sequence[float]) -> None:
    axes.bar(days - BAR / 2, spent, BAR, color=SPENT, label="spent")
    axes.bar(days + BAR / 2, saved, BAR, color=SAVED, label="saved against the baseline")
    axes.set_title("dollars each day")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderpad=0)


def _lines(axes: Axes, days: Days, spent: Sequence[float], saved: Sequence[float]) -> None:
    for values, colour in ((spent, SPENT), (saved, SAVED)):
        sums = list(accumulate(values))
        axes.plot(days, sums, "o-", color=colour, lw=1.6, ms=3)
        axes.annotate(
            f"${sums[-1]:,.4f}",
            (days[-1], sums[-1]),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
    axes.set_title("dollars up to each day")


def _set_days(axes: Axes, days: Days) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    margin = max(0.6, (LEAST_DAYS - len(days)) / 2)
    axes.set_xlim(days[0] - margin, days[-1] + margin)
    locator = AutoDateLocator(minticks=2, maxticks=10)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _set_dollars(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"${value:,g}")
    axes.axhline(0, color=LINE, lw=0.8, zorder=0)
    axes.grid(axis="y", color=LINE, lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0)
