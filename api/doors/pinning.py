"""From what a person approves to a pinned answer: what it cites is looked up as it stands now."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from dataclasses import replace
from typing import TYPE_CHECKING

from api.audit.log import Action, AuditLog, Deed
from api.keys.reach import By
from api.models.pins import PinCitationIn, PinIn, PinOut
from generation.reuse.pinned import Approval, PinnedAnswers, cited
from generation.reuse.pins import Pin
from indexing.manifest.manifest import Manifest
from rag.errors import ConflictError, InputError, QuestionError
from rag.types import Answer, Citation, Document, Question

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine


async def pin_answer(application: Application, asked: PinIn, by: By) -> PinOut:
    """Pin an answer of a tenant; where that is any, one that the person has written is nobody's.

    Collections are named as those who have this reach name them.

    Raises ConflictError where no answer is given again, NotFoundError for an answer that is not
    kept and a document that is not there, InputError for what the answer does not cite rightly.
    """
    settings, manifest = application.settings, application.manifest
    if not settings.reuse.enabled:
        raise ConflictError(
            "reuse.enabled is false, so that no pinned answer would be given: turn it on first"
        )
    question, text, citations, made = await asyncio.to_thread(
        _approved,
        asked,
        by.tenant,
        application.pinned,
        by.reach.inside(asked.collection or settings.collection),
    )
    length, limit = len(question.text), settings.answers.max_question_chars
    if length > limit:
        raise QuestionError(
            f"the question has {length:,} characters, the limit is {limit:,}: shorten it"
        )
    changes = await manifest.changes(question.collection)
    standing, versions = await asyncio.to_thread(
        _stand, manifest, question.collection, cited(text, citations)
    )
    approval = Approval(question, text, standing, versions, changes, made)
    pin = await application.pinned.add(approval)
    await _note(application, by, "answer.pin", pin)
    return PinOut.of(pin).shown_to(by.reach)


async def list_pins(
    application: Application,
    collection: str | None,
    by: By,
) -> list[PinOut]:
    """The pinned answers of a collection and a tenant; None is all."""
    pins = application.pinned.pins
    inside = None if collection is None else by.reach.inside(collection)
    found = await asyncio.to_thread(pins.pins, by.tenant, inside)
    wrong = await asyncio.to_thread(pins.said_wrong)
    return [PinOut.of(pin, wrong.get(pin.pin_id, 0)).shown_to(by.reach) for pin in found]


async def remove_pin(application: Application, pin_id: str, by: By) -> PinOut:
    """Delete a pinned answer of a tenant (None: of any). Raises NotFoundError."""
    removed = await asyncio.to_thread(application.pinned.pins.remove, pin_id, by.tenant)
    await _note(application, by, "answer.unpin", removed)
    return PinOut.of(removed).shown_to(by.reach)


async def _note(application: Application, by: By, action: Action, pin: Pin) -> None:
    deed = Deed(by.actor, pin.tenant, action, f"{pin.collection}/{pin.pin_id}")
    await asyncio.to_thread(AuditLog(application.state).note, deed)


def _approved(
    asked: PinIn, tenant: str | None, pinned: PinnedAnswers, collection: str
) -> tuple[Question, str, list[Citation], Answer | None]:
    """The question, the answer to it with its citations, and the one that it comes from."""
    if asked.answer_id is None:
        assert asked.question is not None
        assert asked.answer is not None
        question = Question(asked.question, collection, asked.filters, tenant=tenant or "")
        return question, asked.answer, [_draft(one) for one in asked.citations], None
    found = pinned.approvable(asked.answer_id, tenant)
    if asked.question is None and not found.asked_so:
        raise InputError(
            f"answer {asked.answer_id!r} was given to a question in other words than its own, and "
            "those are not kept: give question too"
        )
    question = replace(found.question, text=asked.question or found.question.text)
    made = found.answer
    return question, asked.answer or made.text, list(made.citations), made


def _draft(given: PinCitationIn) -> Citation:
    """A citation that was not looked up yet."""
    end = given.start + len(given.quote)
    return Citation(given.marker, given.document_id, "", "", None, given.start, end, given.quote)


def _stand(
    manifest: Manifest, collection: str, citations: list[Citation]
) -> tuple[list[Citation], dict[str, str]]:
    """The citations as they stand in the documents now, and the versions of these."""
    found = [(one, manifest.document(collection, one.document_id)) for one in citations]
    versions = {document.document_id: document.version for _, document in found}
    return [_standing(one, document) for one, document in found], versions


def _standing(citation: Citation, document: Document) -> Citation:
    """A citation whose quote stands in the document. Raises InputError where it does not."""
    quote, start = citation.quote, citation.start
    if not document.text.startswith(quote, start):
        start = document.text.find(quote)
    if start < 0:
        raise InputError(
            f"the quote of citation [{citation.marker}] does not stand in document "
            f"{document.document_id!r}: quote it as it is now, to the letter"
        )
    return Citation(
        marker=citation.marker,
        document_id=document.document_id,
        title=document.title,
        source=document.sources[0],
        page=bisect_right(document.page_starts, start) or None,
        start=start,
        end=start + len(quote),
        quote=quote,
    )
