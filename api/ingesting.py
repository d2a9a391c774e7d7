"""From what callers send to an ingestion: paths, uploaded files, texts. Used by every door."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from api.models.documents import DocumentOut
from api.models.inputs import DocumentsIn, TextIn
from indexing.identity import content_version, document_id_for
from indexing.readers.by_extension import FileReader
from indexing.readers.content import clean_text
from indexing.readers.titles import first_heading, one_line
from indexing.report import IngestionReport, Item, OnProgress
from rag.errors import DocumentError, NotFoundError
from rag.types import Document

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine


async def ingest_paths(
    application: Application,
    asked: DocumentsIn,
    collection: str,
    on_progress: OnProgress | None,
) -> IngestionReport:
    """Ingest the files and folders at `asked.paths`. Raises InputError for one that is missing."""
    paths = [Path(path) for path in asked.paths or ()]
    ingestion = application.ingestion
    if asked.dry_run and asked.sync:
        return await ingestion.plan_sync(paths, collection)
    if asked.dry_run:
        return await ingestion.plan(paths, collection)
    if asked.sync:
        return await ingestion.ingest_and_sync(paths, collection, on_progress=on_progress)
    return await ingestion.ingest(paths, collection, on_progress=on_progress)


async def ingest_uploads(
    application: Application, folder: Path, collection: str, on_progress: OnProgress | None
) -> IngestionReport:
    """Ingest the files in `folder` under their own names, then delete the folder.

    What was uploaded lives on in the index alone: forgetting a document leaves no copy of it.
    """
    reader = FileReader(application.settings.server.max_body_bytes)
    try:
        documents, failed = await asyncio.to_thread(_read_files, reader, folder, collection)
        report = await ingest_documents(application, documents, collection, on_progress)
        return replace(report, items=(*report.items, *failed))
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def ingest_documents(
    application: Application,
    documents: Sequence[Document],
    collection: str,
    on_progress: OnProgress | None,
) -> IngestionReport:
    """Ingest documents that did not come from a file on this machine."""
    return await application.ingestion.ingest_documents(
        documents, collection, on_progress=on_progress
    )


def document_from(sent: TextIn, collection: str) -> Document:
    """A text as a document: under its own id, or one made from its content."""
    text = clean_text(sent.text)
    title = one_line(clean_text(sent.title)) or first_heading(text)
    metadata = {
        clean_text(name): clean_text(value) if isinstance(value, str) else value
        for name, value in sent.metadata.items()
    }
    version = content_version(title, text, metadata)
    document_id = sent.id or document_id_for(f"api:{version}")
    return Document(
        collection=collection,
        document_id=document_id,
        version=version,
        title=title or document_id,
        text=text,
        sources=(f"api:{document_id}",),
        metadata=metadata,
    )


async def list_documents(application: Application, collection: str | None) -> list[DocumentOut]:
    """The documents of a collection, or (None) of all. Raises NotFoundError."""
    manifest = application.manifest
    records = await asyncio.to_thread(manifest.documents, collection)
    if collection is not None and not records:
        known = await asyncio.to_thread(manifest.collections)
        raise NotFoundError(
            f"no collection {collection!r}: "
            + (f"there are {', '.join(known[:20])}" if known else "nothing is ingested yet")
        )
    return [DocumentOut.of(record) for record in records]


def _read_files(
    reader: FileReader, folder: Path, collection: str
) -> tuple[list[Document], list[Item]]:
    documents: list[Document] = []
    failed: list[Item] = []
    for path in sorted(folder.iterdir()):
        try:
            read = reader.read(path, collection, path.name)
        except DocumentError as error:
            failed.append(Item(path.name, "failed", reason=str(error)))
            continue
        documents.extend(read.documents)
        failed.extend(Item(part.source, "failed", reason=part.reason) for part in read.failed)
    return documents, failed
