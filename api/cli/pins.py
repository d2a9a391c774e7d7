"""`rag pins`: answers that a person approved, which are given before all others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import CollectionOption, JsonOption, checked, print_json, work_through_door
from rag.errors import InputError

if TYPE_CHECKING:
    from api.models.pins import PinOut

pins = typer.Typer(no_args_is_help=True)
PlaceOption = Annotated[
    str | None, typer.Option("--collection", "-c", help="Collection; by default all.")
]


@pins.callback()
def about() -> None:
    """Pin approved answers: they are given first, until a document that they cite changes."""


@pins.command(name="list")
def list_(ctx: typer.Context, *, collection: PlaceOption = None, json: JsonOption = False) -> None:
    """List the pinned answers, and those that expired with the reason."""
    from api.settings import load_settings

    found = work_through_door(ctx, load_settings(), lambda door: door.pins(collection))
    if json:
        print_json([pin.model_dump(mode="json") for pin in found])
    elif not found:
        typer.echo("no pinned answers: `rag pins add ANSWER_ID` pins one")
    else:
        from api.cli.tables.answers import print_pins

        print_pins(found)


@pins.command()
def add(
    ctx: typer.Context,
    answer_id: Annotated[
        str | None,
        typer.Argument(help="Id of an answer, or of a pinned one to approve again."),
    ] = None,
    *,
    question: Annotated[str | None, typer.Option(help="What it answers.")] = None,
    answer: Annotated[
        str | None, typer.Option(help="The corrected text, with the markers of its citations.")
    ] = None,
    cite: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DOCUMENT_ID=QUOTE", help="Without ANSWER_ID: what [1], [2], … stand for."
        ),
    ] = None,
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Pin an answer that was given, or one of your own to a question."""
    from api.models.pins import PinIn
    from api.settings import load_settings

    given: dict[str, Any] = {
        "answer_id": answer_id,
        "question": question,
        "answer": answer,
        "citations": [_citation(number, told) for number, told in enumerate(cite or [], 1)],
        "collection": collection,
    }
    asked = checked(PinIn, given)
    _show(
        work_through_door(ctx, load_settings(), lambda door: door.pin(asked)), "pinned", json=json
    )


@pins.command()
def remove(
    ctx: typer.Context,
    pin_id: Annotated[str, typer.Argument(help="Id from `rag pins list`.")],
    *,
    json: JsonOption = False,
) -> None:
    """Remove a pinned answer."""
    from api.settings import load_settings

    removed = work_through_door(ctx, load_settings(), lambda door: door.remove_pin(pin_id))
    _show(removed, "removed", json=json)


def _citation(marker: int, told: str) -> dict[str, Any]:
    document_id, sign, quote = told.partition("=")
    if not sign:
        raise InputError(f"--cite is {told[:60]!r}: give DOCUMENT_ID=QUOTE")
    return {"marker": marker, "document_id": document_id, "quote": quote}


def _show(pin: PinOut, done: str, *, json: bool) -> None:
    if json:
        print_json(pin.model_dump(mode="json"))
    else:
        typer.echo(f"{done} {pin.id}: {pin.question}")
