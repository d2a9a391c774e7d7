"""`rag`: puts the commands together, and turns every error into one line and an exit code.

0: done. 1: an error, told in one line on standard error. 2: wrong usage.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from api.cli.ask import ask
from api.cli.audit import audit
from api.cli.batch import batch
from api.cli.calibrate import calibrate
from api.cli.config import config
from api.cli.costs import costs
from api.cli.distill import distill
from api.cli.documents import documents, forget
from api.cli.evaluate import evaluate
from api.cli.experiments import experiments
from api.cli.frontier import frontier
from api.cli.ingest import ingest, quote
from api.cli.keys import keys
from api.cli.mcp import mcp
from api.cli.migrate import migrate
from api.cli.model import model
from api.cli.pins import pins
from api.cli.serve import serve
from api.cli.tune import tune
from rag.errors import RagError

if TYPE_CHECKING:
    from api.build import Application
    from api.doors.through_service import Build
    from api.settings import Settings


class _Commands(TyperGroup):
    """The commands, whose errors end in one line."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except RagError as error:
            typer.echo(f"error: {error}", err=True)
            raise typer.Exit(1) from None


def run() -> None:
    """The command `rag`."""
    try:
        make_app(_build)()
    except Exception as error:
        if os.environ.get("RAG_LOG__LEVEL", "").lower() == "debug":
            raise
        typer.echo(
            f"error: unexpected {type(error).__name__}: {error} "
            "(set RAG_LOG__LEVEL=debug to see where)",
            err=True,
        )
        sys.exit(1)


def make_app(build: Build) -> typer.Typer:
    """The commands, working on what `build` makes of the settings."""
    app = typer.Typer(
        name="rag",
        cls=_Commands,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"obj": build, "help_option_names": ["-h", "--help"]},
    )
    app.callback()(_rag)
    for command in (
        ingest,
        quote,
        ask,
        batch,
        costs,
        audit,
        serve,
        documents,
        forget,
        evaluate,
        tune,
        calibrate,
        experiments,
        frontier,
        mcp,
        migrate,
        model,
        config,
    ):
        app.command()(command)
    app.add_typer(distill, name="distill")
    app.add_typer(keys, name="keys")
    app.add_typer(pins, name="pins")
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("thrifty-rag"))
        raise typer.Exit


def _rag(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Answers from your documents, with exact citations, and what each answer cost.

    Exit codes: 0 done, 1 an error (one line on standard error), 2 wrong usage.
    """


def _build(settings: Settings) -> Application:
    from api.build import build

    return build(settings)
