"""`rag audit`: who administered what."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import JsonOption, checked, print_json, print_note


def audit(
    *,
    since: Annotated[
        str | None, typer.Option(metavar="DAY", help="First day, in UTC; by default the first.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Entries at most, the newest.")] = 1_000,
    json: JsonOption = False,
) -> None:
    """Show who made keys, deleted documents or words of people, or was refused; newest first."""
    from api.audit.log import AuditLog
    from api.models.audit import AuditEntryOut, AuditIn
    from api.settings import load_settings
    from api.state.opening import open_state

    asked = checked(AuditIn, {"since": since, "limit": limit})
    settings = load_settings()
    state = open_state(settings.data_dir, settings.state_url)
    try:
        found = AuditLog(state).entries(asked.begin, asked.limit)
    finally:
        state.dispose()
    entries = [AuditEntryOut.of(one) for one in found]
    if json:
        print_json([one.model_dump(mode="json") for one in entries])
    else:
        from api.cli.tables.audit import print_entries

        print_entries(entries)
    if len(entries) == limit:
        print_note(f"these are the newest {limit:,}: there may be more, see --limit")
