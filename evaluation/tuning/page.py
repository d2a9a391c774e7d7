"""The page of a tuning: the curve of quality against tokens, and every trial, in one HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from evaluation.page import figure, table, whole_page
from evaluation.plots import ACCENT, LINE, MUTED, svg_of
from evaluation.tuning.choosing import front_of
from evaluation.tuning.outcome import Outcome, Tuning
from evaluation.tuning.scoring import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("settings", "quality", "95% interval", "difference", "tokens", "ms", "good enough")


def make_tuning_page(tuning: Tuning) -> str:
    """The page; everything is escaped."""
    outcome = tuning.outcome
    axis = f"{tuning.measure} (half of the questions)"
    curve = svg_of("curve", lambda axes: _curve(axes, outcome, axis))
    ordered = sorted(outcome.trials, key=lambda one: (one.context_tokens, one.name))
    parts = [
        f"<h1>Tuning by {escape(tuning.question_file)}</h1>",
        f'<p class="muted">{tuning.questions:,} questions to the collection '
        f"{escape(tuning.collection)} of {tuning.documents:,} documents · "
        f"{escape(tuning.finished_at)} · Thrifty RAG {escape(tuning.version)}</p>",
        f"<p>Wanted: {escape(tuning.goal)}, at the fewest tokens and milliseconds.</p>",
        f"<p>{escape(outcome.verdict)}</p>",
        *(f'<p class="muted">{escape(note)}</p>' for note in tuning.notes),
        figure("Quality against tokens of context", curve),
        "" if outcome.checked is None else _section("On the other half", outcome.checked),
        _section("Trials, on the half to choose by", ordered),
    ]
    return whole_page(f"Tuning by {tuning.question_file}", parts)


def row_of(one: Score) -> list[str]:
    """A trial as the texts of COLUMNS."""
    bounds = "" if one.low is None or one.high is None else f"{one.low:.3f} to {one.high:.3f}"
    return [
        one.name,
        f"{one.quality:.3f}",
        bounds,
        f"{one.gain:+.3f}",
        f"{one.context_tokens:,.0f}",
        f"{one.ms:,.1f}",
        "yes" if one.is_good_enough else "no",
    ]


def _section(title: str, scores: Sequence[Score]) -> str:
    return f"<h2>{title}</h2>" + table(COLUMNS, map(row_of, scores), range(1, 6))


def _curve(axes: Axes, outcome: Outcome, label: str) -> None:
    front = front_of(outcome.trials)
    axes.plot(
        [one.context_tokens for one in outcome.trials],
        [one.quality for one in outcome.trials],
        "o",
        color=MUTED,
        ms=4,
        alpha=0.6,
    )
    axes.plot(
        [one.context_tokens for one in front],
        [one.quality for one in front],
        color=ACCENT,
        lw=1.4,
    )
    chosen = [one for one in outcome.trials[1:] if one.changes == outcome.changes]
    _mark(axes, outcome.trials[0], "as it is", (7, -13), "left")
    for one in chosen:
        _mark(axes, one, "chosen", (-7, 7), "right")
    axes.set(xlabel="tokens of context, mean", ylabel=label)
    axes.set_xlim(left=0)
    axes.margins(y=0.15)
    axes.grid(color=LINE, lw=0.6)


def _mark(axes: Axes, one: Score, text: str, offset: tuple[int, int], align: str) -> None:
    place = (one.context_tokens, one.quality)
    axes.plot(*place, "o", color=ACCENT, ms=7)
    axes.annotate(text, place, textcoords="offset points", xytext=offset, ha=align)
