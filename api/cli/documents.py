"""`rag documents` and `rag forget`: what is indexed, and how it gets out again."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.options import (
    CollectionOption,
    JsonOption,
    print_json,
    print_note,
    work_through_door,
)


def documents(
    ctx: typer.Context,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Collection; by default all.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """List the documents."""
    from api.cli.tables import print_documents
    from api.settings import load_settings

    found = work_through_door(ctx, load_settings(), lambda door: door.documents(collection))
    if json:
        print_json([document.model_dump(mode="json") for document in found])
    else:
        print_documents(found)


def forget(
    ctx: typer.Context,
    ids: Annotated[list[str], typer.Argument(metavar="ID…", help="Ids from `rag documents`.")],
    collection: CollectionOption = None,
    json: JsonOption = False,
) -> None:
    """Delete documents everywhere, with proof. Unknown ids stop it before anything is deleted."""
    from api.cli.tables import print_forgotten
    from api.settings import load_settings
    from indexing.loading.names import is_there

    settings = load_settings()
    place = settings.collection if collection is None else collection
    proofs = work_through_door(ctx, settings, lambda door: door.forget(place, ids))
    if json:
        print_json([proof.model_dump(mode="json") for proof in proofs])
    else:
        print_forgotten(proofs)
    for source in sorted({source for proof in proofs for source in proof.sources}):
        if is_there(source):
            print_note(f"{source} is still there: the next ingestion of it brings it back")
