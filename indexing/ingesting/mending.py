"""Brings single documents in step: removes, describes, and finishes what was left half done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from indexing.ingesting.parts import Parts


async def remove_document(parts: Parts, collection: str, document_id: str) -> int:
    """Delete a document from the store and then from the manifest; needs the turn to write.

    Kept answers that were made from it are deleted before; gives how many.
    """
    await asyncio.to_thread(parts.manifest.release, collection, document_id)
    answers = await parts.drop_answers(collection, [document_id])
    await parts.store.delete(collection, document_id)
    await asyncio.to_thread(parts.manifest.remove_document, collection, document_id)
    return answers


async def describe(parts: Parts, collection: str, document_ids: Sequence[str]) -> None:
    """Bring what chunks say of their documents in step with the manifest."""
    for document_id in dict.fromkeys(document_ids):
        document = await asyncio.to_thread(parts.manifest.find, collection, document_id)
        if document is not None and document.sources:
            await parts.store.describe(document)


async def remove_abandoned(parts: Parts, collection: str) -> None:
    """Finish removals that were killed; needs the turn to write."""
    for document_id in await asyncio.to_thread(parts.manifest.abandoned, collection):
        await remove_document(parts, collection, document_id)


async def mend(parts: Parts, collection: str) -> None:
    """Finish what a run left half done, this one or one that was killed.

    Documents that have no source left or were never recorded whole are removed. The others lose
    the chunks that are not of their revision; those that are, are all there.
    """
    manifest = parts.manifest
    async with parts.turns.writing(collection):
        for document_id in await asyncio.to_thread(manifest.unfinished, collection):
            await remove_document(parts, collection, document_id)
        unsettled = await asyncio.to_thread(manifest.unsettled, collection)
        if not unsettled:
            return
        revisions = await manifest.current(collection, unsettled)
        for document_id in unsettled:
            await parts.store.delete_stale(collection, document_id, revisions[document_id])
        await describe(parts, collection, unsettled)
        await asyncio.to_thread(manifest.settle, collection, unsettled)
