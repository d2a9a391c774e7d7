"""What `rag tune` shows: the curve, and what was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.tables.answers import open_console
from evaluation.tuning.choosing import front_of
from evaluation.tuning.outcome import Tuning
from evaluation.tuning.page import COLUMNS, row_of
from evaluation.tuning.scoring import Score


def print_tuning(tuning: Tuning) -> None:
    """The trials that no other beats, what was chosen on other questions, and the verdict."""
    console = open_console()
    outcome = tuning.outcome
    present, *others = outcome.trials
    chosen = [one for one in others if one.changes == outcome.changes]
    shown = {one.name: one for one in (present, *chosen, *front_of(outcome.trials))}
    ordered = sorted(shown.values(), key=lambda one: (one.context_tokens, one.name))
    console.print(Text(f"{tuning.measure} by tokens of context, on half of the questions:"))
    _print_scores(console, ordered)
    if outcome.checked is not None:
        console.print(Text("on the other half:"))
        _print_scores(console, outcome.checked)
    console.print(Text(outcome.verdict))


def _print_scores(console: Console, scores: Sequence[Score]) -> None:
    table = Table(*COLUMNS)
    for column in table.columns[1:-1]:
        column.justify = "right"
    for one in scores:
        table.add_row(*map(Text, row_of(one)))
    console.print(table)
