"""Draws cost against quality: every price of an error, and what to compare it with."""

from __future__ import annotations

from pathlib import Path

from api.reports.drawing import INK, LINE, MUTED, SAVED, SPENT, drawn_into
from generation.deciding.frontier import Frontier

_WIDTH, _HEIGHT = 6.4, 4.2
_STEPS = 40


def draw(frontier: Frontier, file: Path) -> None:
    """Dollars of 1,000 answers, and the share of right ones. Raises InputError."""
    with drawn_into(file, _WIDTH, _HEIGHT) as figure:
        axes = figure.subplots()
        points = sorted(frontier.points, key=lambda one: one.usd)
        axes.plot(
            [1000 * one.usd for one in points],
            [one.quality for one in points],
            "o-",
            color=SAVED,
            ms=3,
            lw=1.6,
            label="by expected cost, for each price of an error",
        )
        lowest = min(one.quality for one in frontier.singles)
        highest = max(one.quality for one in frontier.singles)
        mixed = [lowest + (highest - lowest) * step / _STEPS for step in range(_STEPS + 1)]
        costs = [frontier.random_usd(quality) for quality in mixed]
        axes.plot(
            [1000 * (usd or 0) for usd in costs],
            mixed,
            "--",
            color=MUTED,
            lw=1,
            label="two tiers mixed at random",
        )
        for one in frontier.singles:
            axes.plot(1000 * one.usd, one.quality, "s", color=SPENT, ms=5)
            axes.annotate(
                one.name,
                (1000 * one.usd, one.quality),
                xytext=(6, -10),
                textcoords="offset points",
                color=SPENT,
            )
        best = frontier.perfect
        axes.plot(1000 * best.usd, best.quality, "*", color=INK, ms=9)
        axes.annotate(
            "perfect", (1000 * best.usd, best.quality), xytext=(6, 4), textcoords="offset points"
        )
        axes.set(xlabel="dollars for 1,000 answers", ylabel="share right")
        axes.grid(color=LINE, lw=0.6)
        axes.set_axisbelow(True)
        axes.margins(0.12)
        # where errors cost next to nothing, nothing is answered: that is not worth the room
        axes.set_ylim(bottom=max(lowest - 0.15, 0.0))
        axes.legend(loc="lower right")
