"""Draws the plots of a report, as SVG that takes its colours from the page around it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from evaluation.report import Report
from evaluation.statistics import Measurement
from rag.errors import MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INSTALL = "pip install 'thrifty-rag[evaluate]'"
WIDTH, HEIGHT = 5.2, 3.2
INK, ACCENT, MUTED, LINE = "#010101", "#020202", "#030303", "#040404"
_ON_THE_PAGE = {
    INK: "currentColor",
    ACCENT: "var(--accent)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
}
_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_SIZE = re.compile(r'(?<=<svg) (.*?)width="[^"]*" height="[^"]*"')


def check_plots() -> None:
    """Raises MissingExtraError where plots cannot be drawn."""
    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib, which draws the report of an evaluation,", INSTALL)


def draw_plots(report: Report) -> dict[str, str]:
    """By title, the plots for which the report has something, each an SVG element."""
    shares = [one for one in report.measurements if one.unit == "share"]
    tokens = [float(row.context_tokens) for row in report.rows]
    times = [sum(row.ms.values()) for row in report.rows if row.ms]
    plots: dict[str, str] = {}
    if shares:
        height = 0.7 + 0.25 * len(shares)
        plots["Quality"] = svg_of("quality", lambda axes: _intervals(axes, shares), height)
    if report.reliability:
        plots["Confidence and what is right"] = svg_of("bins", lambda axes: _bins(axes, report))
        plots["Refusing more"] = svg_of("refusing", lambda axes: _trade_off(axes, report))
    plots["Context"] = svg_of("context", lambda axes: _histogram(axes, tokens, "tokens of context"))
    if times:
        plots["Time"] = svg_of("time", lambda axes: _histogram(axes, times, "ms for an answer"))
    if costs := _costs_of(report):
        plots["Cost"] = svg_of("cost", lambda axes: _costs(axes, *costs), 1.5)
    return plots


def svg_of(name: str, draw: Callable[[Axes], None], height: float = HEIGHT) -> str:
    """What `draw` makes of empty axes. `name` keeps the ids inside apart from other plots'."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        draw(figure.add_subplot())
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    svg = _METADATA.sub("", svg[svg.index("<svg") :])
    svg = _SIZE.sub(r" \1", svg, count=1)
    for drawn, colour in _ON_THE_PAGE.items():
        svg = svg.replace(drawn, colour)
    return svg


def _intervals(axes: Axes, shares: Sequence[Measurement]) -> None:
    for height, one in enumerate(reversed(shares)):
        if one.low is not None and one.high is not None:
            axes.hlines(height, one.low, one.high, color=ACCENT, lw=2, alpha=0.45)
        if one.value is not None:
            axes.plot(one.value, height, "o", color=ACCENT, ms=5)
    axes.set_yticks(range(len(shares)), [one.name for one in reversed(shares)])
    axes.set_xlim(-0.02, 1.02)
    axes.grid(axis="x", color=LINE, lw=0.6)
    axes.tick_params(length=0)


def _bins(axes: Axes, report: Report) -> None:
    bins = report.reliability
    most = max(one.n for one in bins)
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--")
    axes.bar(
        [(one.low + one.high) / 2 for one in bins],
        [0.25 * one.n / most for one in bins],
        0.08,
        color=LINE,
    )
    axes.plot(
        [one.confidence for one in bins],
        [one.right for one in bins],
        "o-",
        color=ACCENT,
        ms=5,
        lw=1.2,
    )
    axes.set(xlim=(0, 1), ylim=(0, 1.03), xlabel="confidence (bars: answers)", ylabel="share right")


def _trade_off(axes: Axes, report: Report) -> None:
    points = report.trade_off
    axes.plot([one.answered for one in points], [one.right for one in points], color=ACCENT, lw=1.6)
    axes.plot([points[0].answered], [points[0].right], "o", color=ACCENT, ms=6)
    axes.annotate(
        "as it is",
        (points[0].answered, points[0].right),
        textcoords="offset points",
        xytext=(0, 8),
        ha="right",
    )
    axes.set(xlim=(0, 1.03), ylim=(0, 1.05), xlabel="share answered", ylabel="share of those right")
    axes.grid(color=LINE, lw=0.6)


def _histogram(axes: Axes, values: Sequence[float], label: str) -> None:
    axes.hist(values, bins=min(30, max(5, len(values) // 4)), color=ACCENT, alpha=0.75)
    axes.set(xlabel=label, ylabel="questions", xlim=(0, max(values) * 1.03 or 1))
    axes.locator_params(axis="y", integer=True)


def _costs_of(report: Report) -> tuple[float, float] | None:
    """Dollars for all answers, and by the naive way, over the questions where both are known."""
    known = [
        (row.usd, row.baseline_usd)
        for row in report.rows
        if row.usd is not None and row.baseline_usd is not None
    ]
    if not known:
        return None
    return float(sum(paid for paid, _ in known)), float(sum(naive for _, naive in known))


def _costs(axes: Axes, paid: float, naive: float) -> None:
    bars = axes.barh(["baseline", "paid"], [naive, paid], color=[MUTED, ACCENT], height=0.55)
    axes.bar_label(bars, [f"${naive:,.4f}", f"${paid:,.4f}"], padding=4)
    axes.set(xlabel="dollars for all questions", xlim=(0, max(naive, paid) * 1.2 or 1))
    axes.tick_params(axis="y", length=0)
