"""What the dashboard shows, gathered from the state."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from api.models.costs import WallOut
from api.models.dashboard import (
    DAYS_BY_HOUR,
    AnswerLineOut,
    DashboardIn,
    DashboardOut,
    DriftOut,
    PointOut,
)
from api.models.documents import JobLineOut
from generation.money.sums import wall_states
from generation.overview.asked import AskedQuestions
from generation.overview.changes import changes
from generation.overview.over_time import Step, over_time
from generation.overview.worth_a_look import dearest, unanswered, verdict_counts, worst_rated

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine

LISTED, TOPICS = 10, 6


async def look_at_answers(
    application: Application,
    asked: DashboardIn,
    jobs: list[JobLineOut],
    now: datetime | None = None,
) -> DashboardOut:
    """The dashboard at the time `now`, which is this moment. Raises InputError, StateError."""
    return await asyncio.to_thread(_look, application, asked, jobs, now or datetime.now(UTC))


def _look(
    application: Application, asked: DashboardIn, jobs: list[JobLineOut], now: datetime
) -> DashboardOut:
    state, manifest = application.state, application.manifest
    since, until = asked.days(now.date())
    chosen = asked.selection(now.date())
    step: Step = "hour" if (until - since).days < DAYS_BY_HOUR else "day"
    settings = application.settings.dashboard
    if settings.keep_questions:
        AskedQuestions(state).drop_older(settings.keep_days)
    points, total = over_time(state, chosen, step)
    judged, wrong = verdict_counts(state, chosen)
    found = changes(state, chosen, asked.reference_week(chosen), TOPICS)
    titles = [manifest.title(topic.collection, topic.document_id) for topic in found.topics]
    walls = wall_states(state, application.answering.walls, now)
    return DashboardOut(
        since=since,
        until=until,
        step=step,
        collections=manifest.collections(),
        total=PointOut.of(total),
        points=[PointOut.of(point) for point in points],
        judged=judged,
        wrong=wrong,
        walls=[WallOut.of(wall) for wall in walls],
        dearest=[AnswerLineOut.of(line) for line in dearest(state, chosen, LISTED)],
        worst_rated=[AnswerLineOut.of(line) for line in worst_rated(state, chosen, LISTED)],
        unanswered=[AnswerLineOut.of(line) for line in unanswered(state, chosen, LISTED)],
        keeps_questions=settings.keep_questions,
        jobs=jobs,
        drift=DriftOut.of(found, titles),
    )
