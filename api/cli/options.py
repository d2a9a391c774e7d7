"""What the commands share: options, and the way from a command to its door and its output."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from rag.errors import InputError

if TYPE_CHECKING:
    from api.doors.door import Door
    from api.doors.through_service import Build
    from api.models.inputs import Input
    from api.settings import Settings

T = TypeVar("T")
I = TypeVar("I", bound="Input")  # noqa: E741

CollectionOption = Annotated[
    str | None,
    typer.Option("--collection", "-c", help="Collection; by default the setting `collection`."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def work_through_door(
    ctx: typer.Context, settings: Settings, work: Callable[[Door], Awaitable[T]]
) -> T:
    """What `work` makes of the door: this process, or the service that holds the data."""
    from api.doors.through_service import use_door

    build: Build = ctx.obj
    return asyncio.run(use_door(settings, build, work, print_note))


def checked(model: type[I], values: Mapping[str, Any]) -> I:
    """An input made of what the user gave. Raises InputError, in one line."""
    from pydantic import ValidationError

    from api.models.inputs import validation_lines

    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        field, message = validation_lines(error.errors())[0]
        raise InputError(f"{field}: {message}" if field else message) from None


def print_note(line: str) -> None:
    """Tell the person something that is not the result."""
    typer.echo(f"note: {line}", err=True)


def print_json(value: object) -> None:
    """Print the result as JSON."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
