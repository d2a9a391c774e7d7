"""`rag ask`: an answer with its citations and its cost."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import CollectionOption, JsonOption, checked, print_json, work_through_door


def ask(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="What you want to know, in plain words.")],
    *,
    collection: CollectionOption = None,
    max_context_tokens: Annotated[
        int | None,
        typer.Option(
            help="Tokens of context at most; by default the setting `context.max_tokens`."
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(help="Who must answer: extractive, local or premium; by default who can."),
    ] = None,
    max_cost_usd: Annotated[
        str | None, typer.Option(help="Dollars that the answer may cost at most.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Answer anew: give no kept answer, and keep none.")
    ] = False,
    conversation: Annotated[
        str | None,
        typer.Option(help="What the question is a part of: a name that you give it."),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Answer a question from the documents, with citations and cost."""
    from api.cli.tables.answers import print_answer
    from api.models.inputs import AnswerIn
    from api.settings import load_settings

    settings = load_settings()
    asked = checked(
        AnswerIn,
        {
            "question": question,
            "collection": settings.collection if collection is None else collection,
            "max_context_tokens": (
                settings.context.max_tokens if max_context_tokens is None else max_context_tokens
            ),
            "tier": tier,
            "max_cost_usd": max_cost_usd,
            "fresh": fresh,
            "conversation_id": conversation,
        },
    )
    answer = work_through_door(ctx, settings, lambda door: door.ask(asked))
    if json:
        print_json(answer.model_dump(mode="json"))
    else:
        print_answer(answer)
