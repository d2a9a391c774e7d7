"""How answers have changed against a reference week: their scores, their confidence, their topics.

Each week is a sample of at most 2,000 answers, the same ones whenever it is asked for: ids are
random. The bins of a number are tenths of the reference week; the topic of an answer is the
document that it cites first. Index and levels are those of `generation.confidence.drift`.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from generation.confidence.drift import Level, level_of, population_stability
from generation.money.tables import ANSWERS
from generation.overview.selection import Selection

WEEK = timedelta(days=7)
SAMPLE = 2_000
LEAST_ANSWERS = 30
"""Of fewer answers in a week nothing is said."""

NUMBERS = ("confidence", "top_score", "top_cosine")
"""What is watched: the confidence, and of retrieval the best score and the highest cosine."""

_BINS = 10
_MOST_TOPICS = 20
_IDS = 16**8  # an id begins with so many equally likely digits


Topic = tuple[str, str]
"""A collection, and the id of a document in it."""


@dataclass(frozen=True, slots=True)
class Week:
    """Seven days from `since`: the answers that began there, and how many were looked at."""

    since: datetime
    answers: int
    looked_at: int


@dataclass(frozen=True, slots=True)
class NumberChange:
    """A number in both weeks: its medians, and how far it has moved; None for too few answers."""

    name: str
    was: float | None
    now: float | None
    index: float | None
    level: Level | None


@dataclass(frozen=True, slots=True)
class TopicShare:
    """A document's share of the answers that cite one, in both weeks, 0 to 1."""

    collection: str
    document_id: str
    was: float
    now: float


@dataclass(frozen=True, slots=True)
class Changes:
    """Both weeks, the numbers, and the topics whose share has changed most, first."""

    reference: Week
    latest: Week
    numbers: list[NumberChange]
    topic_index: float | None
    topic_level: Level | None
    topics: list[TopicShare]


def changes(engine: Engine, chosen: Selection, reference: datetime, most: int) -> Changes:
    """The last seven days of the selection against those that begin at `reference`.

    Gives at most so many topics.
    """
    before, after = chosen.between(reference, reference + WEEK), _last_week(chosen)
    with engine.connect() as connection:
        was, first = _sample(connection, before)
        now, last = _sample(connection, after)
    topics_before, topics_after = _topics(was), _topics(now)
    index, level = _compare_topics(topics_before, topics_after)
    return Changes(
        reference=first,
        latest=last,
        numbers=[_change(name, was, now) for name in NUMBERS],
        topic_index=index,
        topic_level=level,
        topics=_shares(topics_before, topics_after)[:most],
    )


def _last_week(chosen: Selection) -> Selection:
    return chosen.between(chosen.until - WEEK, chosen.until)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is looked at of one answer."""

    numbers: Mapping[str, Any]
    topic: Topic | None


def _sample(connection: Connection, chosen: Selection) -> tuple[list[_Seen], Week]:
    which = chosen.of(ANSWERS)
    answers = int(connection.scalar(select(func.count()).where(*which)) or 0)
    columns = ANSWERS.c
    if answers > SAMPLE:
        which.append(columns.answer_id < f"ans_{SAMPLE * _IDS // answers:08x}")
    query = select(columns.confidence, columns.signals, columns.cited, columns.collection)
    seen = [
        _Seen(
            json.loads(row.signals or "{}") | {"confidence": row.confidence},
            None if row.cited is None else (row.collection, row.cited),
        )
        for row in connection.execute(query.where(*which))
    ]
    return seen, Week(chosen.since, answers, len(seen))


def _change(name: str, was: Sequence[_Seen], now: Sequence[_Seen]) -> NumberChange:
    before, after = _values(name, was), _values(name, now)
    middle = (median(before) if before else None, median(after) if after else None)
    if min(len(before), len(after)) < LEAST_ANSWERS:
        return NumberChange(name, *middle, None, None)
    edges = _edges(before)
    expected = Counter(bisect_right(edges, value) for value in before)
    counted = Counter(bisect_right(edges, value) for value in after)
    places = range(len(edges) + 1)
    shares = [expected[place] / len(before) for place in places]
    index = population_stability(shares, [counted[place] for place in places])
    level = level_of(index, len(shares), len(after), len(before))
    return NumberChange(name, *middle, index, level)


def _values(name: str, seen: Sequence[_Seen]) -> list[float]:
    return [one.numbers[name] for one in seen if one.numbers.get(name) is not None]


def _edges(values: Sequence[float]) -> list[float]:
    """What divides the values into tenths, each edge once."""
    ranked = sorted(values)
    return sorted({ranked[len(ranked) * place // _BINS] for place in range(1, _BINS)})


def _topics(seen: Sequence[_Seen]) -> Counter[Topic]:
    return Counter(one.topic for one in seen if one.topic is not None)


def _compare_topics(was: Counter[Topic], now: Counter[Topic]) -> tuple[float | None, Level | None]:
    """The index over the most frequent documents of both weeks, the rest being one bin."""
    if min(was.total(), now.total()) < LEAST_ANSWERS:
        return None, None
    named = [topic for topic, _ in (was + now).most_common(_MOST_TOPICS)]
    expected = [was[topic] for topic in named]
    counted = [now[topic] for topic in named]
    rest = (was.total() - sum(expected), now.total() - sum(counted))
    if any(rest):
        expected.append(rest[0])
        counted.append(rest[1])
    index = population_stability([one / was.total() for one in expected], counted)
    return index, level_of(index, len(expected), now.total(), was.total())


def _shares(was: Counter[Topic], now: Counter[Topic]) -> list[TopicShare]:
    before, after = max(1, was.total()), max(1, now.total())
    found = [TopicShare(*topic, was[topic] / before, now[topic] / after) for topic in was | now]
    return sorted(found, key=lambda one: (-abs(one.now - one.was), one.collection, one.document_id))
