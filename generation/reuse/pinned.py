"""Answers that a person approved: given before all others, as long as what they cite stands.

A pin is bound to the versions of the documents that it cites, and to nothing else: models and
settings may change, and so may other documents. It is looked at like a kept answer: while the
collection has not changed, it stands; when it has, the versions are compared.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from generation.reuse.binding import filters_of, saying_of, scope_of, values_of
from generation.reuse.entries import Entries, Entry
from generation.reuse.pins import Pin, Pins
from generation.reuse.verdicts import SAME_WORDS, Verdicts
from generation.writing.claims import claims_of
from rag.errors import InputError, NotFoundError
from rag.ports import ChangeCounter, Embedder, Versions
from rag.types import Answer, Citation, Cost, Passage, Question, Usage

PERSON = "person"
"""The model of an answer that a person wrote."""


@dataclass(frozen=True, slots=True)
class Approval:
    """What a person approves: this text for this question, with citations that were checked.

    `versions` are those of the cited documents, by document, and `changes` those of the collection,
    read before. `made` is the answer that it comes from, None where a person wrote it.
    """

    question: Question
    text: str
    citations: Sequence[Citation]
    versions: Mapping[str, str]
    changes: int
    made: Answer | None = None


@dataclass(frozen=True, slots=True)
class Approvable:
    """An answer that can be pinned, and the question that it was made for.

    It was `asked_so` unless it was given to a question in other words, which are not kept.
    """

    question: Question
    answer: Answer
    asked_so: bool


class PinnedAnswers:
    """The answers in `pins`. Its methods raise StateError."""

    def __init__(
        self,
        pins: Pins,
        entries: Entries,
        verdicts: Verdicts,
        *,
        embedder: Embedder,
        versions: Versions,
        changes: ChangeCounter,
    ) -> None:
        self.pins = pins
        self._entries = entries
        self._verdicts = verdicts
        self._embedder = embedder
        self._versions = versions
        self._changes = changes

    def approvable(self, answer_id: str, tenant: str | None) -> Approvable:
        """What is kept of an answer of a tenant (None: of any), or of a pin, also an expired one.

        Raises NotFoundError where nothing is.
        """
        given = self._verdicts.entry_given(answer_id)
        entry_id, score = given or (answer_id, SAME_WORDS)
        found: Entry | Pin | None = self._entries.load(entry_id) or self.pins.pin(entry_id)
        is_theirs = found is not None and tenant in (None, found.tenant)
        if found is None or not is_theirs or not found.answer.text or found.filters is None:
            raise NotFoundError(
                f"no answer {answer_id!r} is kept: it does not exist, was not sure enough, cited "
                "nothing, or a document of it changed; give question, answer and citations instead"
            )
        question = Question(
            found.question, found.collection, values_of(found.filters), tenant=found.tenant
        )
        return Approvable(question, found.answer, asked_so=score >= SAME_WORDS)

    async def add(self, approval: Approval) -> Pin:
        """Pin what a person approved, instead of the pin for the same words if there is one.

        Raises ConflictError past the limit.
        """
        question = approval.question
        pin = Pin(
            tenant=question.tenant,
            collection=question.collection,
            filters=filters_of(question),
            scope=scope_of(question),
            question=question.text,
            answer=_answer_of(approval),
            versions=approval.versions,
            changes=approval.changes,
        )
        [embedding] = await self._embedder.embed([Passage(question.text, "question")])
        made = approval.made
        corrected = made is not None and made.text != pin.answer.text
        instead_of = saying_of(made) if made is not None and corrected else None
        pin = await asyncio.to_thread(self.pins.put, pin, embedding.vector, instead_of)
        # As with kept answers: who changes a document meanwhile has seen the pin, or is seen here.
        changes = await self._changes.changes(pin.collection)
        if changes != pin.changes:
            await self._look_at(pin, changes)
        return pin

    async def stands(self, entry: Entry, changes: int) -> bool:
        """Whether an entry of `pins` may be given after so many changes of its collection."""
        pin = await asyncio.to_thread(self.pins.pin, entry.entry_id)
        return pin is not None and await self._look_at(pin, changes) == "stands"

    async def expire_made_from(self, collection: str, document_ids: Sequence[str]) -> int:
        """Look at all that cite one of these documents; gives how many do not stand any longer.

        Where a document is gone, the answer is deleted, and counts, also of one that had expired.
        """
        changes = await self._changes.changes(collection)
        citing = await asyncio.to_thread(self.pins.citing, collection, document_ids)
        looked_at = [await self._look_at(pin, changes) for pin in citing]
        return looked_at.count("expired") + looked_at.count("erased")

    async def _look_at(
        self, pin: Pin, changes: int
    ) -> Literal["stands", "expired", "erased", "was expired"]:
        """Renew a pin that stands; let one that does not expire, with the reason."""
        now = await self._versions.versions(pin.collection, list(pin.versions))
        gone = sorted(set(pin.versions) - set(now))
        changed = sorted(name for name in now if now[name] != pin.versions[name])
        if gone:
            why = f"document {gone[0]!r}, which it cites, is gone"
            await asyncio.to_thread(self.pins.erase, pin, why)
            return "erased"
        if pin.expired_at is not None:
            return "was expired"
        if changed:
            why = f"document {changed[0]!r}, which it cites, was changed"
            await asyncio.to_thread(self.pins.expire, pin.pin_id, why)
            return "expired"
        await asyncio.to_thread(self.pins.renew, pin.pin_id, changes)
        return "stands"


def _answer_of(approval: Approval) -> Answer:
    """What was approved, as an answer that can be given again."""
    made = approval.made
    return Answer(
        answer_id=f"pin_{uuid.uuid4().hex}",
        status="answered",
        text=approval.text,
        tier="cache",
        model=made.model if made is not None and made.text == approval.text else PERSON,
        confidence=1.0,
        citations=tuple(approval.citations),
        usage=Usage(),
        context_tokens=0,
        cost=Cost((), None) if made is None else made.cost,
    )


def cited(text: str, citations: Sequence[Citation]) -> list[Citation]:
    """The citations that a text has a marker of.

    Raises InputError for a text without a marker, or with one of no citation.
    """
    by_marker = {one.marker: one for one in citations}
    used = dict.fromkeys(number for claim in claims_of(text) for number in claim.numbers)
    known = ", ".join(f"[{marker}]" for marker in by_marker) or "none"
    for number in used:
        if number not in by_marker:
            raise InputError(
                f"the answer cites [{number}], and its citations are {known}: use those markers, "
                "or leave the marker out"
            )
    if not used:
        raise InputError(
            f"the answer has no marker, and its citations are {known}: put one behind what it "
            "supports, so that the answer can expire with its document"
        )
    return [by_marker[number] for number in sorted(used)]
