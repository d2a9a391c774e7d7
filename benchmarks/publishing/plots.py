"""Plots of the results, as SVG files that can be read on a light and on a dark page.

The same figures make the same file: no date, no random names.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

from benchmarks.publishing.markdown import Result
from benchmarks.publishing.summary import CALIBRATED, FILLED, OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GREY = "#7d8590"
OURS_LOOK: dict[str, Any] = {"color": "#3b82f6", "marker": "o", "lw": 2, "ms": 5, "zorder": 3}
OTHER_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": "#d97706", "marker": "s", "lw": 1.4, "ms": 4},
    {"color": "#16a34a", "marker": "^", "lw": 1.4, "ms": 4},
    {"color": "#a855f7", "marker": "D", "lw": 1.4, "ms": 4},
    {"color": GREY, "marker": "v", "lw": 1.4, "ms": 4},
)
SIZES = {1: (6.4, 3.6), 3: (8.8, 3.0)}
"""Width and height in inches, by panels."""

_STYLE: dict[str, object] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.facecolor": "none",
    "axes.titlesize": 9,
    "axes.titlecolor": GREY,
    "figure.facecolor": "none",
    "xtick.color": GREY,
    "ytick.color": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "axes.grid": True,
    "legend.frameon": False,
    "legend.handlelength": 3.2,
}
_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)


def draw_plots(results: Mapping[str, Result]) -> dict[str, str]:
    """By file name, an SVG of each plot for which there is a result."""
    return {
        f"results-{name}.svg": _svg(name, panels, draw, results[source])
        for name, (source, panels, draw) in _PLOTS.items()
        if source in results and (draw is not _reliability or _bins(results[source]))
    }


def _svg(
    name: str, panels: int, draw: Callable[[Sequence[Axes], Result], None], result: Result
) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=SIZES[panels], layout="constrained")
        draw(figure.subplots(1, panels, squeeze=False)[0], result)
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    lines = _METADATA.sub("", written.getvalue()).splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _compression(panels: Sequence[Axes], result: Result) -> None:
    [axes] = panels
    shares = sorted(result["shares"])
    retained = result["retained"]
    others = [name for name in retained if not name.startswith("ours")]
    for name, look in [("ours", OURS_LOOK), *zip(others, cycle(OTHER_LOOKS))]:
        values = [retained[name][str(one)][0] for one in shares]
        label = OURS if name == "ours" else name
        axes.plot([100 * one for one in shares], values, label=label, **look)
    _log_axis(axes, [100 * one for one in shares], "{:.0f}%")
    axes.set(xlabel="tokens kept", ylabel="answers retained", ylim=(0, 1.02))
    axes.legend(loc="lower right")


def _spans(panels: Sequence[Axes], result: Result) -> None:
    [axes] = panels
    part = result["held_out"]
    ours = [(FILLED, OURS_LOOK), (f"{OURS}, chunks", OURS_LOOK | {"ls": "--"})]
    ways = part["ours"] | part["others"]
    for name, look in [*ours, *zip(part["others"], cycle(OTHER_LOOKS))]:
        sent = ways[name].values()
        tokens, recalls = [one["tokens"] for one in sent], [one["recall"] for one in sent]
        axes.plot(tokens, recalls, label=name, **look)
    _log_axis(axes, [int(budget) for budget in ways[FILLED]], "{:,.0f}")
    axes.set(xlabel="tokens of context, mean", ylabel="evidence found", ylim=(0, 1.02))
    axes.legend(loc="lower right")


def _growth(panels: Sequence[Axes], result: Result) -> None:
    time, storing, memory = panels
    steps = result["steps"]
    chunks = [step["chunks"] for step in steps]
    second = OTHER_LOOKS[0]
    time.plot(chunks, [s["retrieve_ms"]["median"] for s in steps], label="question", **OURS_LOOK)
    time.plot(chunks, [s["search_ms"]["median"] for s in steps], label="search alone", **second)
    time.set(title="time of a question, ms")
    storing.plot(chunks, [s["upsert_s"] for s in steps], **OURS_LOOK)
    storing.set(title="storing, without embedding, s")
    held = [step["memory_mb"]["asked"] for step in steps]
    memory.plot(chunks, [one["own"] for one in held], label="own", **OURS_LOOK)
    memory.plot(chunks, [one["of_files"] for one in held], label="mapped files", **second)
    memory.set(title="memory, MB")
    for axes in panels:
        _log_axis(axes, chunks, "{:,.0f}")
        axes.set(xlabel="chunks")
        axes.set_ylim(bottom=0)
    time.legend()
    memory.legend()


def _reliability(panels: Sequence[Axes], result: Result) -> None:
    [axes] = panels
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--")
    for (name, bins), look in zip(_bins(result).items(), cycle((OURS_LOOK, *OTHER_LOOKS))):
        confidences, right = [one[0] for one in bins], [one[1] for one in bins]
        axes.plot(confidences, right, label=name, **look)
    axes.set(xlabel="confidence", ylabel="share of answers that are right", xlim=(0, 1))
    axes.set_ylim(0, 1.02)
    axes.legend(loc="upper left")


def _bins(result: Result) -> dict[str, Sequence[Sequence[float]]]:
    """By set, the points of those that are shown: confidence, share right, answers."""
    return {
        name: told["bins"]
        for name, told in result["held_out"].items()
        if name in ("all", *CALIBRATED) and "bins" in told
    }


def _log_axis(axes: Axes, ticks: Sequence[float], form: str) -> None:
    axes.set_xscale("log")
    axes.set_xticks(ticks, [form.format(one) for one in ticks])
    axes.set_xticks([], minor=True)


_PLOTS: dict[str, tuple[str, int, Callable[[Sequence[Axes], Result], None]]] = {
    "compression": ("compression", 1, _compression),
    "spans": ("spans", 1, _spans),
    "growth": ("growth", 3, _growth),
    "reliability": ("quotes", 1, _reliability),
}
"""By name: the result it is drawn from, how many panels it has, and what draws them."""
