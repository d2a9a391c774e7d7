"""Lessons as SQL holds them, each with the documents that its context came from.

A lesson is what a dearer tier answered where a cheaper one was not good enough: the exact prompt,
and what a model shall write to it. Nothing here decides what is kept or exported: `learning` and
`choosing` do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, Row, and_, case, delete, func, insert, select

from generation.deciding.corrections import CORRECTIONS
from generation.deciding.feedback import FEEDBACK
from generation.distilling.markers import as_written
from generation.distilling.tables import LESSON_DOCUMENTS, LESSONS
from generation.money.tables import ANSWERS
from generation.reuse.tables import REUSES
from generation.reuse.verdicts import SAME_WORDS
from generation.writing.claims import claims_of
from rag.calls import Prompt
from rag.types import Tier

_AT_ONCE = 500  # names in one query


@dataclass(frozen=True, slots=True)
class Lesson:
    """One answer of a dearer tier. `answer_id` is that of the answer that it was made for.

    `answer` is what a model shall write to the prompt: its markers are the numbers of excerpts, and
    an abstention is the word that the prompt asks for. `evidence` is equal for equal contexts.
    `documents` are those of the context, with the revision that they had; at least one.
    `excerpts` are, by marker of the answer that was given, the numbers of the excerpts behind it.
    """

    answer_id: str
    tenant: str
    collection: str
    question: str
    prompt: Prompt
    answer: str
    evidence: str
    model: str
    escalated_from: Tier
    is_abstained: bool
    documents: Mapping[str, str]
    excerpts: Mapping[int, Sequence[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class JudgedLesson:
    """A lesson without its prompt, and what became of it; `at` is when it was kept.

    `was_given` says that the answer given was this one, and not that of another tier or none.
    `confidence`, 0 to 1, is the calibrated one of the answer given. `is_right` is what people said
    of it, None where nobody has. `correction` is what a person wrote in its stead, its markers the
    numbers of excerpts; empty where it cites none of them, and None where there is none.
    """

    answer_id: str
    at: str
    question: str
    answer: str
    evidence: str
    is_abstained: bool
    was_given: bool
    confidence: float
    is_right: bool | None
    correction: str | None = None

    @property
    def taught(self) -> str:
        """What a model shall write."""
        return self.correction or self.answer


_WRONG_AGAIN = select(REUSES.c.entry_id).where(
    REUSES.c.was_given, REUSES.c.is_right.is_(False), REUSES.c.score >= SAME_WORDS
)
"""Answers of which somebody said that they are wrong when they were given to their words again."""

_JUDGED = (
    select(
        LESSONS.c.answer_id,
        LESSONS.c.at,
        LESSONS.c.question,
        LESSONS.c.answer,
        LESSONS.c.evidence,
        LESSONS.c.is_abstained,
        LESSONS.c.excerpts,
        func.coalesce(
            and_(
                ANSWERS.c.tier == "premium",
                (ANSWERS.c.status == "abstained") == LESSONS.c.is_abstained,
            ),
            False,
        ).label("was_given"),
        func.coalesce(ANSWERS.c.confidence, 0.0).label("confidence"),
        case((LESSONS.c.answer_id.in_(_WRONG_AGAIN), False), else_=FEEDBACK.c.is_right).label(
            "is_right"
        ),
    )
    .outerjoin(ANSWERS, ANSWERS.c.answer_id == LESSONS.c.answer_id)
    .outerjoin(FEEDBACK, FEEDBACK.c.answer_id == LESSONS.c.answer_id)
    .order_by(LESSONS.c.at, LESSONS.c.answer_id)
)
_CORRECTED = (
    select(
        func.coalesce(REUSES.c.entry_id, CORRECTIONS.c.answer_id).label("lesson"),
        CORRECTIONS.c.correction,
    )
    .outerjoin(
        REUSES,
        and_(
            REUSES.c.answer_id == CORRECTIONS.c.answer_id,
            REUSES.c.was_given,
            REUSES.c.score >= SAME_WORDS,
        ),
    )
    .order_by(CORRECTIONS.c.at)
)
"""By the answer that was made first, what people wrote in its stead, the last word last."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class Lessons:
    """At most `max_lessons`, none older than `keep_days`, in the tables of `engine`.

    Its methods raise StateError.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        max_lessons: int,
        keep_days: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._engine = engine
        self._max_lessons = max_lessons
        self._keep = timedelta(days=keep_days)
        self._now = now

    def keep(self, lesson: Lesson) -> None:
        """Keep a lesson, and drop what is too much or too old."""
        with self._engine.begin() as connection:
            connection.execute(insert(LESSONS), _row(lesson, _text(self._now())))
            key = {"answer_id": lesson.answer_id, "collection": lesson.collection}
            documents = [
                {**key, "document_id": name, "revision": revision}
                for name, revision in sorted(lesson.documents.items())
            ]
            connection.execute(insert(LESSON_DOCUMENTS), documents)
        self.prune()

    def prune(self) -> int:
        """Drop what is too much or too old, the oldest first; gives how many."""
        newest_first = select(LESSONS.c.at).order_by(LESSONS.c.at.desc())
        oldest = _text(self._now() - self._keep)
        with self._engine.begin() as connection:
            surplus = connection.scalar(newest_first.offset(self._max_lessons).limit(1)) or ""
            gone = delete(LESSONS).where(LESSONS.c.at <= max(surplus, oldest))
            return connection.execute(gone).rowcount

    def delete(self, answer_id: str) -> None:
        """Delete a lesson, if it is there."""
        with self._engine.begin() as connection:
            connection.execute(delete(LESSONS).where(LESSONS.c.answer_id == answer_id))

    def delete_made_from(self, collection: str, document_ids: Sequence[str]) -> int:
        """Delete the lessons whose context came from one of these documents; gives how many."""
        columns = LESSON_DOCUMENTS.c
        deleted = 0
        with self._engine.begin() as connection:
            for first in range(0, len(document_ids), _AT_ONCE):
                theirs = select(columns.answer_id).where(
                    columns.collection == collection,
                    columns.document_id.in_(document_ids[first : first + _AT_ONCE]),
                )
                gone = delete(LESSONS).where(LESSONS.c.answer_id.in_(theirs))
                deleted += connection.execute(gone).rowcount
        return deleted

    def delete_all_but(self, collections: Collection[str]) -> int:
        """Delete the lessons of all other collections; gives how many."""
        others = LESSONS.c.collection.not_in(sorted(collections))
        with self._engine.connect() as connection:  # looked up first: it is mostly none
            if connection.scalar(select(LESSONS.c.answer_id).where(others).limit(1)) is None:
                return 0
        with self._engine.begin() as connection:
            return connection.execute(delete(LESSONS).where(others)).rowcount

    def documents(self, collection: str) -> list[tuple[str, str]]:
        """The documents that lessons of a collection came from, each with its revision then."""
        columns = LESSON_DOCUMENTS.c
        query = select(columns.document_id, columns.revision).distinct()
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(columns.collection == collection))
            return [(row.document_id, row.revision) for row in rows]

    def judged(self, collections: Collection[str]) -> list[JudgedLesson]:
        """The lessons of these collections, oldest first."""
        query = _JUDGED.where(LESSONS.c.collection.in_(sorted(collections)))
        corrected = _CORRECTED.where(CORRECTIONS.c.collection.in_(sorted(collections)))
        with self._engine.connect() as connection:
            corrections = {row.lesson: row.correction for row in connection.execute(corrected)}
            rows = connection.execute(query)
            return [_judged(row, corrections.get(row.answer_id)) for row in rows]

    def load(self, answer_ids: Sequence[str]) -> Iterator[Lesson]:
        """The lessons of these ids, in this order; those that are gone are left out."""
        for first in range(0, len(answer_ids), _AT_ONCE):
            wanted = answer_ids[first : first + _AT_ONCE]
            columns = LESSON_DOCUMENTS.c
            with self._engine.connect() as connection:
                found = connection.execute(select(LESSONS).where(LESSONS.c.answer_id.in_(wanted)))
                rows = {row.answer_id: row for row in found}
                documents: dict[str, dict[str, str]] = {name: {} for name in rows}
                query = select(LESSON_DOCUMENTS).where(columns.answer_id.in_(list(rows)))
                for one in connection.execute(query.order_by(columns.document_id)):
                    documents[one.answer_id][one.document_id] = one.revision
            yield from (_lesson(rows[name], documents[name]) for name in wanted if name in rows)


def _row(lesson: Lesson, now: str) -> dict[str, object]:
    return {
        "answer_id": lesson.answer_id,
        "at": now,
        "tenant": lesson.tenant,
        "collection": lesson.collection,
        "question": lesson.question,
        "prompt_version": lesson.prompt.version,
        "system": lesson.prompt.system,
        "user": lesson.prompt.user,
        "answer": lesson.answer,
        "evidence": lesson.evidence,
        "model": lesson.model,
        "escalated_from": lesson.escalated_from,
        "is_abstained": lesson.is_abstained,
        "excerpts": json.dumps({marker: list(own) for marker, own in lesson.excerpts.items()}),
    }


def _lesson(row: Row[tuple[object, ...]], documents: Mapping[str, str]) -> Lesson:
    return Lesson(
        answer_id=row.answer_id,
        tenant=row.tenant,
        collection=row.collection,
        question=row.question,
        prompt=Prompt(row.prompt_version, row.system, row.user),
        answer=row.answer,
        evidence=row.evidence,
        model=row.model,
        escalated_from=row.escalated_from,
        is_abstained=row.is_abstained,
        documents=documents,
        excerpts=_excerpts(row.excerpts),
    )


def _excerpts(kept: str | None) -> dict[int, Sequence[int]]:
    """Those of a lesson; lessons of earlier versions have none."""
    return {int(marker): tuple(own) for marker, own in json.loads(kept or "{}").items()}


def _judged(row: Row[tuple[object, ...]], corrected: str | None) -> JudgedLesson:
    correction = None
    if corrected is not None:
        excerpts = _excerpts(row.excerpts)
        numbers = {number for claim in claims_of(corrected) for number in claim.numbers}
        correction = as_written(corrected, excerpts) if numbers & set(excerpts) else ""
    return JudgedLesson(
        answer_id=row.answer_id,
        at=row.at,
        question=row.question,
        answer=row.answer,
        evidence=row.evidence,
        is_abstained=row.is_abstained,
        was_given=bool(row.was_given),
        confidence=row.confidence,
        is_right=row.is_right,
        correction=correction,
    )


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
