"""What was given again, and what was said of it: by people, and by fresh answers made beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Engine, bindparam, delete, func, insert, select, true, update

from generation.confidence.risk import rate_at_most
from generation.reuse.entries import Entry, delete_entry, utc_now
from generation.reuse.tables import KEPT_ANSWERS, REUSES

SAME_WORDS = 1.0
"""The score of two questions that are equal once they are normalised."""

_DOUBT = 0.05
_MOST_READ = 10_000
_JUDGED = (
    select(
        REUSES.c.judged_at, REUSES.c.collection, REUSES.c.says, REUSES.c.score, REUSES.c.is_right
    )
    .where(REUSES.c.judged_at > bindparam("after"), REUSES.c.score < SAME_WORDS)
    .order_by(REUSES.c.judged_at.desc())
    .limit(_MOST_READ)
)
"""Made once, since every question in other words asks it."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict on an answer that `says` this, at a time that tells what is later.

    `score`, 0 to 1, is how likely the question was that of the kept answer.
    """

    at: str
    collection: str
    says: str
    score: float
    is_right: bool


@dataclass(frozen=True, slots=True)
class HitSum:
    """How many answers that were given again were judged, and how many of these were wrong.

    An answer that was due and was made afresh to check the kept one counts as given: it was chosen
    at random from those that were due, and the fresh one is its verdict.
    """

    judged: int
    wrong: int

    @property
    def wrong_at_most(self) -> float:
        """The share that is wrong in the long run is at most this, by a chance of 95 in 100."""
        return rate_at_most(self.wrong, self.judged, _DOUBT)


class Verdicts:
    """The reuses in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def note_given(self, answer_id: str, entry: Entry, score: float) -> None:
        """An entry was given as the answer of this id; nobody knows yet whether it is right."""
        self._note(answer_id, entry, score)

    def note_compared(
        self, answer_id: str, entry: Entry, score: float, *, is_right: bool, was_due: bool
    ) -> None:
        """An entry was not given; the fresh answer of this id tells whether it was right.

        It `was_due` where it was left out only to compare it.
        """
        self._note(answer_id, entry, score, is_right, was_due)

    def observe(self, answer_id: str, *, is_right: bool) -> bool:
        """Somebody says whether an answer is right; gives whether that concerns a kept one.

        Of an answer that was given again it is a verdict on its entry. What is wrong for the very
        words of its question, or when it was made, is not kept any longer.
        """
        is_it = REUSES.c.answer_id == answer_id
        with self._engine.begin() as connection:
            given = connection.execute(select(REUSES).where(is_it, REUSES.c.was_given)).first()
            if given is not None:
                judged = {"is_right": is_right, "judged_at": self._time()}
                connection.execute(update(REUSES).where(is_it).values(judged))
                if not is_right and given.score >= SAME_WORDS:
                    delete_entry(connection, given.entry_id)
                return True
            if not is_right:
                return delete_entry(connection, answer_id)
            kept = select(KEPT_ANSWERS.c.position).where(KEPT_ANSWERS.c.entry_id == answer_id)
            return connection.scalar(kept) is not None

    def judged_after(self, at: str) -> list[Judged]:
        """Verdicts on questions in other words than the entry's, later than `at`, oldest first.

        At most the newest 10,000; "" is before all.
        """
        with self._engine.connect() as connection:
            rows = connection.execute(_JUDGED, {"after": at}).all()
        return [Judged(*row) for row in reversed(rows)]

    def sum(
        self, since: datetime, until: datetime, within: ColumnElement[bool] | None = None
    ) -> HitSum:
        """What is known of the answers that were given again from `since` until before `until`.

        `within` is a condition on their collections; None takes all.
        """
        columns = REUSES.c
        query = select(
            func.count(columns.is_right), func.count().filter(columns.is_right.is_(False))
        ).where(
            columns.was_given | columns.was_due,
            columns.at >= _text(since),
            columns.at < _text(until),
            true() if within is None else within,
        )
        with self._engine.connect() as connection:
            return HitSum(*connection.execute(query).one())

    def prune(self, before: datetime) -> None:
        """Delete what nobody judged and is older than this, and verdicts that are read no more.

        The entries that they are about must be gone.
        """
        columns = REUSES.c
        unjudged = columns.is_right.is_(None) & (columns.at < _text(before))
        with self._engine.begin() as connection:
            connection.execute(delete(REUSES).where(unjudged))
            for same_words in (columns.score >= SAME_WORDS, columns.score < SAME_WORDS):
                newest_first = select(columns.judged_at).where(
                    same_words, columns.judged_at.is_not(None)
                )
                newest_first = newest_first.order_by(columns.judged_at.desc())
                last = connection.scalar(newest_first.offset(_MOST_READ).limit(1))
                if last is not None:
                    connection.execute(delete(REUSES).where(same_words, columns.judged_at <= last))

    def _note(
        self,
        answer_id: str,
        entry: Entry,
        score: float,
        is_right: bool | None = None,
        was_due: bool | None = None,
    ) -> None:
        now = self._time()
        row = {
            "answer_id": answer_id,
            "entry_id": entry.entry_id,
            "collection": entry.collection,
            "says": entry.says,
            "score": score,
            "was_given": is_right is None,
            "is_right": is_right,
            "at": now,
            "judged_at": None if is_right is None else now,
            "was_due": was_due,
        }
        with self._engine.begin() as connection:
            connection.execute(insert(REUSES), row)

    def _time(self) -> str:
        return _text(self._now())


def _text(at: datetime) -> str:
    return at.isoformat(timespec="microseconds")
