"""Documents, ingestion jobs and their reports as JSON."""

from __future__ import annotations

from typing import Literal, Self

from api.keys.reach import Reach
from api.models.answers import public_source
from api.models.output import Output
from indexing.ingesting.report import ForgetReport, IngestionReport, Item, Outcome, Progress
from indexing.manifest.manifest import DocumentRecord
from indexing.manifest.quotes import Quote
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
    family: str

    @classmethod
    def of(cls, record: DocumentRecord) -> DocumentOut:
        return cls(
            collection=record.collection,
            document_id=record.document_id,
            title=record.title,
            sources=list(record.sources),
            chunks=record.chunks,
            version=record.version,
            family=record.family,
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
    dated: str

    def for_visitors(self) -> Self:
        """Without the operator's paths, and without what is only there to filter by."""
        sources = [one for one in self.sources if public_source(one)]
        return self.model_copy(update={"sources": sources, "metadata": {}})

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
            dated=document.dated,
        )


class ForgetOut(Output):
    """Proof that a document is gone: what was there before, and what is there after.

    `found_after` counts its hits in a search for its own words, `answers_removed` the kept answers
    and lessons that were made from it. `sources` are the places from which the next ingestion would
    bring it back, where they are still there.
    """

    document_id: str
    sources: list[str]
    chunks_before: int
    chunks_after: int
    documents_before: int
    documents_after: int
    found_after: int
    answers_removed: int

    @classmethod
    def of(cls, report: ForgetReport) -> ForgetOut:
        return cls.model_validate({name: getattr(report, name) for name in cls.model_fields})


class ItemOut(Output):
    """What became of one source, and why."""

    source: str
    outcome: Outcome
    document_id: str | None
    reason: str | None

    @classmethod
    def of(cls, item: Item) -> ItemOut:
        return cls(**{name: getattr(item, name) for name in cls.model_fields})


class QuoteOut(Output):
    """What an ingestion would take; `usd` is null where the price of embedding is unknown."""

    documents: int
    chunks: int
    chunks_embedded: int
    tokens: int
    seconds: float
    usd: str | None

    @classmethod
    def of(cls, quote: Quote) -> QuoteOut:
        return cls(
            documents=quote.documents,
            chunks=quote.chunks,
            chunks_embedded=quote.chunks_embedded,
            tokens=quote.tokens,
            seconds=round(quote.seconds, 1),
            usd=None if quote.usd is None else f"{quote.usd:f}",
        )


class ReportOut(Output):
    """What an ingestion did. `counts` has every outcome.

    `quote` is what it was said to take, where that was asked before; for a dry run, what the real
    one would take.
    """

    collection: str
    counts: dict[Outcome, int]
    items: list[ItemOut]
    chunks: int
    chunks_embedded: int
    seconds: float
    quote: QuoteOut | None = None

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
                "quote": None if report.quote is None else QuoteOut.of(report.quote),
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


class JobLineOut(Output):
    """An ingestion job in a list. `reason` says why it failed.

    `attempts` is how often it was begun: more than once, when the service went down meanwhile.
    """

    id: str
    state: JobState
    collection: str
    created_at: str
    started_at: str | None
    finished_at: str | None
    attempts: int = 0
    progress: ProgressOut | None
    reason: str | None
    can_be_retried: bool = False

    def shown_to(self, reach: Reach) -> Self:
        """The same, with the names of collections as the caller calls them."""
        reason = None if self.reason is None else reach.told(self.reason)
        named = {"collection": reach.shown(self.collection), "reason": reason}
        return self.model_copy(update=named)


class JobOut(JobLineOut):
    """An ingestion job; `report` is there once it is done."""

    report: ReportOut | None

    def shown_to(self, reach: Reach) -> Self:
        """The same, with the names of collections as the caller calls them."""
        shown = super().shown_to(reach)
        if shown.report is None:
            return shown
        named = {"collection": reach.shown(shown.report.collection)}
        return shown.model_copy(update={"report": shown.report.model_copy(update=named)})


class JobsOut(Output):
    """The newest jobs, newest first."""

    jobs: list[JobLineOut]
