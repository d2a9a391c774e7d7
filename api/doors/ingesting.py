"""From what callers send to an ingestion: places, uploaded files, texts. Used by every door."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from api.audit.log import AuditLog, Deed
from api.http.uploads import safe_name
from api.jobs.assignment import TEXT_PREFIX, UPLOAD_PREFIX, Assignment
from api.jobs.kept_files import FOLDER
from api.jobs.runner import purge
from api.keys.key import COMMAND_LINE
from api.keys.reach import EVERYTHING, Reach, tenant_of
from api.models.documents import DocumentOut
from api.models.inputs import DocumentsIn, TextIn
from indexing.identity import content_version, document_id_for
from indexing.ingesting.report import ForgetReport, IngestionReport, OnProgress
from indexing.readers.content import clean_text
from indexing.readers.titles import first_heading, one_line
from indexing.wording import wording
from rag.errors import NotFoundError
from rag.types import Document

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine


def assignment_of(asked: DocumentsIn, collection: str, actor: str) -> Assignment:
    """What was asked for, as it is recorded: texts get the ids that they will go by."""
    texts = tuple(
        text
        if text.id is not None
        else text.model_copy(update={"id": document_from(text, collection).document_id})
        for text in asked.documents or ()
    )
    return Assignment(
        collection=collection,
        documents=texts,
        places=(*(asked.paths or ()), *(asked.urls or ())),
        sync=asked.sync,
        actor=actor if asked.sync else "",
        dry_run=asked.dry_run,
    )


async def ingest_paths(
    application: Application,
    asked: DocumentsIn,
    collection: str,
    on_progress: OnProgress | None,
) -> IngestionReport:
    """Ingest what the command line asked for.

    Raises InputError for a path at which nothing stands.
    """
    assignment = assignment_of(asked, collection, COMMAND_LINE)
    return await carry_out(application, assignment, on_progress)


async def ingest_content(
    application: Application,
    name: str,
    content: bytes,
    collection: str,
    on_progress: OnProgress | None,
) -> IngestionReport:
    """Ingest a file that is not on disk, as if it was uploaded under `name`."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / safe_name(name)
        await asyncio.to_thread(path.write_bytes, content)
        files = {f"{UPLOAD_PREFIX}{path.name}": path}
        return await application.ingestion.ingest_files(files, collection, on_progress=on_progress)


async def carry_out(
    application: Application, assignment: Assignment, on_progress: OnProgress | None
) -> IngestionReport:
    """Ingest the texts, the files or the places; what is there already costs next to nothing."""
    ingestion, collection = application.ingestion, assignment.collection
    if assignment.kind == "places":
        places = assignment.places
        if assignment.dry_run and assignment.sync:
            return await ingestion.plan_sync(places, collection)
        if assignment.dry_run:
            return await ingestion.plan(places, collection)
        if assignment.sync:
            report = await ingestion.ingest_and_sync(places, collection, on_progress=on_progress)
            await _note_removed(application, assignment, report)
            return report
        return await ingestion.ingest(places, collection, on_progress=on_progress)
    if assignment.kind == "files":
        folder = application.settings.data_dir / FOLDER / assignment.folder
        files = {f"{UPLOAD_PREFIX}{name}": folder / name for name in assignment.files}
        return await ingestion.ingest_files(files, collection, on_progress=on_progress)
    documents = await asyncio.to_thread(
        lambda: [document_from(text, collection) for text in assignment.documents]
    )
    return await ingestion.ingest_documents(documents, collection, on_progress=on_progress)


async def _note_removed(
    application: Application, assignment: Assignment, report: IngestionReport
) -> None:
    removed = sum(item.outcome == "removed" for item in report.items)
    if removed:
        tenant, name = tenant_of(assignment.collection)
        deed = Deed(assignment.actor, tenant, "document.sync", f"{name}: {removed} removed")
        await asyncio.to_thread(AuditLog(application.state).note, deed)


async def forget_documents(
    application: Application, collection: str, document_ids: Sequence[str], actor: str
) -> list[ForgetReport]:
    """Delete documents everywhere, the copies that jobs keep included: a deed of `actor`.

    Raises NotFoundError, before anything is deleted, when one of them is unknown.
    """
    reports = await application.ingestion.forget(collection, document_ids)
    sources = [source for report in reports for source in report.sources]
    await purge(application.state, application.settings.data_dir, collection, sources)
    tenant, name = tenant_of(collection)
    deeds = [
        Deed(actor, tenant, "document.forget", f"{name}/{report.document_id}") for report in reports
    ]
    await asyncio.to_thread(AuditLog(application.state).note, *deeds)
    return reports


def document_from(sent: TextIn, collection: str) -> Document:
    """A text as a document: under its own id, or one made from its content."""
    text = clean_text(sent.text)
    title = one_line(clean_text(sent.title)) or first_heading(text)
    metadata = {
        clean_text(name): clean_text(value) if isinstance(value, str) else value
        for name, value in sent.metadata.items()
    }
    version = content_version(title, text, metadata)
    document_id = sent.id or document_id_for(f"{TEXT_PREFIX}{version}")
    return Document(
        collection=collection,
        document_id=document_id,
        version=version,
        wording=wording(title, text, metadata),
        title=title or document_id,
        text=text,
        sources=(f"{TEXT_PREFIX}{document_id}",),
        metadata=metadata,
        dated=datetime.now(UTC).isoformat(timespec="seconds"),
    )


async def list_documents(
    application: Application, collection: str | None, reach: Reach = EVERYTHING
) -> list[DocumentOut]:
    """The documents of a collection, or (None) of all within reach.

    Raises NotFoundError, and AccessError for a collection out of reach.
    """
    manifest = application.manifest
    if reach is EVERYTHING and collection is None:
        records = await asyncio.to_thread(manifest.documents, None)
        return [DocumentOut.of(record) for record in records]
    known = [name for name in await asyncio.to_thread(manifest.collections) if reach.has(name)]
    wanted = known if collection is None else [reach.inside(collection)]
    found = [await asyncio.to_thread(manifest.documents, name) for name in wanted]
    records = [record for records in found for record in records]
    if collection is not None and not records:
        names = ", ".join(reach.shown(name) for name in known[:20])
        raise NotFoundError(
            f"no collection {collection!r}: "
            + (f"there are {names}" if names else "nothing is ingested yet")
        )
    return [
        DocumentOut.of(record).model_copy(update={"collection": reach.shown(record.collection)})
        for record in records
    ]
