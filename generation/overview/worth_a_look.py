"""The answers that are worth a look: the dearest, those said to be wrong, those without an answer.

The words of a question are there only where they are kept (see `asked`).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, Select, case, func, select

from generation.deciding.feedback import FEEDBACK
from generation.money.amounts import to_usd
from generation.money.tables import ANSWERS
from generation.overview.asked import ASKED_QUESTIONS
from generation.overview.selection import Selection

MAX_GROUPED = 1_000
"""So many of the last questions without an answer are put together where they are the same."""

_COLUMNS = ANSWERS.c


@dataclass(frozen=True, slots=True)
class AnswerLine:
    """An answer in a list; `question` is None where its words are not kept.

    `times` is how often the question was asked, and the rest is told of the last time.
    """

    answer_id: str
    at: str
    question: str | None
    collection: str
    tier: str
    status: str
    confidence: float
    ms: float
    spent_usd: Decimal | None
    because: str
    times: int = 1


def dearest(engine: Engine, chosen: Selection, most: int) -> list[AnswerLine]:
    """The answers whose calls are known to have cost most, the dearest first."""
    spent = _COLUMNS.spent_pico_usd
    found = select(_COLUMNS.answer_id).where(*chosen.of(ANSWERS), spent > 0)
    ids = found.order_by(spent.desc(), _COLUMNS.answer_id).limit(most)
    query = _lines(_COLUMNS.answer_id.in_(ids))
    return _read(engine, query.order_by(spent.desc(), _COLUMNS.answer_id))


def worst_rated(engine: Engine, chosen: Selection, most: int) -> list[AnswerLine]:
    """The answers that were said to be wrong, those that were surest first."""
    wrong = select(FEEDBACK.c.answer_id).where(FEEDBACK.c.is_right.is_(False))
    query = _lines(*chosen.of(ANSWERS), _COLUMNS.answer_id.in_(wrong))
    order = (_COLUMNS.confidence.desc(), _COLUMNS.at.desc(), _COLUMNS.answer_id)
    return _read(engine, query.order_by(*order).limit(most))


def verdict_counts(engine: Engine, chosen: Selection) -> tuple[int, int]:
    """How many of the answers people have judged, and how many of these are wrong."""
    verdict = FEEDBACK.c.is_right
    joined = FEEDBACK.join(ANSWERS, FEEDBACK.c.answer_id == _COLUMNS.answer_id)
    wrong = func.sum(case((verdict.is_(False), 1), else_=0))
    query = select(func.count(), wrong).select_from(joined)
    with engine.connect() as connection:
        row = connection.execute(query.where(*chosen.of(ANSWERS), verdict.is_not(None))).one()
    return int(row[0]), int(row[1] or 0)


def unanswered(engine: Engine, chosen: Selection, most: int) -> list[AnswerLine]:
    """What the documents do not answer: asked most often first, then the newest.

    The same words count as one question, however they are spaced and capitalised.
    """
    query = _lines(*chosen.of(ANSWERS), _COLUMNS.status == "abstained")
    lines = _read(engine, query.order_by(_COLUMNS.at.desc()).limit(MAX_GROUPED))
    newest: dict[str, AnswerLine] = {}
    times: dict[str, int] = {}
    for line in lines:
        words = line.answer_id if line.question is None else _normal(line.question)
        newest.setdefault(words, line)
        times[words] = times.get(words, 0) + 1
    ranked = sorted(newest, key=lambda words: -times[words])[:most]  # stable: the newest first
    return [_with_times(newest[words], times[words]) for words in ranked]


def _lines(*which: ColumnElement[bool]) -> Select[Any]:
    asked = ASKED_QUESTIONS
    joined = ANSWERS.outerjoin(asked, asked.c.answer_id == _COLUMNS.answer_id)
    return select(*_COLUMNS, asked.c.question).select_from(joined).where(*which)


def _read(engine: Engine, query: Select[Any]) -> list[AnswerLine]:
    with engine.connect() as connection:
        return [_line(row) for row in connection.execute(query)]


def _line(row: Row[Any]) -> AnswerLine:
    return AnswerLine(
        answer_id=row.answer_id,
        at=row.at,
        question=row.question,
        collection=row.collection,
        tier=row.tier,
        status=row.status,
        confidence=row.confidence,
        ms=row.ms,
        spent_usd=None if row.spent_pico_usd is None else to_usd(row.spent_pico_usd),
        because=row.because or "",
    )


def _with_times(line: AnswerLine, times: int) -> AnswerLine:
    values = {name: getattr(line, name) for name in AnswerLine.__slots__}
    return AnswerLine(**{**values, "times": times})


def _normal(question: str) -> str:
    return " ".join(question.casefold().split())
