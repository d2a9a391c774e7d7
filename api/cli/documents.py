"""`rag documents` and `rag forget`: what is indexed, and how it gets out again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.options import (
    CollectionOption,
    JsonOption,
    print_json,
    print_note,
    work_through_door,
)

if TYPE_CHECKING:
    from api.settings import Settings


def documents(
    ctx: typer.Context,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Collection; by default all.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the documents."""
    from api.cli.tables.answers import print_documents
    from api.settings import load_settings

    found = work_through_door(ctx, load_settings(), lambda door: door.documents(collection))
    if json:
        print_json([document.model_dump(mode="json") for document in found])
    else:
        print_documents(found)


def forget(
    ctx: typer.Context,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID…", help="Ids from `rag documents`.")
    ] = None,
    *,
    conversation: Annotated[
        str | None,
        typer.Option("--conversation", help="Instead, all that was said in a conversation."),
    ] = None,
    visitor: Annotated[
        str | None,
        typer.Option("--visitor", help="Instead, all that a visitor of a web page asked."),
    ] = None,
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Delete documents everywhere, or the words of a conversation or a visitor, with proof.

    Unknown documents stop it before anything is deleted.
    """
    from api.cli.tables.answers import print_forgotten
    from api.settings import load_settings
    from indexing.loading.names import is_there

    if [bool(ids), conversation is not None, visitor is not None].count(True) != 1:
        raise typer.BadParameter(
            "give ids of documents, or --conversation and its id, or --visitor and its name"
        )
    settings = load_settings()
    if ids is None or not ids:
        _forget_words(settings, conversation, visitor, json)
        return
    place = settings.collection if collection is None else collection
    proofs = work_through_door(ctx, settings, lambda door: door.forget(place, ids))
    if json:
        print_json([proof.model_dump(mode="json") for proof in proofs])
    else:
        print_forgotten(proofs)
    for source in sorted({source for proof in proofs for source in proof.sources}):
        if is_there(source):
            print_note(f"{source} is still there: the next ingestion of it brings it back")


def _forget_words(
    settings: Settings, conversation: str | None, visitor: str | None, json: bool
) -> None:
    from api.cli.tables.answers import print_forgotten_words
    from api.forgetting.people import forget_conversation, forget_visitor, opened_forget
    from api.models.forgotten import ForgottenOut

    if visitor is None:
        assert conversation is not None
        of, done = "conversation", opened_forget(settings, forget_conversation, conversation)
    else:
        of, done = "visitor", opened_forget(settings, forget_visitor, visitor)
    proof = ForgottenOut.of(done)
    if json:
        print_json(proof.model_dump(mode="json"))
    else:
        print_forgotten_words(proof, of)
