"""The one interface of every command, and its first form: the application in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from api.assembly.tiers import check_tier
from api.doors.ingesting import forget_documents, ingest_content, ingest_paths, list_documents
from api.doors.pinning import list_pins, pin_answer, remove_pin
from api.keys.key import COMMAND_LINE
from api.keys.reach import BY_COMMAND_LINE
from api.models.answers import AnswerOut, ContextOut, SearchOut
from api.models.batches import BatchIn, BatchOut, BatchStateOut
from api.models.costs import CostsIn, CostsOut
from api.models.documents import DocumentOut, DocumentTextOut, ForgetOut, ReportOut
from api.models.inputs import AnswerIn, ContextIn, DocumentsIn, SearchIn
from api.models.pins import PinIn, PinOut
from api.reports.spending import look_up_costs
from indexing.ingesting.report import OnProgress

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine


class Door(Protocol):
    """What a command can do; it need not know where that happens."""

    async def ask(self, asked: AnswerIn) -> AnswerOut:
        """The answer to a question."""

    async def search(self, asked: SearchIn) -> SearchOut:
        """The chunks that may answer a question, best first."""

    async def context(self, asked: ContextIn) -> ContextOut:
        """The compressed context of a question alone."""

    async def ingest(self, asked: DocumentsIn, on_progress: OnProgress) -> ReportOut:
        """Ingest the paths, and wait until that is done."""

    async def ingest_file(
        self, name: str, content: bytes, collection: str, on_progress: OnProgress
    ) -> ReportOut:
        """Ingest a file that is not on disk, as if it was uploaded."""

    async def documents(self, collection: str | None) -> list[DocumentOut]:
        """The documents of a collection, or (None) of all."""

    async def document(self, collection: str, document_id: str) -> DocumentTextOut:
        """One document, with its text."""

    async def forget(self, collection: str, document_ids: Sequence[str]) -> list[ForgetOut]:
        """Delete documents, with proof; nothing is deleted when one of them is unknown."""

    async def costs(self, asked: CostsIn) -> CostsOut:
        """What was spent and saved, and how full the budgets are."""

    async def pins(self, collection: str | None) -> list[PinOut]:
        """The answers that people pinned in a collection, or (None) in all."""

    async def pin(self, asked: PinIn) -> PinOut:
        """Pin an answer that a person approved."""

    async def remove_pin(self, pin_id: str) -> PinOut:
        """Delete a pinned answer; gives what it was."""

    async def submit_batch(self, asked: BatchIn) -> BatchOut:
        """Take questions that can wait; the same ones again are the batch that is there."""

    async def batch(self, batch_id: str) -> BatchStateOut:
        """How far a batch is, with its answers once it has ended."""


class LocalDoor:
    """Works in this process, which must hold the data folder."""

    def __init__(self, application: Application) -> None:
        self._application = application

    @property
    def application(self) -> Application:
        """What it works with."""
        return self._application

    async def ask(self, asked: AnswerIn) -> AnswerOut:
        """The answer to a question."""
        settings = self._application.settings
        check_tier(settings, asked.tier)
        answer = await self._application.pipeline.answer(
            replace(asked.to_question(settings.collection), key=COMMAND_LINE),
            asked.max_context_tokens,
        )
        return AnswerOut.of(answer, settings.handoff)

    async def search(self, asked: SearchIn) -> SearchOut:
        """The chunks that may answer a question, best first."""
        question = asked.to_question(self._application.settings.collection)
        return SearchOut.of(await self._application.pipeline.search(question, asked.k))

    async def context(self, asked: ContextIn) -> ContextOut:
        """The compressed context of a question alone."""
        settings = self._application.settings
        context = await self._application.pipeline.context(
            asked.to_question(settings.collection),
            asked.max_context_tokens,
        )
        return ContextOut.of(context)

    async def ingest(self, asked: DocumentsIn, on_progress: OnProgress) -> ReportOut:
        """Ingest the paths."""
        collection = asked.collection or self._application.settings.collection
        return ReportOut.of(await ingest_paths(self._application, asked, collection, on_progress))

    async def ingest_file(
        self, name: str, content: bytes, collection: str, on_progress: OnProgress
    ) -> ReportOut:
        """Ingest a file that is not on disk, as if it was uploaded."""
        report = await ingest_content(self._application, name, content, collection, on_progress)
        return ReportOut.of(report)

    async def documents(self, collection: str | None) -> list[DocumentOut]:
        """The documents of a collection, or (None) of all."""
        return await list_documents(self._application, collection)

    async def document(self, collection: str, document_id: str) -> DocumentTextOut:
        """One document, with its text."""
        manifest = self._application.manifest
        return DocumentTextOut.of(
            await asyncio.to_thread(manifest.document, collection, document_id)
        )

    async def forget(self, collection: str, document_ids: Sequence[str]) -> list[ForgetOut]:
        """Delete documents, with proof; nothing is deleted when one of them is unknown."""
        reports = await forget_documents(self._application, collection, document_ids, COMMAND_LINE)
        return [ForgetOut.of(report) for report in reports]

    async def costs(self, asked: CostsIn) -> CostsOut:
        """What was spent and saved, and how full the budgets are."""
        return await look_up_costs(self._application, asked)

    async def pins(self, collection: str | None) -> list[PinOut]:
        """The answers that people pinned in a collection, or (None) in all."""
        return await list_pins(self._application, collection, BY_COMMAND_LINE)

    async def pin(self, asked: PinIn) -> PinOut:
        """Pin an answer that a person approved."""
        return await pin_answer(self._application, asked, BY_COMMAND_LINE)

    async def remove_pin(self, pin_id: str) -> PinOut:
        """Delete a pinned answer; gives what it was."""
        return await remove_pin(self._application, pin_id, BY_COMMAND_LINE)

    async def submit_batch(self, asked: BatchIn) -> BatchOut:
        """Take questions that can wait; the same ones again are the batch that is there."""
        collection = self._application.settings.collection
        questions = asked.to_questions(collection, tenant="", key=COMMAND_LINE)
        batches = self._application.batching.batches
        return BatchOut.of(await batches.submit(questions, asked.max_cost_usd))

    async def batch(self, batch_id: str) -> BatchStateOut:
        """How far a batch is, with its answers once it has ended."""
        batches = self._application.batching.batches
        return BatchStateOut.of(await batches.look(batch_id, tenant="", key=COMMAND_LINE))
