"""`rag distill export`: what escalation taught, as training data for the local model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import JsonOption, print_json, print_note
from rag.errors import InputError

if TYPE_CHECKING:
    from api.assembly.distilling import Exported

distill = typer.Typer(no_args_is_help=True)


@distill.callback()
def about() -> None:
    """Train the local model on what the premium tier answered in its stead."""


@distill.command()
def export(
    *,
    collection: Annotated[
        str | None,
        typer.Option("--collection", "-c", help="Collection; by default all that consent."),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(metavar="FILE.jsonl", help="Where to write it; by default it is printed."),
    ] = Path("-"),
    min_confidence: Annotated[
        float,
        typer.Option(min=0, max=1, help="Confidence below which an unjudged answer is left out."),
    ] = 0.7,
    verified_only: Annotated[
        bool, typer.Option("--verified-only", help="Only answers that were judged right.")
    ] = False,
    max_abstentions: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of abstentions, at most.")
    ] = 0.2,
    json: JsonOption = False,
) -> None:
    """Write question, context and premium answer of each lesson as a conversation, one a line."""
    from api.assembly.distilling import STANDARD_OUTPUT, export_lessons
    from api.settings import load_settings
    from generation.distilling.choosing import Rules

    if json and output == STANDARD_OUTPUT:
        raise InputError("--json prints the counts, so the lessons need a file: give --output")
    rules = Rules(min_confidence, verified_only, max_abstentions)
    exported = export_lessons(load_settings(), collection, rules, output)
    if json:
        print_json(asdict(exported) | {"output": str(output)})
    elif output == STANDARD_OUTPUT:
        for line in _told(exported):
            print_note(line)
    else:
        for line in [*_told(exported), f"the lessons are in {output}"]:
            typer.echo(line)


def _told(exported: Exported) -> list[str]:
    lines = [
        f"exported: {exported.exported:,}, of them {exported.verified:,} judged right and "
        f"{exported.abstained:,} abstentions"
    ]
    lines += [f"left out: {count:,} {reason}" for reason, count in exported.left_out.items()]
    if exported.corrected:
        lines.append(f"corrected: {exported.corrected:,} teach what a person wrote instead")
    if exported.outdated:
        lines.append(f"deleted: {exported.outdated:,} of documents that changed or are gone")
    if exported.withdrawn:
        lines.append(f"deleted: {exported.withdrawn:,} of collections that consent no longer")
    return lines
