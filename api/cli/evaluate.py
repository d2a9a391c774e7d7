"""`rag evaluate`: quality and cost on a question set, with plots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import CollectionOption, JsonOption, checked, print_note, work_through_door
from rag.errors import InputError

if TYPE_CHECKING:
    from decimal import Decimal

    from api.fitting.evaluating import Plan
    from evaluation.report import Report
    from rag.types import Tier


def evaluate(
    ctx: typer.Context,
    questions: Annotated[
        Path, typer.Argument(metavar="QUESTIONS.jsonl", help="One question a line, with its gold.")
    ],
    *,
    collection: CollectionOption = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the report; by default one inside the data folder."),
    ] = None,
    against: Annotated[
        Path | None,
        typer.Option(help="An earlier report.json, or its folder, to compare with."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask a random sample of so many questions.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, help="Of the sample, the intervals and the p-values.")
    ] = 0,
    max_context_tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens of context at most; by default the setting `context.max_tokens`."
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="Who must answer: extractive, local or premium; by default who can."),
    ] = None,
    max_usd: Annotated[
        str | None, typer.Option(help="Dollars that all answers together may cost at most.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask again what was asked before.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Measure quality and cost on a question set; an interrupted evaluation goes on."""
    from api.fitting.evaluating import Plan
    from api.settings import load_settings
    from evaluation.loading import load_questions
    from evaluation.plots import check_plots

    check_plots()
    settings = load_settings(_overrides(collection, max_context_tokens))
    asked, payment = load_questions(questions), _payment(tier, max_usd)
    plan = Plan(questions, asked, settings, output, limit, seed, fresh, *payment)
    report = _evaluate(ctx, plan, against)
    if json:
        from evaluation.report import report_as_json

        typer.echo(report_as_json(report))
    else:
        from api.cli.tables.evaluation import print_evaluation

        print_evaluation(report)


def _evaluate(ctx: typer.Context, plan: Plan, against: Path | None) -> Report:
    """The report, compared with the earlier one `against` and written to its folder."""
    from dataclasses import replace

    from api.cli.tables.evaluation import AskingBar
    from api.fitting.evaluating import evaluate as evaluate_through
    from evaluation.report import compare_reports, read_report

    earlier = None if against is None else read_report(against)
    with AskingBar() as bar:
        report, folder = work_through_door(
            ctx, plan.settings, lambda door: evaluate_through(door, plan, print_note, bar.show)
        )
    if earlier is not None:
        report = replace(report, comparison=compare_reports(report, earlier, str(against)))
    _write(report, folder)
    print_note(f"the report is in {folder / 'report.html'}")
    return report


def _overrides(collection: str | None, max_context_tokens: int | None) -> dict[str, Any]:
    """The options as settings, which are checked like all others."""
    overrides: dict[str, Any] = {}
    if collection is not None:
        overrides["collection"] = collection
    if max_context_tokens is not None:
        overrides["context"] = {"max_tokens": max_context_tokens}
    return overrides


def _payment(tier: str | None, max_usd: str | None) -> tuple[Tier | None, Decimal | None]:
    """Who must answer and what it may cost, checked as a question's are."""
    from api.models.inputs import AnswerIn

    given = {"question": "?", "tier": tier, "max_cost_usd": max_usd}
    asked = checked(AnswerIn, given)
    return asked.tier, asked.max_cost_usd


def _write(report: Report, folder: Path) -> None:
    from evaluation.page import make_page
    from evaluation.plots import draw_plots
    from evaluation.report import report_as_json

    page = make_page(report, draw_plots(report))
    try:
        (folder / "report.json").write_text(report_as_json(report), encoding="utf-8")
        (folder / "report.html").write_text(page, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{folder} cannot be written to ({error.strerror}): give another with --output"
        ) from None
