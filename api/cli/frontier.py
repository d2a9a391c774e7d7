"""`rag frontier`: what each price of an error costs, and what it is right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import JsonOption, print_json, print_note

if TYPE_CHECKING:
    from generation.deciding.frontier import Frontier, Point

_SHOWN_EVERY = 4


def frontier(
    outcomes: Annotated[
        Path,
        typer.Argument(
            metavar="OUTCOMES.jsonl",
            help="Answers of each tier to the same questions, with their verdicts and costs.",
        ),
    ],
    *,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it into an .svg or .png.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is left out in turn.")] = 0,
    json: JsonOption = False,
) -> None:
    """Show cost against quality for every price of an error, over your own outcomes."""
    from api.fitting.outcomes import opened_outcomes
    from api.reports.drawing import check_plot
    from api.reports.frontier_plot import draw
    from api.settings import load_settings

    if plot is not None:
        check_plot(plot)
    settings = load_settings()
    found = opened_outcomes(outcomes, settings)
    drawn = asyncio.run(_drawn(found, settings, seed))
    if plot is not None:
        draw(drawn, plot)
        print_note(f"the plot is in {plot}")
    if json:
        print_json(_as_json(drawn))
    else:
        _print(drawn)


async def _drawn(found: Any, settings: Any, seed: int) -> Frontier:
    from api.build import embedding
    from api.fitting.frontiers import draw_frontier

    embedder, _, _ = embedding(settings)
    return await draw_frontier(found, settings, embedder, seed)


def _as_json(drawn: Frontier) -> dict[str, Any]:
    def told(one: Point) -> dict[str, Any]:
        return {
            "name": one.name,
            "usd_per_1000": round(1000 * one.usd, 6),
            "quality": round(one.quality, 4),
            "error_usd": one.error_usd,
        }

    return {
        "points": [told(one) for one in drawn.points],
        "singles": [told(one) for one in drawn.singles],
        "perfect": told(drawn.perfect),
    }


def _print(drawn: Frontier) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("", "1,000 answers", "right"):
        table.add_column(name, justify="right" if name else "left")
    for one in (*drawn.singles, *drawn.points[::_SHOWN_EVERY], drawn.perfect):
        table.add_row(one.name, f"${1000 * one.usd:.4f}", f"{one.quality:.1%}")
    Console().print(table)
