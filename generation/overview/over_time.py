"""Answers by the hour or by the day: how many, from which tier, how sure, how long, how dear.

The whole is one pass over an index of the answers and one over the ledger. Latency is counted in
bins that grow by a fifth, so that a quantile is right to about 5 in 100.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, Engine, Row, case, func, literal, select

from generation.money.amounts import to_usd
from generation.money.tables import ANSWERS, LEDGER
from generation.overview.selection import Selection

Step = Literal["hour", "day"]
"""The length of one point of time."""

_CHARS: dict[Step, int] = {"hour": len("2026-10-05T12"), "day": len("2026-10-05")}
_GROWTH = 1.2
_MS_EDGES = tuple(_GROWTH**power for power in range(-12, 64))  # 0.1 ms to 97 s


@dataclass(slots=True)
class _Sums:
    """What is counted of one point of time while it is read."""

    tiers: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    bins: Counter[int] = field(default_factory=Counter)
    confidence: float = 0.0
    baseline: int | None = None
    spent: int = 0
    unknown_at_most: int | None = 0

    def add_answers(self, row: Row[Any]) -> None:
        self.tiers[row.tier] += row.answers
        self.statuses[row.status] += row.answers
        self.bins[row.bin] += row.answers
        self.confidence += row.confidence
        if row.baseline is not None:
            self.baseline = (self.baseline or 0) + int(row.baseline)

    def add_calls(self, row: Row[Any]) -> None:
        self.spent += int(row.spent or 0)
        if row.unpriced:
            self.unknown_at_most = None
        elif self.unknown_at_most is not None:
            self.unknown_at_most += int(row.at_most or 0)

    def add(self, other: _Sums) -> None:
        self.tiers += other.tiers
        self.statuses += other.statuses
        self.bins += other.bins
        self.confidence += other.confidence
        self.spent += other.spent
        if other.baseline is not None:
            self.baseline = (self.baseline or 0) + other.baseline
        if self.unknown_at_most is None or other.unknown_at_most is None:
            self.unknown_at_most = None
        else:
            self.unknown_at_most += other.unknown_at_most


@dataclass(frozen=True, slots=True)
class Point:
    """What the answers that began in one hour or day came to; `start` is as 2026-10-05T12.

    `confidence` is the mean; it and the milliseconds are None where there is no answer. Dollars are
    as in `sums.CostSum`: `spent_usd` is what is known, and `saved_usd` the least that was saved.
    """

    start: str
    answers: int
    tiers: dict[str, int]
    statuses: dict[str, int]
    confidence: float | None
    p50_ms: float | None
    p95_ms: float | None
    spent_usd: Decimal
    baseline_usd: Decimal | None
    saved_usd: Decimal | None


def over_time(engine: Engine, chosen: Selection, step: Step) -> tuple[list[Point], Point]:
    """The points that have any answer or call, in order, and all of them as one."""
    found: defaultdict[str, _Sums] = defaultdict(_Sums)
    with engine.connect() as connection:
        for row in connection.execute(_answers(chosen, step)):
            found[row.start].add_answers(row)
        for row in connection.execute(_calls(chosen, step)):
            found[row.start].add_calls(row)
    total = _Sums()
    for sums in found.values():
        total.add(sums)
    return [_point(start, found[start]) for start in sorted(found)], _point("", total)


def _answers(chosen: Selection, step: Step) -> Any:
    columns = ANSWERS.c
    start = func.substr(columns.at, 1, _CHARS[step]).label("start")
    place = _place(columns.ms, _MS_EDGES, 0).label("bin")
    return (
        select(
            start,
            columns.tier,
            columns.status,
            place,
            func.count().label("answers"),
            func.sum(columns.confidence).label("confidence"),
            func.sum(columns.baseline_pico_usd).label("baseline"),
        )
        .where(*chosen.of(ANSWERS))
        .group_by(start, columns.tier, columns.status, place)
    )


def _calls(chosen: Selection, step: Step) -> Any:
    columns = LEDGER.c
    start = func.substr(columns.at, 1, _CHARS[step]).label("start")
    is_unknown = columns.pico_usd.is_(None)
    at_most = columns.at_most_pico_usd
    return (
        select(
            start,
            func.sum(columns.pico_usd).label("spent"),
            func.sum(case((is_unknown, at_most))).label("at_most"),
            func.sum(case((is_unknown & at_most.is_(None), 1), else_=0)).label("unpriced"),
        )
        .where(*chosen.of(LEDGER))
        .group_by(start)
    )


def _place(column: Column[Any], edges: Sequence[float], first: int) -> ColumnElement[int]:
    """How many of the edges are not above the value, found by halving as `bisect_right` does."""
    if not edges:
        return literal(first)
    half = len(edges) // 2
    below = _place(column, edges[:half], first)
    above = _place(column, edges[half + 1 :], first + half + 1)
    return case((column < edges[half], below), else_=above)


def _point(start: str, sums: _Sums) -> Point:
    answers = sums.tiers.total()
    baseline = None if sums.baseline is None else to_usd(sums.baseline)
    spent = to_usd(sums.spent)
    saved = None
    if baseline is not None and sums.unknown_at_most is not None:
        saved = baseline - spent - to_usd(sums.unknown_at_most)
    return Point(
        start=start,
        answers=answers,
        tiers=dict(sums.tiers),
        statuses=dict(sums.statuses),
        confidence=sums.confidence / answers if answers else None,
        p50_ms=_quantile(sums.bins, 0.5),
        p95_ms=_quantile(sums.bins, 0.95),
        spent_usd=spent,
        baseline_usd=baseline,
        saved_usd=saved,
    )


def _quantile(bins: Counter[int], share: float) -> float | None:
    """The value below which that share lies, with the values of a bin spread over it evenly."""
    wanted = share * bins.total()
    before = 0
    for place in sorted(bins):
        if before + bins[place] >= wanted:
            low, high = _bounds(place)
            return low + (high - low) * (wanted - before) / bins[place]
        before += bins[place]
    return None


def _bounds(place: int) -> tuple[float, float]:
    low = _MS_EDGES[place - 1] if place else 0.0
    return low, _MS_EDGES[min(place, len(_MS_EDGES) - 1)]
