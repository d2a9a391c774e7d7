"""The ledger and its budgets: what was spent, what may be spent, durable in SQL.

Before a call begins, the most that it may cost is reserved; when it has ended, its line is written
and the reservation given back, in one transaction. A process that dies leaves its reservations:
when they expire, they become lines of calls that are lost, which count as all that was reserved.

All writes go through one thread, which takes together whatever has come while it wrote: many calls
at once cost one transaction. Who has to wait for others' reservations keeps his place in the queue
of this process, and is looked at anew whenever one of them is settled.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine

from generation.money.amounts import shown, to_pico
from generation.money.booking import Batch, Request, book, book_lost
from generation.money.budgets import Obstacle, Walls
from rag.calls import LedgerLine, ModelCall
from rag.errors import BudgetError, RagError
from rag.turns import mark_of
from rag.types import Answer, Question

_ASK_EVERY_S = 0.2  # whether another process has settled what is waited for
_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(eq=False, slots=True)
class _Entry:
    """A batch with one thing in it, and who waits for it."""

    batch: Batch
    give_up_at: float = 0.0
    is_abandoned: bool = False
    done: Future[Any] = field(default_factory=Future)


class SqlLedger:
    """A Ledger in the tables of `engine`, which must be there, and the walls before it."""

    def __init__(
        self, engine: Engine, walls: Walls | None = None, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._engine = engine
        self._walls = walls or Walls()
        self._now = now
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._lock = threading.Lock()
        self._come: list[_Entry] = []
        self._is_due = False
        self._waiting: list[_Entry] = []  # the writer's own

    async def record_answer(self, question: Question, answer: Answer) -> None:
        """Write down an answer and its baseline; durable when it returns. Raises StateError."""
        total, baseline = answer.cost.total_usd, answer.cost.baseline_usd
        row = {
            "answer_id": answer.answer_id,
            "at": self._now().isoformat(timespec="microseconds"),
            "tenant": question.tenant,
            "key": question.key,
            "collection": question.collection,
            "tier": answer.tier,
            "status": answer.status,
            "confidence": answer.confidence,
            "spent_pico_usd": None if total is None else to_pico(total),
            "baseline_pico_usd": None if baseline is None else to_pico(baseline),
            "ms": sum(line.ms for line in answer.cost.lines),
            "because": answer.because,
            "signals": json.dumps(dict(answer.signals), separators=(",", ":")),
            "arm": answer.arm or None,
            "conversation": mark_of(question.conversation_id) if question.conversation_id else None,
            "cited": answer.citations[0].document_id if answer.citations else None,
            "markers": json.dumps({one.marker: one.document_id for one in answer.citations}),
            "visitor": mark_of(question.visitor) if question.visitor else None,
        }
        await asyncio.wrap_future(self._submit(_Entry(Batch(answers=[row]))))

    async def reserve(
        self,
        call: ModelCall,
        at_most_usd: Decimal | None,
        *,
        provider: str,
        model: str,
        hold_s: float,
        max_wait_s: float,
        is_batch: bool = False,
    ) -> LedgerLine:
        """Reserve what a call may cost, and give the line that it becomes if it is never settled.

        The reservation expires after `hold_s`, which must be longer than the call can take. What
        does not fit only because of other reservations waits for them for up to `max_wait_s`.
        An unknown cost counts as nothing, but for the premium tier before a wall: that is refused.
        Raises BudgetError, StateError.
        """
        line = _line_if_lost(call, at_most_usd, provider, model, is_batch)
        if at_most_usd is None and call.tier == "premium":
            self._check_without_price(call, model)
        request = Request(line, call.question, hold_s)
        entry = _Entry(Batch(requests=[request]), time.monotonic() + max_wait_s)
        granted: asyncio.Future[LedgerLine] = asyncio.wrap_future(self._submit(entry))
        try:
            while not (await asyncio.wait({granted}, timeout=_ASK_EVERY_S))[0]:
                self._look()
        except asyncio.CancelledError:
            entry.is_abandoned = True
            granted.add_done_callback(_retrieve)
            entry.done.add_done_callback(self._give_back)
            raise
        return granted.result()

    async def settle(self, line: LedgerLine) -> None:
        """Write the line of a call that has ended, and give back what was reserved for it.

        It is done even if the caller is cancelled while he waits for it. Raises StateError.
        """
        await asyncio.wrap_future(self._submit(_Entry(Batch(ended=[line]))))

    def settle_lost(self) -> int:
        """Settle what processes that died have left, once it has expired; gives how many.

        Every reservation does so too. Raises StateError.
        """
        return book_lost(self._engine, self._now())

    def close(self) -> None:
        """Write what is still to be written, and stop."""
        self._writer.shutdown()

    def _check_without_price(self, call: ModelCall, model: str) -> None:
        walls = self._walls.before(call.question, self._now().isoformat())
        if walls:
            raise BudgetError(
                f"{model} has no known price, and {walls[0].setting} allows {shown(walls[0].limit)}"
                ": give the model a price in the file of prices, or take the budgets away"
            )

    def _submit(self, entry: _Entry) -> Future[Any]:
        entry.done.set_running_or_notify_cancel()  # from now on nobody can cancel it
        with self._lock:
            self._come.append(entry)
        self._look()
        return entry.done

    def _look(self) -> None:
        """Let the writer do what there is to do, unless it is about to."""
        with self._lock:
            is_due, self._is_due = self._is_due, True
        if not is_due:
            self._writer.submit(self._drain)

    def _give_back(self, reserved: Future[LedgerLine]) -> None:
        """Release what was reserved for somebody who has left."""
        if reserved.exception() is None:
            self._submit(_Entry(Batch(released=[reserved.result().line_id])))

    def _drain(self) -> None:
        """In the writer's thread: do what has come, and look at those that wait."""
        with self._lock:
            come, self._come, self._is_due = self._come, [], False
        entries = self._waiting + come
        self._waiting = []
        left = [entry for entry in entries if entry.is_abandoned]
        for entry in left:
            entry.done.set_exception(BudgetError("nobody waits for it any more"))
        self._write([entry for entry in entries if not entry.is_abandoned])

    def _write(self, entries: Sequence[_Entry]) -> None:
        if not entries:
            return
        together = Batch()
        for entry in entries:
            together.answers.extend(entry.batch.answers)
            together.ended.extend(entry.batch.ended)
            together.released.extend(entry.batch.released)
            together.requests.extend(entry.batch.requests)
        try:
            verdicts = iter(book(self._engine, self._walls, together, self._now()))
        except RagError as error:
            for entry in entries:
                entry.done.set_exception(error)
        except Exception as error:  # a mistake in one of them shall not cost the others theirs
            if len(entries) == 1:
                _log.error("the ledger could not be written: %s", type(error).__name__)
                entries[0].done.set_exception(error)
            for entry in entries if len(entries) > 1 else ():
                self._write([entry])
        else:
            for entry in entries:
                self._answer(entry, next(verdicts) if entry.batch.requests else None)

    def _answer(self, entry: _Entry, verdict: LedgerLine | Obstacle | None) -> None:
        if not isinstance(verdict, Obstacle):
            entry.done.set_result(verdict)
        elif verdict.may_pass and time.monotonic() < entry.give_up_at:
            self._waiting.append(entry)
        else:
            entry.done.set_exception(verdict.error(self._now()))


def _line_if_lost(
    call: ModelCall, at_most_usd: Decimal | None, provider: str, model: str, is_batch: bool
) -> LedgerLine:
    question = call.question
    return LedgerLine(
        line_id=f"call_{uuid.uuid4().hex}",
        answer_id=question.answer_id,
        at="",  # told when it is granted
        tenant=question.tenant,
        key=question.key,
        collection=question.collection,
        tier=call.tier,
        stage=call.stage,
        provider=provider,
        model=model,
        prompt_version=call.prompt.version,
        usage=None,
        reported="",
        price="",
        usd=None,
        at_most_usd=at_most_usd,
        watt_hours=None,
        ms=0.0,
        outcome="lost",
        escalated_from=call.escalated_from,
        is_batch=is_batch,
    )


def _retrieve(left: asyncio.Future[LedgerLine]) -> None:
    """See the error of what nobody waits for, lest asyncio complains that nobody did."""
    if not left.cancelled():
        left.exception()
