"""Draws how often answers of each confidence are right, before and after a calibration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from api.fitting.calibrating import TierFit
from api.reports.drawing import INK, LINE, MUTED, SAVED, SPENT, drawn_into
from evaluation.measures.confidence import Rows, reliability
from rag.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDE = 3.2


def draw_reliability(tiers: Sequence[TierFit], file: Path) -> None:
    """One square for each tier; on its diagonal, confidence is what it says.

    Raises InputError where nothing is known of any, or the file cannot be written.
    """
    shown = [one for one in tiers if len(one.before) or len(one.after)]
    if not shown:
        raise InputError("no confidence is known of any outcome: there is nothing to draw")
    with drawn_into(file, _SIDE * len(shown), _SIDE + 0.3) as figure:
        for axes, one in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            axes.plot([0, 1], [0, 1], color=MUTED, lw=1, ls="--")
            _curve(axes, one.before, "before", SPENT)
            _curve(axes, one.after, "after", SAVED)
            axes.set(
                title=" in ".join(filter(None, (one.tier, one.collection))),
                xlim=(0, 1),
                ylim=(0, 1.03),
                xlabel="confidence",
            )
            axes.set_ylabel("share right", color=INK)
            axes.grid(color=LINE, lw=0.6)
            axes.legend(loc="upper left")


def _curve(axes: Axes, rows: Rows, label: str, colour: str) -> None:
    if len(rows):
        bins = reliability(rows)
        axes.plot(
            [one.confidence for one in bins],
            [one.right for one in bins],
            "o-",
            color=colour,
            ms=4,
            lw=1.2,
            label=label,
        )
