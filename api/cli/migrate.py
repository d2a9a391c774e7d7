"""`rag migrate`: the chunks and their vectors into another store."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import JsonOption, print_json, print_note
from rag.errors import ServiceError

if TYPE_CHECKING:
    from api.settings import Settings
    from indexing.stores.migration import CopyReport


def migrate(
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="Address of a Qdrant server, or `embedded` for the data folder."
        ),
    ],
    json: JsonOption = False,
) -> None:
    """Copy the store of the settings into another one, vectors and all: nothing is embedded again.

    The key, name and layout of a server are those of the settings `store`. Nothing else may write
    meanwhile. A copy that was interrupted is finished by the same command.
    """
    from api.migrating import setting_for
    from api.settings import load_settings

    report = asyncio.run(_migrate(load_settings(), target))
    if json:
        print_json({"chunks": report.chunks, "collections": dict(report.collections)})
    else:
        typer.echo(f"copied {report.chunks:,} chunks of {len(report.collections):,} collections")
    print_note(f"to use the copy, {setting_for(target)}; the old store is left as it is")


async def _migrate(settings: Settings, target: str) -> CopyReport:
    from api.doors.lock import DataLock
    from api.doors.through_service import take_or_find
    from api.migrating import copy

    lock = DataLock(settings.data_dir)
    turn = await take_or_find(lock, settings, print_note)
    if turn.own is None:
        assert turn.service is not None
        raise ServiceError(
            f"{settings.data_dir} is served at {turn.service.url} by process {turn.service.pid}: "
            "stop it first, since nothing may change meanwhile"
        )
    try:
        return await copy(settings, target)
    finally:
        lock.release()
