"""What `rag costs` prints: the sums, what they come to in words, and how full the budgets are."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from api.cli.tables.answers import PIPE_WIDTH, open_console
from api.models.costs import CostsOut, ReuseOut, SumOut, WallOut
from generation.money.energy import GPU_METHOD, TOKENS_METHOD

NOBODY = "(not named)"
NEARLY_FULL = Decimal("0.8")
MOST_WALLS = 20
FIRST_LEFT_OUT = ("Wh", "cached", "out", "tokens in", "unknown", "calls")
"""Columns that a narrow terminal has no room for, in this order."""


def print_costs(costs: CostsOut) -> None:
    """What was spent and saved, then how full the budgets are."""
    console = open_console()
    if costs.rows:
        print_sums(console, costs)
    else:
        console.print(f"nothing was asked from {costs.since} to {costs.until}")
    if costs.walls:
        _print_walls(console, costs.walls)


def print_sums(console: Console, costs: CostsOut) -> None:
    """A row for each sum and one for all, and what they come to in words."""
    unbounded = console.options.update(max_width=PIPE_WIDTH)
    rows = [_cells(row) for row in costs.rows]
    titles = [title for title in rows[0] if any(cells[title] for cells in rows)]
    table, left_out = _sums_table(costs, titles), []
    for title in (title for title in FIRST_LEFT_OUT if title in titles):
        if console.measure(table, options=unbounded).maximum <= console.width:
            break
        left_out.append(title)
        table = _sums_table(costs, [one for one in titles if one not in left_out])
    console.print(table)
    console.print(Text(in_words(costs.total)))
    if costs.reuse.given or costs.reuse.judged:
        console.print(Text(reuse_in_words(costs.reuse)))
    if left_out:
        console.print(Text(f"no room for {', '.join(left_out)}: --json and --csv have it", "dim"))
    if "Wh" in titles and "Wh" not in left_out:
        method = f"Wh is estimated: {GPU_METHOD}; of others' GPUs {TOKENS_METHOD}"
        console.print(Text(method, "dim"))


def in_words(total: SumOut) -> str:
    """What the whole comes to, in one line."""
    said = f"{usd(total.spent_usd)} spent for {_count(total.answers or 0, 'answer')}"
    if total.baseline_usd is not None:
        said += _beside_baseline(total.baseline_usd, total.saved_usd, total.unknown_calls)
    if total.unknown_calls:
        said += f"; {_count(total.unknown_calls, 'call')} of unknown cost"
        if total.unknown_at_most_usd is not None:
            said += f", at most {usd(total.unknown_at_most_usd)}"
    return said


def reuse_in_words(reuse: ReuseOut) -> str:
    """What was given again, what that saved, and how much of it was wrong, in one line."""
    said = f"{_count(reuse.given, 'answer')} given again"
    if reuse.of_all is not None:
        said += f", {reuse.of_all:.0%} of all"
    if reuse.saved_usd is not None:
        said += f", {usd(reuse.saved_usd)} saved"
    if reuse.wrong_share is None or reuse.wrong_at_most is None:
        return f"{said}; none was judged"
    return (
        f"{said}; {reuse.judged:,} judged, {reuse.wrong:,} wrong: {reuse.wrong_share:.1%}, "
        f"at most {reuse.wrong_at_most:.1%} in the long run (95% sure)"
    )


def _beside_baseline(baseline_usd: str, saved_usd: str | None, unknown_calls: int) -> str:
    if saved_usd is None:
        return f", beside a baseline of {usd(baseline_usd)}"
    baseline, saved = Decimal(baseline_usd), Decimal(saved_usd)
    share = f" ({abs(saved) / baseline:.0%})" if baseline else ""
    if saved < 0:
        at_most = "at most " if unknown_calls else ""
        return (
            f", {at_most}{usd(saved_usd[1:])} more than the baseline of {usd(baseline_usd)}{share}"
        )
    at_least = "at least " if unknown_calls else ""
    return f", {at_least}{usd(saved_usd)} saved against the baseline of {usd(baseline_usd)}{share}"


def usd(told: str | None) -> str:
    """Dollars to four places, and small ones to two digits that are not zero; empty for None."""
    if told is None:
        return ""
    value = Decimal(told)
    places = max(4, 1 - value.adjusted()) if value else 4
    return f"{'-' if value < 0 else ''}${abs(value):,.{places}f}"


def _sums_table(costs: CostsOut, titles: Sequence[str]) -> Table:
    """The sums and their total, as columns of these titles."""
    total = _cells(costs.total)
    table = Table(costs.by, *titles, show_footer=True)
    table.columns[0].footer = "total"
    for column, title in zip(table.columns[1:], titles, strict=True):
        column.justify, column.footer = "right", total[title]
    for row in costs.rows:
        cells = _cells(row)
        name = Text(row.name) if row.name else Text(NOBODY, style="dim")
        table.add_row(name, *(cells[title] for title in titles))
    return table


def _print_walls(console: Console, walls: Sequence[WallOut]) -> None:
    table = Table("budget", "period", "limit", "spent", "reserved", "full", "resets")
    for column in table.columns[2:6]:
        column.justify = "right"
    fullest = sorted(walls, key=_fullness, reverse=True)
    for wall in fullest[:MOST_WALLS]:
        share = _fullness(wall)
        table.add_row(
            Text(f"{wall.scope} {wall.name}".strip()),
            wall.period,
            usd(wall.limit_usd),
            usd(wall.spent_usd),
            usd(wall.reserved_usd),
            f"{share:.0%}",
            f"{wall.resets_at:%Y-%m-%d}",
            style="red" if share >= 1 else "yellow" if share >= NEARLY_FULL else None,
        )
    console.print(table)
    if len(fullest) > MOST_WALLS:
        console.print(f"and {len(fullest) - MOST_WALLS:,} that are less full")


def _fullness(wall: WallOut) -> Decimal:
    """The share that is taken, of 1; nothing more fits before a wall of $0."""
    limit = Decimal(wall.limit_usd)
    taken = Decimal(wall.spent_usd) + Decimal(wall.reserved_usd)
    return taken / limit if limit else Decimal(1)


def _cells(row: SumOut) -> dict[str, str]:
    """What a row shows under each title; a column without anything in its rows is not shown."""
    return {
        "answers": "" if row.answers is None else f"{row.answers:,}",
        "calls": f"{row.calls:,}",
        "tokens in": f"{row.input_tokens:,}",
        "cached": f"{row.cached_input_tokens:,}",
        "out": f"{row.output_tokens:,}",
        "spent": usd(row.spent_usd),
        "unknown": _unknown(row),
        "baseline": usd(row.baseline_usd),
        "saved": usd(row.saved_usd),
        "Wh": "" if row.watt_hours is None else f"{row.watt_hours:,.2f}",
    }


def _unknown(row: SumOut) -> str:
    """The calls of unknown cost, and what they cost at most."""
    if not row.unknown_calls:
        return ""
    if row.unknown_at_most_usd is None:
        return f"{row.unknown_calls:,}"
    return f"{row.unknown_calls:,} (≤ {usd(row.unknown_at_most_usd)})"


def _count(number: int, word: str) -> str:
    return f"{number:,} {word}" + ("" if number == 1 else "s")
