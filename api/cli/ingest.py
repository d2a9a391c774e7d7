"""`rag ingest` and `rag quote`: what goes into the index, and what that would take."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import (
    CollectionOption,
    JsonOption,
    checked,
    print_json,
    print_note,
    work_through_door,
)
from rag.errors import InputError, RagError

if TYPE_CHECKING:
    from api.doors.through_service import Build
    from api.models.documents import ReportOut
    from api.models.inputs import DocumentsIn
    from api.settings import Settings

STANDARD_INPUT = "-"
_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")

PlacesArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH_OR_URL…", help="Files, folders, glob patterns, pages, sitemaps; - is stdin."
    ),
]


def ingest(
    ctx: typer.Context,
    places: PlacesArgument,
    *,
    collection: CollectionOption = None,
    sync: Annotated[
        bool, typer.Option("--sync", help="Also remove what is gone from under the paths.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, and what it would take.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and follow every change, as --sync does.")
    ] = False,
    name: Annotated[
        str, typer.Option("--name", help="File name of standard input; its ending is its format.")
    ] = "stdin.md",
    json: JsonOption = False,
) -> None:
    """Index files, folders and web pages.

    What is unchanged costs nothing. When something cannot be read the others go in, it is listed
    with the reason, and the exit code is 1.
    """
    from api.settings import load_settings

    settings = load_settings()
    _check_fit(places, sync=sync, dry_run=dry_run, watch=watch)
    if places == [STANDARD_INPUT]:
        report = _ingest_standard_input(ctx, settings, name, collection)
    else:
        asked = _asked(settings, places, collection, sync=sync or watch, dry_run=dry_run)
        report = _ingest(ctx, settings, asked)
    _print(report, json, is_plan=dry_run)
    if watch:
        _watch(ctx, settings, asked, json)
    elif report.counts["failed"]:
        raise typer.Exit(1)


def quote(
    ctx: typer.Context,
    places: PlacesArgument,
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Say what ingesting would take: documents, chunks, tokens, time and dollars.

    Files are read and cut, and a few chunks embedded to see how fast that is; nothing is written.
    """
    ingest(ctx, places, collection=collection, dry_run=True, json=json)


def _check_fit(places: Sequence[str], *, sync: bool, dry_run: bool, watch: bool) -> None:
    if STANDARD_INPUT in places and (len(places) > 1 or sync or dry_run or watch):
        raise InputError("- is standard input, read once: give it alone, without other options")
    if watch and dry_run:
        raise InputError("--watch writes and --dry-run does not: give one of them")


def _asked(
    settings: Settings, places: Sequence[str], collection: str | None, *, sync: bool, dry_run: bool
) -> DocumentsIn:
    from api.models.inputs import DocumentsIn

    paths = [_absolute(place) for place in places if not _URL.match(place)]
    urls = [place for place in places if _URL.match(place)]
    return checked(
        DocumentsIn,
        {
            "collection": settings.collection if collection is None else collection,
            "paths": paths or None,
            "urls": urls or None,
            "sync": sync,
            "dry_run": dry_run,
        },
    )


def _ingest(ctx: typer.Context, settings: Settings, asked: DocumentsIn) -> ReportOut:
    from api.cli.progress import ProgressBar

    with ProgressBar() as bar:
        return work_through_door(ctx, settings, lambda door: door.ingest(asked, bar.show))


def _ingest_standard_input(
    ctx: typer.Context, settings: Settings, name: str, collection: str | None
) -> ReportOut:
    from api.cli.progress import ProgressBar

    limit = settings.ingestion.max_file_bytes
    content = sys.stdin.buffer.read(limit + 1)
    if len(content) > limit:
        raise InputError(
            f"standard input has more than {limit:,} bytes, the limit: "
            "split it or raise ingestion.max_file_bytes"
        )
    place = settings.collection if collection is None else collection
    with ProgressBar() as bar:
        return work_through_door(
            ctx, settings, lambda door: door.ingest_file(name, content, place, bar.show)
        )


def _watch(ctx: typer.Context, settings: Settings, asked: DocumentsIn, as_json: bool) -> None:
    with suppress(KeyboardInterrupt):
        asyncio.run(_follow(ctx.obj, settings, asked, as_json))


async def _follow(build: Build, settings: Settings, asked: DocumentsIn, as_json: bool) -> None:
    """Ingest again whenever something changes; between two ingestions nothing is held."""
    from api.doors.through_service import use_door
    from indexing.loading.watching import changes

    print_note("watching for changes (stop with Ctrl-C)")
    async for _ in changes(asked.paths or (), asyncio.Event()):
        try:
            report = await use_door(
                settings, build, lambda door: door.ingest(asked, lambda _: None), print_note
            )
        except RagError as error:  # what is wrong now may be right after the next change
            typer.echo(f"error: {error}", err=True)
            continue
        if any(item.outcome not in ("unchanged", "skipped") for item in report.items):
            _print(report, as_json, is_plan=False)


def _print(report: ReportOut, as_json: bool, *, is_plan: bool) -> None:
    from api.cli.tables.answers import print_report

    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        print_report(report, is_plan)


def _absolute(path: str) -> str:
    """The path from the root: a document keeps its identity wherever the command is started."""
    if _OTHER_SCHEME.match(path):
        raise InputError(f"{path} is no page of the web: give http:// or https://, or a path")
    return os.path.abspath(os.path.expanduser(path))
