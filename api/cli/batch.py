"""`rag batch`: questions that can wait, sent together at a discount; run again, it collects."""

from __future__ import annotations

import os
from pathlib import Path
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
from rag.errors import InputError

if TYPE_CHECKING:
    from api.doors.door import Door
    from api.models.batches import BatchAnswerOut, BatchIn, BatchOut, BatchStateOut


def batch(
    ctx: typer.Context,
    questions: Annotated[
        Path,
        typer.Argument(
            metavar="QUESTIONS.jsonl", help="One question a line: {id?, question, collection?}."
        ),
    ],
    *,
    output: Annotated[
        Path, typer.Option(metavar="ANSWERS.jsonl", help="File for the answers, one a line.")
    ],
    collection: CollectionOption = None,
    max_usd: Annotated[
        str | None, typer.Option(help="Dollars that the whole batch may cost at most.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Ask many questions that can wait, at a discount; run it again to collect the answers."""
    from api.models.batches import BatchIn, read_questions
    from api.settings import load_settings

    settings = load_settings()
    asked = checked(
        BatchIn,
        {
            "questions": read_questions(questions),
            "collection": settings.collection if collection is None else collection,
            "max_cost_usd": max_usd,
        },
    )
    if not output.absolute().parent.is_dir():
        raise InputError(f"{output.parent} is no folder: make it, or give another --output")
    taken, state = work_through_door(ctx, settings, lambda door: _step(door, asked))
    if state.answers is not None:
        _write(output, state.answers)
    if json:
        told = taken.model_dump(mode="json") | state.model_dump(mode="json", exclude={"answers"})
        print_json(told)
    else:
        _print(taken, state, output)


async def _step(door: Door, asked: BatchIn) -> tuple[BatchOut, BatchStateOut]:
    """The batch, which is sent unless it was, and how far it is."""
    taken = await door.submit_batch(asked)
    return taken, await door.batch(taken.id)


def _print(taken: BatchOut, state: BatchStateOut, output: Path) -> None:
    if state.answers is not None:
        failed = f", {state.failed:,} of them without the model, as they say" * bool(state.failed)
        typer.echo(f"{state.total:,} answers are in {output}{failed}")
        return
    over = f" ({taken.over_budget:,} of them over the budget)" * bool(taken.over_budget)
    typer.echo(
        f"{taken.quoted:,} quoted{over}, {taken.waiting:,} wait in {taken.id}, which costs at most "
        f"${taken.at_most_usd}"
    )
    failed = f", {state.failed:,} failed" * bool(state.failed)
    typer.echo(f"{state.answered:,} of {state.total:,} are answered{failed}")
    print_note("run the same command again to collect them; a batch can take a day")


def _write(output: Path, answers: list[BatchAnswerOut]) -> None:
    """All of it or nothing."""
    unfinished = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        unfinished.write_text(
            "".join(f"{answer.model_dump_json()}\n" for answer in answers), encoding="utf-8"
        )
        unfinished.replace(output)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise InputError(
            f"{output} cannot be written ({error.strerror}): give another with --output"
        ) from None
    print_note("the same command gives the same answers; to ask anew, give the questions other ids")
