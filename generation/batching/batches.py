"""Batches of questions: what can be quoted is answered at once, the rest when the batch has ended.

A batch goes by a name made of its questions, so that the same questions are never asked twice:
who sends them again gets the batch that is there. Whoever is killed in between loses nothing. What
was not sent is begun anew. What may have been sent, of which no reply came, may run all the same:
it is not sent again, counts as the most that it can cost, and is answered by the quotes.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from generation.batching.asking import BatchAsking
from generation.batching.choosing import BatchChoosing
from generation.batching.collecting import Collecting
from generation.batching.entries import Entry, Given, Waiting, given, waiting
from generation.batching.gathering import Gathering
from generation.batching.records import BatchRecord, BatchRecords
from generation.money.ledger import utc_now
from generation.money.metered import was_taken
from rag.calls import LedgerLine
from rag.errors import (
    ConflictError,
    NotFoundError,
    ProviderError,
    ProviderUnavailableError,
    SettingsError,
)
from rag.types import Answer, Question

_AT_ONCE = 16  # questions that are prepared at the same time

Turn = Callable[[str], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class BatchState:
    """How far a batch is.

    Of `total` questions, those that are not `waiting` were answered without the model, and
    `over_budget` of those because a wall let no call pass. `answered` have an answer by now.
    `failed` are those that the model should have answered and did not. `answers` stand there once
    the batch has ended, each with the name of its question.
    """

    batch_id: str
    total: int
    waiting: int
    over_budget: int
    at_most_usd: Decimal
    answered: int
    failed: int
    answers: tuple[tuple[str, Answer], ...] | None


class QuestionBatches:
    """Takes batches and collects them, one step at a time.

    `open_asking` gives the endpoint, and raises where no batch can be sent. A batch to which
    nothing happens for `keep_days` is forgotten. `turn` takes the name of a turn, and waits until
    no other process has it.
    """

    def __init__(
        self,
        *,
        gathering: Gathering,
        choosing: BatchChoosing,
        open_asking: Callable[[], BatchAsking],
        collecting: Collecting,
        records: BatchRecords,
        keep_days: float,
        turn: Turn = lambda _: nullcontext(),
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._gathering = gathering
        self._choosing = choosing
        self._open_asking = open_asking
        self._collecting = collecting
        self._records = records
        self._keep = timedelta(days=keep_days)
        self._turn = turn
        self._now = now
        self._step = asyncio.Lock()

    async def submit(
        self, questions: Sequence[tuple[str, Question]], max_usd: Decimal | None = None
    ) -> BatchState:
        """Take questions of one asker, at least one, each with a name; or find them taken.

        What does not fit before a wall, or under `max_usd` in all, is quoted; what gains most for a
        dollar is asked first. Raises SettingsError
        and InputError where no batch can be sent, ProviderError when it is not taken, and what
        `QuestionPipeline.answer` raises.
        """
        batch_id = batch_id_of(questions)
        async with self._step, self._turn(f"batch {batch_id}"):
            await asyncio.to_thread(self._records.delete_old, self._now() - self._keep)
            record = await asyncio.to_thread(self._records.find, batch_id)
            if record is not None and record.state != "reserving":
                return _state_of(record)
            asking = self._open_asking()
            if record is not None:  # who began it was killed before he sent anything
                await asking.give_back((await self._reserved(record)).values())
            record = await self._prepare(batch_id, questions, asking)
            return _state_of(await self._ask(record, max_usd, asking))

    async def look(self, batch_id: str, tenant: str, key: str) -> BatchState:
        """How far a batch of this asker is; it is collected if it has ended at its endpoint.

        Raises NotFoundError, ConflictError for one that was not sent, ProviderError when the
        endpoint does not answer, SettingsError when the settings name another.
        """
        async with self._step, self._turn(f"batch {batch_id}"):
            record = await asyncio.to_thread(self._records.find, batch_id)
            if record is None or (record.tenant, record.key) != (tenant, key):
                raise NotFoundError(f"no batch {batch_id!r}: send its questions to make one")
            if record.state == "reserving":
                raise ConflictError(f"batch {batch_id} was not sent: send its questions again")
            if record.state == "sending":
                return _state_of(await self._give_up(record, _stopped(), self._asking_of(record)))
            if record.state == "submitted":
                return await self._collect(record, self._asking_of(record))
            return _state_of(await self._collecting.look_again(record, self._now()))

    async def _prepare(
        self, batch_id: str, questions: Sequence[tuple[str, Question]], asking: BatchAsking
    ) -> BatchRecord:
        entries: list[Entry] = []
        for start in range(0, len(questions), _AT_ONCE):
            some = questions[start : start + _AT_ONCE]
            entries += await asyncio.gather(*(self._entry(name, asked) for name, asked in some))
        first = questions[0][1]
        record = BatchRecord(
            batch_id=batch_id,
            tenant=first.tenant,
            key=first.key,
            state="reserving",
            provider=asking.endpoint.provider,
            model=asking.endpoint.model,
            sent_as="",
            at_most_usd=Decimal(0),
            entries=tuple(entries),
        )
        await asyncio.to_thread(self._records.save, record, self._now())
        return record

    async def _entry(self, name: str, question: Question) -> Entry:
        """It waits where the model is to be asked, and is given its quote where not."""
        found = await self._gathering.gather(question)
        asked, quote = found.question, found.quote
        decided = await self._choosing.decide(found)
        if not decided.is_asked:
            answer = replace(found.answer, because=decided.because)
            return Entry(name, given(asked, answer, found.hits))
        form = waiting(
            asked,
            found.hits,
            found.context,
            quote,
            found.answer.cost.lines,
            because=decided.because,
            gain=decided.gain,
        )
        return Entry(name, form)

    async def _ask(
        self, record: BatchRecord, max_usd: Decimal | None, asking: BatchAsking
    ) -> BatchRecord:
        """Reserve what fits, and send it."""
        reserved, at_most = await asking.reserve(_waiting(record), max_usd)
        by_answer = {one.question.answer_id: one for one in reserved}
        entries = tuple(
            replace(entry, form=by_answer.get(entry.form.question.answer_id, entry.form))
            for entry in record.entries
        )
        record = replace(record, state="sending", at_most_usd=at_most, entries=entries)
        if not _asked(record):
            return await self._collecting.end(record, {}, asking, self._now())
        await asyncio.to_thread(self._records.save, record, self._now())
        try:
            sent_as = await asking.endpoint.submit(asking.calls(_asked(record)))
        except ProviderError as error:
            if was_taken(error):
                return await self._give_up(record, error, asking)
            await asking.give_back((await self._reserved(record)).values())
            await asyncio.to_thread(self._records.delete, record.batch_id)
            raise
        await asyncio.to_thread(self._records.submitted, record.batch_id, sent_as, self._now())
        return replace(record, state="submitted", sent_as=sent_as)

    async def _give_up(
        self, record: BatchRecord, error: ProviderError, asking: BatchAsking
    ) -> BatchRecord:
        """End a batch of which nobody knows whether it runs."""
        await asking.lose((await self._reserved(record)).values())
        results = dict.fromkeys(asking.calls(_asked(record)), error)
        return await self._collecting.end(record, results, asking, self._now())

    async def _collect(self, record: BatchRecord, asking: BatchAsking) -> BatchState:
        progress = await asking.endpoint.progress(record.sent_as)
        if not progress.has_ended:
            state = _state_of(record)
            return replace(
                state,
                answered=state.answered + progress.answered,
                failed=state.failed + progress.failed,
            )
        calls = asking.calls(_asked(record))
        results = await asking.endpoint.results(record.sent_as, calls)
        await asking.settle(await self._reserved(record), results)
        return _state_of(await self._collecting.end(record, results, asking, self._now()))

    async def _reserved(self, record: BatchRecord) -> dict[str, LedgerLine]:
        names = [one.question.answer_id for one in _waiting(record)]
        return await asyncio.to_thread(self._records.reserved, names)

    def _asking_of(self, record: BatchRecord) -> BatchAsking:
        asking = self._open_asking()
        endpoint = asking.endpoint
        if (endpoint.provider, endpoint.model) != (record.provider, record.model):
            raise SettingsError(
                f"batch {record.batch_id} was sent to {record.model} of {record.provider}, and the "
                f"premium tier is {endpoint.model} of {endpoint.provider}: name that model again "
                "until the batch is collected"
            )
        return asking


def batch_id_of(questions: Sequence[tuple[str, Question]]) -> str:
    """The name of the batch that these questions make, in this order, of this asker."""
    first = questions[0][1]
    rows = [(name, asked.text, asked.collection) for name, asked in questions]
    told = json.dumps([first.tenant, first.key, rows])
    return f"batch_{hashlib.sha256(told.encode()).hexdigest()[:32]}"


def _waiting(record: BatchRecord) -> list[Waiting]:
    return [entry.form for entry in record.entries if isinstance(entry.form, Waiting)]


def _asked(record: BatchRecord) -> list[Waiting]:
    """Those that a call is made for."""
    return [one for one in _waiting(record) if not one.refused]


def _state_of(record: BatchRecord) -> BatchState:
    forms = [entry.form for entry in record.entries]
    done = [form for form in forms if isinstance(form, Given)]
    missed = [form.was_missed for form in done]
    refused = len(_waiting(record)) - len(_asked(record))
    answers = None
    if record.state == "ended":
        answers = tuple(
            (entry.question_id, entry.form.answer)
            for entry in record.entries
            if isinstance(entry.form, Given)
        )
    return BatchState(
        batch_id=record.batch_id,
        total=len(forms),
        waiting=len(_asked(record)),
        over_budget=refused + missed.count("over budget"),
        at_most_usd=record.at_most_usd,
        answered=len(done),
        failed=missed.count("failed"),
        answers=answers,
    )


def _stopped() -> ProviderError:
    return ProviderUnavailableError(
        "the process that sent the batch was stopped before it was told of a batch: whether one "
        "runs is not known; ask again under other ids"
    )
