"""What `rag evaluate` shows: its tables on standard output, its progress on standard error."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from api.cli.tables.answers import open_console
from evaluation.figures import COMPARED, compared, interval, told
from evaluation.report import Comparison, Report

MOST_WORST = 5


class AskingBar:
    """Shows how many questions are asked, on a terminal only, and leaves nothing behind."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("asking"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)

    def show(self, done: int, total: int) -> None:
        """Take the news."""
        self._bar.start()
        self._bar.update(self._task, completed=done, total=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def print_evaluation(report: Report) -> None:
    """The measures, what could not be measured, the worst questions, and the comparison."""
    console = open_console()
    table = Table("measure", "value", "95% interval", "questions")
    for column in table.columns[1:]:
        column.justify = "right"
    for one in report.measurements:
        table.add_row(one.name, told(one.value, one.unit), interval(one), f"{one.n:,}")
    console.print(table)
    if report.unmeasured:
        console.print(Text(f"not measured, for want of gold: {', '.join(report.unmeasured)}"))
    for row in report.worst(MOST_WORST):
        console.print(Text(f"{row.fault}: {row.question}"))
    if report.comparison is not None:
        _print_comparison(console, report.comparison)


def _print_comparison(console: Console, comparison: Comparison) -> None:
    table = Table(*COMPARED)
    for column in table.columns[1:]:
        column.justify = "right"
    for one in comparison.differences:
        table.add_row(*compared(one))
    console.print()
    changed = ", ".join(comparison.changed_settings) or "none"
    console.print(
        Text(
            f"against {comparison.against}: {comparison.in_both:,} questions in both; "
            f"settings that differ: {changed}"
        )
    )
    console.print(table)
