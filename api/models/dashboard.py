"""What the dashboard asks and shows. Dollars and days are as in `costs`."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, get_args

from pydantic import Field

from api.keys.reach import Reach
from api.models.answers import dollars
from api.models.costs import Day, DaysIn, WallOut
from api.models.documents import JobLineOut
from api.models.output import Output
from generation.confidence.drift import Level
from generation.overview.changes import WEEK, Changes, NumberChange, TopicShare
from generation.overview.changes import Week as WeekSeen
from generation.overview.over_time import Point, Step
from generation.overview.selection import Selection
from generation.overview.worth_a_look import AnswerLine
from rag.errors import AccessError, InputError
from rag.types import Status, Tier

DAYS_BY_HOUR = 3
"""So many days are shown by the hour, more of them by the day."""
MAX_DAYS = 1_100


class DashboardIn(DaysIn):
    """Which answers: of which days, and if wanted of one collection or one tenant."""

    collection: str | None = Field(default=None, description="Its answers alone; unset: all.")
    tenant: str | None = Field(default=None, description="Its answers alone; unset: all.")
    reference: Day | None = Field(
        default=None,
        description="First day of the week that the last seven days are compared with; unset: the "
        "week before them.",
    )

    def days(self, today: date) -> tuple[date, date]:
        """The first and the last day that are meant. Raises InputError."""
        since, until = super().days(today)
        days = (until - since).days + 1
        if days > MAX_DAYS:
            raise InputError(f"these are {days:,} days, the limit is {MAX_DAYS:,}: give fewer")
        return since, until

    def selection(self, today: date, reach: Reach) -> Selection:
        """The answers that are meant, of those within reach. Raises InputError, AccessError."""
        since, until = self.days(today)
        begin, end = _midnight(since), _midnight(until + timedelta(days=1))
        tenant = self.tenant if reach.tenant is None else reach.tenant
        if self.tenant not in (None, tenant):
            raise AccessError(
                f"this key is of a tenant, and tenant is {self.tenant[:100]!r}: leave it out, or "
                "use a key of the operator"
            )
        collection = None if self.collection is None else reach.inside(self.collection)
        return Selection(begin, end, collection, tenant, reach.within)

    def reference_week(self, chosen: Selection) -> datetime:
        """When the reference week begins."""
        return chosen.until - 2 * WEEK if self.reference is None else _midnight(self.reference)


class PointOut(Output):
    """The answers that began in one hour (`start` as 2026-10-05T12) or day (2026-10-05), in UTC.

    `confidence` is their mean; the milliseconds are right to about 5 in 100. Null: no answer.
    `saved_usd` is the least that was saved: unknown calls count with what they cost at most.
    """

    start: str
    answers: int
    tiers: dict[Tier, int]
    statuses: dict[Status, int]
    confidence: float | None
    p50_ms: float | None
    p95_ms: float | None
    spent_usd: str
    baseline_usd: str | None
    saved_usd: str | None

    @classmethod
    def of(cls, point: Point) -> PointOut:
        confidence = None if point.confidence is None else round(point.confidence, 4)
        return cls(
            start=point.start,
            answers=point.answers,
            tiers={tier: point.tiers.get(tier, 0) for tier in get_args(Tier)},
            statuses={status: point.statuses.get(status, 0) for status in get_args(Status)},
            confidence=confidence,
            p50_ms=_rounded(point.p50_ms),
            p95_ms=_rounded(point.p95_ms),
            spent_usd=dollars(point.spent_usd) or "0",
            baseline_usd=dollars(point.baseline_usd),
            saved_usd=dollars(point.saved_usd),
        )


class AnswerLineOut(Output):
    """An answer that is worth a look; `question` is null where its words are not kept.

    The question was asked `times` times, and the rest is told of the last time.
    """

    id: str
    at: str
    question: str | None
    collection: str
    tier: Tier
    status: Status
    confidence: float
    ms: float
    spent_usd: str | None
    because: str
    times: int

    @classmethod
    def of(cls, line: AnswerLine, reach: Reach) -> AnswerLineOut:
        told = {name: getattr(line, name) for name in AnswerLine.__slots__ if name != "answer_id"}
        told |= {"confidence": round(line.confidence, 4), "ms": round(line.ms, 1)}
        told |= {"collection": reach.shown(line.collection), "because": reach.told(line.because)}
        return cls(**told | {"id": line.answer_id, "spent_usd": dollars(line.spent_usd)})


class WeekOut(Output):
    """Seven days from `since`, in UTC; `looked_at` of their answers were looked at, at random."""

    since: date
    answers: int
    looked_at: int

    @classmethod
    def of(cls, week: WeekSeen) -> WeekOut:
        return cls(since=week.since.date(), answers=week.answers, looked_at=week.looked_at)


class NumberChangeOut(Output):
    """A number in both weeks: its medians, and how far it has moved.

    `index` is the population stability index, 0 or more; `level` what it says beyond chance. Null:
    too few answers.
    """

    name: str
    was: float | None
    now: float | None
    index: float | None
    level: Level | None

    @classmethod
    def of(cls, found: NumberChange) -> NumberChangeOut:
        places = {"was": 4, "now": 4, "index": 4}
        told = {name: getattr(found, name) for name in NumberChange.__slots__}
        rounded = {name: _rounded(told[name], place) for name, place in places.items()}
        return cls(**told | rounded)


class TopicShareOut(Output):
    """A document's share of the answers that cite one first, in both weeks, 0 to 1."""

    collection: str
    document_id: str
    title: str | None
    was: float
    now: float

    @classmethod
    def of(cls, share: TopicShare, title: str | None, reach: Reach) -> TopicShareOut:
        return cls(
            collection=reach.shown(share.collection),
            document_id=share.document_id,
            title=title,
            was=round(share.was, 4),
            now=round(share.now, 4),
        )


class DriftOut(Output):
    """The last seven days against a reference week; the topics that changed most come first."""

    reference: WeekOut
    latest: WeekOut
    numbers: list[NumberChangeOut]
    topic_index: float | None
    topic_level: Level | None
    topics: list[TopicShareOut]

    @classmethod
    def of(cls, found: Changes, titles: list[str | None], reach: Reach) -> DriftOut:
        return cls(
            reference=WeekOut.of(found.reference),
            latest=WeekOut.of(found.latest),
            numbers=[NumberChangeOut.of(one) for one in found.numbers],
            topic_index=_rounded(found.topic_index, 4),
            topic_level=found.topic_level,
            topics=[
                TopicShareOut.of(topic, title, reach)
                for topic, title in zip(found.topics, titles, strict=True)
            ],
        )


class DashboardOut(Output):
    """Costs and quality of the days from `since` to `until`, both included, at a glance.

    `points` are those that have any answer or call. `judged` answers have a verdict of a person, of
    which `wrong` say wrong. `keeps_questions`: whether the words of questions are kept.
    """

    since: date
    until: date
    step: Step
    collections: list[str]
    total: PointOut
    points: list[PointOut]
    judged: int
    wrong: int
    walls: list[WallOut]
    dearest: list[AnswerLineOut]
    worst_rated: list[AnswerLineOut]
    unanswered: list[AnswerLineOut]
    keeps_questions: bool
    jobs: list[JobLineOut]
    drift: DriftOut


class ForgottenQuestionsOut(Output):
    """So many questions were kept, and are deleted."""

    status: Literal["forgotten"] = "forgotten"
    questions: int


def _rounded(value: float | None, places: int = 2) -> float | None:
    return None if value is None else round(value, places)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
