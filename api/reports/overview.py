"""What the dashboard shows, gathered from the state."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from api.keys.reach import EVERYTHING, Reach
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
from api.reports.spending import walls_within
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
    jobs: Sequence[JobLineOut],
    reach: Reach = EVERYTHING,
    now: datetime | None = None,
) -> DashboardOut:
    """What is within reach at the time `now`, which is this moment; the `jobs` as they are given.

    Raises InputError, AccessError, StateError.
    """
    now = now or datetime.now(UTC)
    return await asyncio.to_thread(_look, application, asked, jobs, reach, now)


def _look(
    application: Application,
    asked: DashboardIn,
    jobs: Sequence[JobLineOut],
    reach: Reach,
    now: datetime,
) -> DashboardOut:
    state, manifest = application.state, application.manifest
    since, until = asked.days(now.date())
    chosen = asked.selection(now.date(), reach)
    step: Step = "hour" if (until - since).days < DAYS_BY_HOUR else "day"
    settings = application.settings.dashboard
    if settings.keep_questions:
        AskedQuestions(state).drop_older(settings.keep_days)
    points, total = over_time(state, chosen, step)
    judged, wrong = verdict_counts(state, chosen)
    found = changes(state, chosen, asked.reference_week(chosen), TOPICS)
    titles = [manifest.title(topic.collection, topic.document_id) for topic in found.topics]
    walls = walls_within(application, reach.tenant, now)
    listed = [
        [AnswerLineOut.of(line, reach) for line in find(state, chosen, LISTED)]
        for find in (dearest, worst_rated, unanswered)
    ]
    return DashboardOut(
        since=since,
        until=until,
        step=step,
        collections=[reach.shown(name) for name in manifest.collections() if reach.has(name)],
        total=PointOut.of(total),
        points=[PointOut.of(point) for point in points],
        judged=judged,
        wrong=wrong,
        walls=[WallOut.of(wall) for wall in walls],
        dearest=listed[0],
        worst_rated=listed[1],
        unanswered=listed[2],
        keeps_questions=settings.keep_questions,
        jobs=list(jobs),
        drift=DriftOut.of(found, titles, reach),
    )
