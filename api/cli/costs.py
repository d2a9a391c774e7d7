"""`rag costs`: what was spent and what was saved, and how full the budgets are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import JsonOption, checked, print_json, print_note, work_through_door
from rag.errors import InputError

if TYPE_CHECKING:
    from api.doors.door import Door
    from api.models.costs import CostsIn, CostsOut

STANDARD_OUTPUT = Path("-")


def costs(
    ctx: typer.Context,
    *,
    by: Annotated[
        str, typer.Option(help="day, key, tenant, tier, stage, model or collection.")
    ] = "day",
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="First day, in UTC; by default 30 days back.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last day, in UTC; by default today.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the rows as CSV; - prints them.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw the days into a file that ends in .svg or .png."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show what was spent and saved, what is unknown, and how full the budgets are."""
    from api.models.costs import CostsIn
    from api.reports.cost_csv import csv_of
    from api.reports.cost_plot import draw_costs
    from api.reports.drawing import check_plot
    from api.settings import load_settings

    asked = checked(CostsIn, {"by": by, "since": since, "until": until})
    if json and csv == STANDARD_OUTPUT:
        raise InputError("--csv is '-' and --json is given: print one, and the other into a file")
    if plot is not None:
        check_plot(plot)
    shown, daily = work_through_door(ctx, load_settings(), lambda door: _look_up(door, asked))
    if plot is not None and daily.rows:
        draw_costs(daily, plot)
        print_note(f"the plot is in {plot}")
    elif plot is not None:
        print_note("there is nothing to draw")
    if csv is not None and csv != STANDARD_OUTPUT:
        _write(csv, csv_of(shown))
    if csv == STANDARD_OUTPUT:
        typer.echo(csv_of(shown), nl=False)
    elif json:
        print_json(shown.model_dump(mode="json"))
    else:
        from api.cli.tables.costs import print_costs

        print_costs(shown)


async def _look_up(door: Door, asked: CostsIn) -> tuple[CostsOut, CostsOut]:
    """What is asked for, and the same by day."""
    shown = await door.costs(asked)
    by_day = asked.model_copy(update={"by": "day"})
    return shown, shown if asked.by == "day" else await door.costs(by_day)


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): give another with --csv"
        ) from None
    print_note(f"the rows are in {file}")
