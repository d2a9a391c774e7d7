"""`rag ingest`: files and folders into the index."""

from __future__ import annotations

import os
import re
from typing import Annotated

import typer

from api.cli.options import CollectionOption, JsonOption, checked, print_json, work_through_door
from rag.errors import InputError


def ingest(
    ctx: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH…", help="Files, or folders with files in them.")
    ],
    *,
    collection: CollectionOption = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Also remove what is gone from under the paths.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Index files and folders: Markdown, text, HTML, PDF, DOCX, JSON Lines.

    Unchanged files cost nothing. When one cannot be read the others go in, it is listed with the
    reason, and the exit code is 1.
    """
    from api.cli.progress import ProgressBar
    from api.cli.tables import print_report
    from api.models.inputs import DocumentsIn
    from api.settings import load_settings

    settings = load_settings()
    asked = checked(
        DocumentsIn,
        {
            "collection": settings.collection if collection is None else collection,
            "paths": [_absolute(path) for path in paths],
            "sync": sync,
            "dry_run": dry_run,
        },
    )
    with ProgressBar() as bar:
        report = work_through_door(ctx, settings, lambda door: door.ingest(asked, bar.show))
    if json:
        print_json(report.model_dump(mode="json"))
    else:
        print_report(report, dry_run)
    if report.counts["failed"]:
        raise typer.Exit(1)


def _absolute(path: str) -> str:
    """The path from the root: a document keeps its identity wherever the command is started."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", path):
        raise InputError(f"{path} is a URL, not supported yet: download it and give the path")
    return os.path.abspath(os.path.expanduser(path))
