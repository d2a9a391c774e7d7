"""Documents, ingestion jobs and their reports as JSON."""

from __future__ import annotations

from typing import Literal

from api.models.output import Output
from indexing.manifest import DocumentRecord
from indexing.report import ForgetReport, IngestionReport, Item, Outcome, Progress
from rag.types import Document, Scalar

JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class DocumentOut(Output):
    """A line of the list of documents."""

    collection: str
    document_id: str
    title: str
    sources: list[str]
    chunks: int
    version: str

    @classmethod
    def of(cls, record: DocumentRecord) -> DocumentOut:
        return cls(
            collection=record.collection,
            document_id=record.document_id,
            title=record.title,
            sources=list(record.sources),
            chunks=record.chunks,
            version=record.version,
        )


class DocumentsOut(Output):
    """The documents of one collection, or of all."""

    documents: list[DocumentOut]


class DocumentTextOut(Output):
    """One document, whole."""

    collection: str
    document_id: str
    version: str
    title: str
    text: str
    sources: list[str]
    page_starts: list[int]
    metadata: dict[str, Scalar]

    @classmethod
    def of(cls, document: Document) -> DocumentTextOut:
        return cls(
            collection=document.collection,
            document_id=document.document_id,
            version=document.version,
            title=document.title,
            text=document.text,
            sources=list(document.sources),
            page_starts=list(document.page_starts),
            metadata=dict(document.metadata),
        )


class ForgetOut(Output):
    """Proof that a document is gone: what was there before, and what is there after."""

    document_id: str
    chunks_before: int
    chunks_after: int
    documents_before: int
    documents_after: int

    @classmethod
    def of(cls, report: ForgetReport) -> ForgetOut:
        return cls(**{name: getattr(report, name) for name in cls.model_fields})


class ItemOut(Output):
    """What became of one source, and why."""

    source: str
    outcome: Outcome
    document_id: str | None
    reason: str | None

    @classmethod
    def of(cls, item: Item) -> ItemOut:
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class ReportOut(Output):
    """What an ingestion did. `counts` has every outcome."""

    collection: str
    counts: dict[Outcome, int]
    items: list[ItemOut]
    chunks: int
    chunks_embedded: int
    seconds: float

    @classmethod
    def of(cls, report: IngestionReport) -> ReportOut:
        return cls.model_validate(
            {
                "collection": report.collection,
                "counts": report.counts(),
                "items": [ItemOut.of(item) for item in report.items],
                "chunks": report.chunks,
                "chunks_embedded": report.chunks_embedded,
                "seconds": round(report.seconds, 3),
            }
        )


class ProgressOut(Output):
    """How far an ingestion has come."""

    files_done: int
    files_total: int
    documents: int
    chunks: int
    chunks_embedded: int

    @classmethod
    def of(cls, progress: Progress) -> ProgressOut:
        return cls(**{name: getattr(progress, name) for name in cls.model_fields})


class JobOut(Output):
    """An ingestion job. `reason` says why it failed; `report` is there once it is done."""

    id: str
    state: JobState
    collection: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    progress: ProgressOut | None
    report: ReportOut | None
    reason: str | None
