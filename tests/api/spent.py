"""What was spent, made up: answers and calls, written through the real ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal

from sqlalchemy import Engine

from generation.money.ledger import SqlLedger
from generation.reuse.entries import Entry
from generation.reuse.verdicts import SAME_WORDS, Verdicts
from rag.calls import ModelCall, Prompt
from rag.types import Answer, Cost, CostLine, Question, Tier, Usage


@dataclass(frozen=True)
class Spent:
    """An answer and, where a model wrote it, the one call that it took.

    A call without `usd` is of unknown cost; with `at_most` None it has no price at all.
    """

    day: str
    tier: Tier
    usd: str | None = "0"
    at_most: str | None = "0.01"
    tenant: str = ""
    key: str = ""
    model: str = "gpt-x"
    baseline: str | None = "0.004"
    watt_hours: float | None = None
    time: str = "12:00:00"


SPENT = (
    Spent("2026-11-01", "extractive", tenant="acme", key="chat"),
    Spent("2026-11-02", "premium", "0.0030", tenant="acme", key="chat", watt_hours=0.25),
    Spent("2026-11-02", "premium", None, "0.0071", tenant="globex"),
    Spent("2026-11-04", "local", "0.00002", tenant="globex", model="=llama", time="23:59:59"),
)


async def write(engine: Engine, rows: Sequence[Spent] = SPENT) -> None:
    """Book all of it."""
    for number, row in enumerate(rows):
        at = datetime.fromisoformat(f"{row.day}T{row.time}").replace(tzinfo=UTC)
        ledger = SqlLedger(engine, now=lambda at=at: at)  # type: ignore[misc]
        question = Question(
            "x", "help", tenant=row.tenant, key=row.key, answer_id=f"ans_{row.day}_{number}"
        )
        usd = None if row.usd is None else Decimal(row.usd)
        if row.tier in ("local", "premium"):
            await _call(ledger, question, row, usd)
        baseline = None if row.baseline is None else Decimal(row.baseline)
        cost = Cost((CostLine("generate", row.model, usd, 5.0),), baseline)
        await ledger.record_answer(
            question,
            Answer(question.answer_id, "answered", "x", row.tier, "m", 0.9, (), Usage(), 9, cost),
        )
        ledger.close()


async def _call(ledger: SqlLedger, question: Question, row: Spent, usd: Decimal | None) -> None:
    call = ModelCall(Prompt("1", "s", "u"), question, row.tier, 300)
    at_most = None if row.at_most is None else Decimal(row.at_most)
    held = await ledger.reserve(
        call, at_most, provider="openai", model=row.model, hold_s=60, max_wait_s=1
    )
    usage = Usage(900, 300, 120) if usd is not None else None
    await ledger.settle(
        replace(held, usd=usd, usage=usage, outcome="done", watt_hours=row.watt_hours, ms=5.0)
    )


def judge_reuse(engine: Engine, day: str, *, right: int, wrong: int, compared: int) -> None:
    """So many kept answers were given and judged by people, and so many due ones compared."""
    at = datetime.fromisoformat(f"{day}T12:00:00").replace(tzinfo=UTC)
    verdicts = Verdicts(engine, lambda: at)
    cost = Cost((), None)
    kept = Answer("kept", "answered", "x", "local", "m", 0.9, (), Usage(), 9, cost)
    entry = Entry("", "help", "b", "w", "q", "h", 1, kept, "says")
    for number in range(right + wrong):
        verdicts.note_given(f"ans_given_{number}", entry, SAME_WORDS)
        verdicts.observe(f"ans_given_{number}", is_right=number < right)
    for number in range(compared):
        verdicts.note_compared(f"ans_due_{number}", entry, 0.9, is_right=True, was_due=True)
