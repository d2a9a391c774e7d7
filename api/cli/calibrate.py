"""`rag calibrate`: fits confidence and routing to outcomes of one's own."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import JsonOption, print_json, print_note

if TYPE_CHECKING:
    from api.fitting.calibrating import Calibration
    from api.settings import Settings


def calibrate(
    outcomes: Annotated[
        Path | None,
        typer.Argument(
            metavar="OUTCOMES.jsonl",
            help="One answer a line, and its verdict; by default the feedback that was given.",
        ),
    ] = None,
    *,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Draw the reliability, before and after, into an .svg or .png."
        ),
    ] = None,
    max_error: Annotated[
        float,
        typer.Option(
            min=0.001, max=0.999, help="Share of wrong answers to find the confidence limit for."
        ),
    ] = 0.05,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fit and show, but keep nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of what is left out in turn.")] = 0,
    json: JsonOption = False,
) -> None:
    """Fit the confidence of answers, and the routing between tiers, to your own outcomes."""
    from api.audit.log import Deed, opened_note
    from api.fitting.calibrating import write_calibration
    from api.keys.key import COMMAND_LINE
    from api.reports.drawing import check_plot
    from api.reports.reliability_plot import draw_reliability
    from api.settings import load_settings

    if plot is not None:
        check_plot(plot)
    settings = load_settings()
    fitted = asyncio.run(_calibrate(settings, outcomes, max_error, seed))
    if plot is not None:
        draw_reliability(fitted.tiers, plot)
        print_note(f"the plot is in {plot}")
    if json:
        print_json(_as_json(fitted))
    else:
        from api.cli.tables.calibration import print_calibration

        print_calibration(fitted)
    if dry_run:
        print_note("nothing was kept: --dry-run was given")
    else:
        path = write_calibration(fitted, settings)
        opened_note(settings, Deed(COMMAND_LINE, "", "calibration.keep", fitted.record["source"]))
        print_note(f"kept in {path}: a service that runs uses it once it is started again")


async def _calibrate(
    settings: Settings, outcomes: Path | None, max_error: float, seed: int
) -> Calibration:
    from api.build import embedding
    from api.fitting.calibrating import calibrate as fit
    from api.fitting.outcomes import opened_outcomes

    found = opened_outcomes(outcomes, settings)
    embedder, _, _ = embedding(settings)
    source = "feedback" if outcomes is None else outcomes.name
    return await fit(found, source, embedder, max_error, seed)


def _as_json(fitted: Calibration) -> dict[str, Any]:
    def told(value: float | None) -> float | None:
        return None if value is None else round(value, 4)

    return {
        "tiers": [
            {
                "tier": one.tier,
                "collection": one.collection or None,
                "outcomes": one.outcomes,
                "right": one.right,
                "ece_before": told(one.ece()[0]),
                "ece_after": told(one.ece()[1]),
                "refused": one.refused or None,
                "limit": None if one.limit is None else asdict(one.limit),
            }
            for one in fitted.tiers
        ],
        "routing": {
            "tiers": None if fitted.router is None else sorted(fitted.router.tiers),
            "refused": fitted.router_refused or None,
        },
    }
