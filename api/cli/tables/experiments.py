"""What `rag experiments` prints."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from api.cli.tables.answers import open_console
from generation.experiments.assignment import Arm, Experiment
from generation.experiments.findings import ArmResult
from generation.experiments.records import ArmRecord

_NAMES = ("arm", "share", "answers", "$ an answer", "ms", "right", "used/edited/ignored", "state")


def print_experiment(experiment: Experiment, results: Sequence[ArmResult]) -> None:
    """A row for each arm, then one sentence on each."""
    console = open_console()
    console.print(
        f"experiment {experiment.name}: an error of {experiment.error:.0%} at most in all that it "
        "proves, however often it is looked at"
    )
    has_worth = any(result.encs is not None for result in results)
    table = Table(box=None, pad_edge=False)
    for name in (*_NAMES, *(("$ saved an answer",) if has_worth else ())):
        table.add_column(name, justify="left" if name in ("arm", "state") else "right")
    for arm, result in zip(experiment.arms, results, strict=True):
        table.add_row(*_row(arm, result), *((_saved(result),) if has_worth else ()))
    console.print(table)
    for result in results:
        console.print(f"{result.record.arm}: {result.says}", soft_wrap=True)


def _row(arm: Arm, result: ArmResult) -> tuple[str, ...]:
    record = result.record
    uses = "/".join(f"{record.uses.count(use):,}" for use in ("used", "edited", "ignored"))
    return (
        arm.name,
        f"{arm.share:.0%}",
        f"{record.answers:,}",
        f"{record.cost.mean:.6f}" if record.cost.count else "unknown",
        "" if record.ms is None else f"{record.ms:,.0f}",
        _right(record),
        uses if record.uses else "",
        result.state,
    )


def _right(record: ArmRecord) -> str:
    if not record.verdicts:
        return "no verdict"
    return f"{sum(record.verdicts) / len(record.verdicts):.1%} of {len(record.verdicts):,}"


def _saved(result: ArmResult) -> str:
    saved = result.encs
    if saved is None:
        return "unknown"
    if saved.low_usd is None or saved.high_usd is None:
        return f"{saved.usd:.4f}"
    return f"{saved.usd:.4f} ({saved.low_usd:.4f} to {saved.high_usd:.4f})"
