"""Gives an earlier answer again, as long as nothing that it rests on has changed.

An answer is bound to who asks, where, with which filters and by what it was made. What stands in
the collection is looked at whenever the answer is about to be given: while the collection has not
changed, the answer rests on what it rested on; when it has, the question of old is retrieved for
anew, and the answer is given only if the same is found. So a document that was changed, forgotten
or added stops every answer that was or would now be made from it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ParamSpec, TypeVar

from generation.deciding.price_of_error import PriceOfError
from generation.reuse.alike import Alike, AlikeQuestions, says_the_same
from generation.reuse.binding import (
    binding_of,
    evidence_of,
    filters_of,
    hash_of,
    saying_of,
    scope_of,
)
from generation.reuse.entries import Entries, Entry
from generation.reuse.flights import Flight, Flights
from generation.reuse.normal import normalised
from generation.reuse.pinned import PinnedAnswers
from generation.reuse.trading import trade_of
from generation.reuse.verdicts import SAME_WORDS, Verdicts
from rag.errors import NotFoundError, RagError
from rag.pipeline import retrieve_current
from rag.ports import ChangeCounter, Embedder, Retriever
from rag.types import Answer, Hit, Passage, Question, Vector

APPROVED = "a person approved this answer to the same question, and what it cites is unchanged"
_PRUNE_EVERY = 100  # answers that are kept, beginning with the first
_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ReuseRules:
    """What is kept, and what it is bound to.

    An answer is kept if its confidence (0 to 1) is at least `min_confidence`. `retrieved_chunks`
    are those that an answer is made from. `made_by` names all that answers are made by: models,
    prompt and settings.
    """

    min_confidence: float
    retrieved_chunks: int
    made_by: str


@dataclass(frozen=True, slots=True)
class _Given:
    """An entry that holds after so many changes of its collection.

    `score` is how likely its question is the one that is asked, and `chance_wrong` what is risked.
    """

    entry: Entry
    changes: int
    score: float = SAME_WORDS
    chance_wrong: float = 0.0
    why: str = "the same was asked before, and nothing that the answer rests on has changed"

    @property
    def answer(self) -> Answer:
        """Its answer, less sure by the risk, and why it is given."""
        kept = self.entry.answer
        confidence = kept.confidence * (1 - self.chance_wrong)
        return replace(kept, confidence=confidence, because=self.why)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question, what it is looked for by, and how often its collection had changed by then."""

    question: Question
    binding: str
    wording: str
    changes: int


class KeptAnswers:
    """A Reuse over `entries`. It notes in `verdicts` what it gives.

    What a person approved, in `pinned`, is given before all else to the same words.
    Without `alike`, answers are given again to the same words only; with a `price_of_error`, to
    other words only where what is risked is less than what making the answer took.
    """

    def __init__(
        self,
        entries: Entries,
        verdicts: Verdicts,
        alike: AlikeQuestions | None = None,
        price_of_error: PriceOfError | None = None,
        *,
        retriever: Retriever,
        embedder: Embedder,
        changes: ChangeCounter,
        rules: ReuseRules,
        pinned: PinnedAnswers | None = None,
    ) -> None:
        self._entries = entries
        self._verdicts = verdicts
        self._alike = alike
        self._price_of_error = price_of_error
        self._retriever = retriever
        self._embedder = embedder
        self._changes = changes
        self._rules = rules
        self._pinned = pinned
        self._flights: Flights[_Given] = Flights()
        self._kept = 0

    @asynccontextmanager
    async def asking(self, question: Question, max_context_tokens: int) -> AsyncIterator[_Asking]:
        """Open while the question is answered: who asks the same meanwhile waits for the answer.

        Raises StateError, StoreError.
        """
        binding = binding_of(question, max_context_tokens, self._rules.made_by)
        wording = hash_of(normalised(question.text))
        async with self._flights.join((binding, wording)) as flight:
            changes = await self._changes.changes(question.collection)
            asked = _Asked(question, binding, wording, changes)
            given, beside = flight.landed, None
            if given is None or given.changes != changes:
                given, beside = await self._find(asked)
            if given is not None:
                flight.land(given)
                await asyncio.to_thread(
                    self._verdicts.note_given, question.answer_id, given.entry, given.score
                )
            yield _Asking(self, asked, flight, given, beside)

    async def keep(self, fresh: Entry, beside: Alike | None) -> None:
        """Keep an answer if it is good enough.

        `beside` was not given in its stead: now it is known whether it would have been right.
        """
        if not self._is_worth_keeping(fresh):
            return
        if beside is not None:
            is_right = says_the_same(fresh.question, beside.entry.answer, fresh.answer)
            await asyncio.to_thread(
                self._verdicts.note_compared,
                fresh.entry_id,
                beside.entry,
                beside.score,
                is_right=is_right,
                was_due=beside.decision.action == "explore",
            )
            fresh = replace(fresh, says=beside.entry.says) if is_right else fresh
        await asyncio.to_thread(self._entries.keep, fresh, await self._embed(fresh.question))
        if self._kept % _PRUNE_EVERY == 0:
            await asyncio.to_thread(self._verdicts.prune, self._entries.since())
        self._kept += 1
        # Whoever forgets a document counts a change and then deletes the answers made from it:
        # it has seen this one, or the change is seen here.
        if await self._changes.changes(fresh.collection) != fresh.changes:
            await asyncio.to_thread(self._entries.delete, fresh.entry_id)

    def _is_worth_keeping(self, fresh: Entry) -> bool:
        answer = fresh.answer
        cited = {citation.document_id for citation in answer.citations}
        return (
            answer.status == "answered"
            and answer.confidence >= self._rules.min_confidence
            and bool(cited)
            and cited <= fresh.documents
        )

    async def _find(self, asked: _Asked) -> tuple[_Given | None, Alike | None]:
        """What may be given, or what may not be and is to be compared with the fresh answer."""
        given = await self._find_same_words(asked)
        if given is not None or self._alike is None:
            return given, None
        question = asked.question
        vector = await self._embed(question.text)
        alike = await asyncio.to_thread(self._alike.find, asked.binding, question, vector)
        if alike is None or not await self._is_current(alike.entry, asked):
            return None, None
        decision, why = alike.decision, alike.decision.why
        if decision.action != "reuse":
            return None, alike
        if self._price_of_error is not None:
            trade = trade_of(alike, self._price_of_error.stakes(question.collection))
            if not trade.pays:
                return None, alike
            why = f"{why}; {trade.told}"
        if alike.entry.is_pinned:
            why = f"{why}; a person approved it"
        return _Given(alike.entry, asked.changes, alike.score, decision.chance_wrong, why), None

    async def _find_same_words(self, asked: _Asked) -> _Given | None:
        """What was approved for these words, or else was kept of them."""
        if self._pinned is not None:
            find = self._pinned.pins.find
            approved = await self._read(find, scope_of(asked.question), asked.wording)
            if approved is not None and await self._is_current(approved, asked):
                return _Given(approved, asked.changes, why=APPROVED)
        entry = await self._read(self._entries.find, asked.binding, asked.wording)
        if entry is not None and await self._is_current(entry, asked):
            return _Given(entry, asked.changes)
        return None

    async def _is_current(self, entry: Entry, asked: _Asked) -> bool:
        """Whether the entry's question still finds what its answer was made from.

        Of one that a person approved, whether what it cites still stands.
        """
        if entry.changes == asked.changes:
            return True
        if entry.is_pinned:
            return self._pinned is not None and await self._pinned.stands(entry, asked.changes)
        then = replace(asked.question, text=entry.question)
        try:
            hits = await retrieve_current(self._retriever, then, self._rules.retrieved_chunks)
        except NotFoundError:
            hits = []
        if evidence_of(hits) != entry.hits:
            await asyncio.to_thread(self._entries.delete, entry.entry_id)
            return False
        await asyncio.to_thread(self._entries.renew, entry, asked.changes)
        return True

    async def _embed(self, question: str) -> Vector:
        [embedding] = await self._embedder.embed([Passage(question, "question")])
        return embedding.vector

    async def _read(self, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._entries.is_file:
            return read(*args, **kwargs)
        return await asyncio.to_thread(read, *args, **kwargs)


class _Asking:
    """An Asking; `kept` is what may be given to it."""

    def __init__(
        self,
        answers: KeptAnswers,
        asked: _Asked,
        flight: Flight[_Given],
        given: _Given | None,
        beside: Alike | None,
    ) -> None:
        self._answers = answers
        self._asked = asked
        self._flight = flight
        self._beside = beside
        self.kept = None if given is None else given.answer

    async def keep(self, hits: Sequence[Hit], answer: Answer) -> None:
        """Share a fresh answer with who waits, and keep it if it is good enough."""
        if answer.status == "degraded":  # a wall or a fault has left its mark on it
            return
        question = self._asked.question
        fresh = Entry(
            tenant=question.tenant,
            collection=question.collection,
            binding=self._asked.binding,
            wording=self._asked.wording,
            question=question.text,
            hits=evidence_of(hits),
            changes=self._asked.changes,
            answer=answer,
            says=saying_of(answer),
            documents=frozenset(hit.chunk.document_id for hit in hits),
            filters=filters_of(question),
        )
        self._flight.land(_Given(fresh, fresh.changes))
        try:
            await self._answers.keep(fresh, self._beside)
        except RagError as error:
            _log.warning("an answer was given and could not be kept: %s", error)
