"""`rag keys create|list|revoke`: who may call the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import JsonOption, print_json, print_note

if TYPE_CHECKING:
    from api.keys.records import KeyRecords
    from api.settings import Settings

PUBLISHED = {
    "requests_per_minute": 600,
    "visitor_requests_per_minute": 20,
    "visitor_questions_per_day": 200,
}
"""The limits of a publishable key that is given no others."""

keys = typer.Typer(no_args_is_help=True)


@keys.callback()
def about() -> None:
    """Keys of the service: as soon as there is one, nobody gets in without."""


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="What the ledger calls it; given once only.")],
    *,
    scope: Annotated[
        list[str], typer.Option(help="ask, publish, ingest or admin; may be repeated.")
    ] = ["ask"],  # noqa: B006
    tenant: Annotated[str, typer.Option(help="Whose it is; by default your own.")] = "",
    collection: Annotated[
        list[str] | None,
        typer.Option("--collection", "-c", help="Collection; by default all of the tenant."),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Web page that may use it: https://www.example.org")
    ] = None,
    day_usd: Annotated[str | None, typer.Option(help="Dollars it may spend a day.")] = None,
    month_usd: Annotated[str | None, typer.Option(help="Dollars it may spend a month.")] = None,
    per_minute: Annotated[int | None, typer.Option(help="Requests a minute.")] = None,
    visitor_per_minute: Annotated[
        int | None, typer.Option(help="Requests a minute of one visitor of a page.")
    ] = None,
    visitor_per_day: Annotated[
        int | None, typer.Option(help="Questions a day of one visitor of a page.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days it is for.")] = None,
    json: JsonOption = False,
) -> None:
    """Make a key, and print it: this once, since only its hash is kept."""
    from api.keys.key import Key
    from api.settings import load_settings

    settings, is_publishable = load_settings(), "publish" in scope
    limits = {
        "requests_per_minute": per_minute,
        "visitor_requests_per_minute": visitor_per_minute,
        "visitor_questions_per_day": visitor_per_day,
    }
    defaults = PUBLISHED if is_publishable else {}
    named = collection or ([settings.collection] if is_publishable else None)
    key = Key(
        name=name,
        scopes=frozenset(scope),  # type: ignore[arg-type]
        tenant=tenant,
        collections=None if named is None else tuple(named),
        origins=tuple(one.rstrip("/") for one in origin or ()),
        day_usd=_dollars("--day-usd", day_usd),
        month_usd=_dollars("--month-usd", month_usd),
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
        **{unit: defaults.get(unit) if given is None else given for unit, given in limits.items()},
    )
    with _records(settings) as records:
        token = records.create(key)
    if json:
        print_json({"name": name, "key": token})
    else:
        typer.echo(token)
        print_note(f"this is the key {name!r}, shown this once: only its hash is kept")


@keys.command(name="list")
def list_keys(json: JsonOption = False) -> None:
    """List the keys, those that were revoked too."""
    from api.cli.tables.keys import print_keys
    from api.models.keys import KeyOut
    from api.settings import load_settings

    with _records(load_settings()) as records:
        found = [KeyOut.of(one) for one in records.all()]
    if json:
        print_json([one.model_dump(mode="json") for one in found])
    else:
        print_keys(found)


@keys.command()
def revoke(
    name: Annotated[str, typer.Argument(help="The name of the key.")], json: JsonOption = False
) -> None:
    """Let a key open nothing from now on."""
    from api.settings import load_settings

    settings = load_settings()
    with _records(settings) as records:
        records.revoke(name)
        is_open = not records.are_there()
    if json:
        print_json({"name": name, "revoked": True})
    else:
        typer.echo(f"{name} is revoked")
    if is_open:
        print_note("there is no key any more: the service asks for none, and is for this machine")


@contextmanager
def _records(settings: Settings) -> Iterator[KeyRecords]:
    """The keys, in the state that the settings name; a running service sees them at once."""
    from api.keys.records import KeyRecords
    from api.state.opening import open_state

    state = open_state(settings.data_dir, settings.state_url)
    try:
        yield KeyRecords(state)
    finally:
        state.dispose()


def _dollars(option: str, given: str | None) -> Any:
    from decimal import Decimal, InvalidOperation

    from rag.errors import InputError

    if given is None:
        return None
    try:
        return Decimal(given)
    except InvalidOperation:
        raise InputError(f"{option} is {given[:60]!a}: give dollars, such as 2.50") from None
