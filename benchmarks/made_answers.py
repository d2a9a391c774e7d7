"""Made-up answers of some weeks, written into a state: what a dashboard has to show.

They follow the rhythm of working days. More and more are given again, fewer and fewer are premium,
and in the last week a topic comes up that was rare before: one drift for the eye to find.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine, delete, insert

from generation.deciding.feedback import FEEDBACK
from generation.money.tables import ANSWERS, BUDGETS, LEDGER
from generation.overview.asked import ASKED_QUESTIONS

QUESTIONS = (
    "How long do I have to return an item?",
    "When is the money back on my card?",
    "What does standard delivery cost?",
    "Is the Lumen 3 dimmable?",
    "Which bulb fits the reading lamp?",
    "How do I get an invoice with VAT?",
    "Do you repair lamps that are out of warranty?",
    "Can I change the address of an order?",
)
UNANSWERED = (
    "Do you deliver to Norway?",
    "Can I pay by instalments?",
    "do you deliver to  norway?",
    "Is there a shop in Vienna?",
)
_MS = {"cache": (6, 0.3), "extractive": (28, 0.4), "local": (700, 0.45), "premium": (1_900, 0.5)}
_PICO = 10**12
_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True)
class Made:
    """One answer as its rows: of the answers, and where there are any of the other tables."""

    answer: dict[str, Any]
    call: dict[str, Any] | None
    verdict: dict[str, Any] | None
    question: dict[str, Any]


def write_answers(
    engine: Engine,
    count: int,
    *,
    days: int,
    until: datetime,
    seed: int = 0,
    documents: Sequence[str] = tuple(f"doc_{n}" for n in range(12)),
    collection: str = "default",
) -> None:
    """Write so many answers of the `days` before `until`; one seed, one state.

    Those in a collection such as `acme:help` are of that tenant.
    """
    made = list(_made(count, days, until, random.Random(seed), documents, collection))
    for begin in range(0, count, _AT_ONCE):
        some = made[begin : begin + _AT_ONCE]
        rows = (
            (ANSWERS, [one.answer for one in some]),
            (LEDGER, [one.call for one in some if one.call]),
            (FEEDBACK, [one.verdict for one in some if one.verdict]),
            (ASKED_QUESTIONS, [one.question for one in some]),
        )
        with engine.begin() as connection:
            for table, values in rows:
                if values:
                    connection.execute(insert(table), values)
    _write_budgets(engine, made, until)


def _write_budgets(engine: Engine, made: Sequence[Made], until: datetime) -> None:
    """What the service has spent in the day and the month in which the answers end."""
    at = until.astimezone(UTC).isoformat()
    rows = []
    for period in (at[:10], at[:7]):
        spent = sum(one.call["pico_usd"] for one in made if one.call and one.call["at"] >= period)
        row = {"scope": "service", "name": "", "period": period, "spent_pico_usd": spent}
        rows.append(row | {"reserved_pico_usd": 0})
    with engine.begin() as connection:
        connection.execute(delete(BUDGETS).where(BUDGETS.c.period.in_((at[:10], at[:7]))))
        connection.execute(insert(BUDGETS), rows)


def _made(
    count: int,
    days: int,
    until: datetime,
    chance: random.Random,
    documents: Sequence[str],
    collection: str,
) -> Iterator[Made]:
    for moment in sorted(_moments(count, days, chance)):
        at = (until - timedelta(days=moment)).astimezone(UTC)
        yield _one(at, moment, 1 - moment / days, chance, documents, collection)


def _moments(count: int, days: int, chance: random.Random) -> Iterator[float]:
    """Days before the end, fewer of them at the weekend and at night."""
    made = 0
    while made < count:
        moment = chance.uniform(0, days)
        is_weekend, is_night = int(moment) % 7 in (1, 2), moment % 1 > 0.6
        if chance.random() < (0.35 if is_weekend else 1) * (0.3 if is_night else 1):
            made += 1
            yield moment


def _one(
    at: datetime,
    days_ago: float,
    progress: float,
    chance: random.Random,
    documents: Sequence[str],
    collection: str,
) -> Made:
    answer_id = f"ans_{chance.getrandbits(128):032x}"
    is_answered = chance.random() > 0.09
    weights = (5 + 30 * progress, 35, 30, 28 - 18 * progress)
    tier = chance.choices(("cache", "extractive", "local", "premium"), weights)[0]
    tier = tier if is_answered else "extractive"
    middle, spread = _MS[tier]
    ms = middle * chance.lognormvariate(0, spread)
    is_of_last_week = days_ago < 7
    confidence = chance.betavariate(9, 2.4 if is_of_last_week else 1.6) if is_answered else 0.22
    spent = {"local": 2.4e-5, "premium": 5.2e-3}.get(tier, 0.0) * chance.lognormvariate(0, 0.6)
    new = len(documents) - 1
    place = new if is_of_last_week and chance.random() < 0.22 else _skewed(chance, new)
    text = at.isoformat(timespec="microseconds")
    known = {"answer_id": answer_id, "at": text, "collection": collection, "tier": tier}
    known |= {"tenant": collection.rpartition(":")[0], "key": "", "ms": ms}
    words = QUESTIONS[place % len(QUESTIONS)] if is_answered else chance.choice(UNANSWERED)
    signals = {"top_score": chance.betavariate(6, 3), "top_cosine": chance.betavariate(7, 4)}
    answer = known | {
        "status": "answered" if is_answered else "abstained",
        "confidence": confidence,
        "spent_pico_usd": round(spent * _PICO),
        "baseline_pico_usd": round(6.1e-3 * chance.lognormvariate(0, 0.3) * _PICO),
        "because": "the quotes are likely enough right: asking on would cost more than it is worth",
        "signals": json.dumps(signals | {"quote_confidence": confidence, "sparse_score": 0.61}),
        "arm": None,
        "conversation": None,
        "cited": documents[place] if is_answered else None,
    }
    return Made(
        answer,
        _call(known, spent) if spent else None,
        _verdict(answer_id, text, confidence, chance),
        {"answer_id": answer_id, "question": words, "at": text},
    )


def _skewed(chance: random.Random, most: int) -> int:
    return min(int(chance.expovariate(0.5)), most)


def _call(known: dict[str, Any], spent: float) -> dict[str, Any]:
    return known | {
        "line_id": f"call_{known['answer_id']}",
        "stage": "generate",
        "provider": "made-up",
        "model": f"{known['tier']}-1",
        "prompt_version": "1",
        "input_tokens": 1_000,
        "cached_input_tokens": 600,
        "cache_write_tokens": 0,
        "output_tokens": 90,
        "reasoning_tokens": 0,
        "reported": "{}",
        "price": "",
        "pico_usd": round(spent * _PICO),
        "at_most_pico_usd": None,
        "watt_hours": None,
        "outcome": "done",
        "escalated_from": None,
        "is_batch": False,
    }


def _verdict(
    answer_id: str, at: str, confidence: float, chance: random.Random
) -> dict[str, Any] | None:
    if chance.random() > 0.03:
        return None
    is_right = chance.random() < confidence
    return {"answer_id": answer_id, "is_right": is_right, "at": at, "use": None, "used_at": None}
