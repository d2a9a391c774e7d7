"""What the metrics ask of the application each time they are read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from api.http.metrics import Gauge, Values
from api.jobs.runner import Jobs
from generation.money.sums import WallState, wall_states

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine


def gauges_of(application: Application, jobs: Jobs) -> list[Gauge]:
    """The gauges of a service: its documents, its jobs, what has drifted, and its own walls.

    The walls of tenants and keys are not among them: whoever reads metrics need not know the names.
    """
    manifest, answering = application.manifest, application.answering

    def documents() -> Values:
        return {(name,): manifest.count(name) for name in manifest.collections()}

    def drift() -> Values:
        return {(signal,): moved for signal, moved in answering.judge.drift().items()}

    def walls() -> list[tuple[str, WallState]]:
        states = wall_states(application.state, answering.walls, datetime.now(UTC))
        return [(_period(state), state) for state in states if state.scope == "service"]

    return [
        Gauge("rag_documents", "Documents.", ["collection"], documents),
        Gauge(
            "rag_jobs",
            "Ingestion jobs.",
            ["state"],
            lambda: {(state,): count for state, count in jobs.counts().items()},
        ),
        Gauge(
            "rag_signal_drift",
            "How far what confidence is made from has moved (population stability index).",
            ["signal"],
            drift,
        ),
        Gauge(
            "rag_budget_limit_usd",
            "Dollars that the service may spend in a period.",
            ["period"],
            lambda: {(period,): float(wall.limit_usd) for period, wall in walls()},
        ),
        Gauge(
            "rag_budget_taken_usd",
            "Dollars of a budget that are spent, or reserved by calls that run.",
            ["period"],
            lambda: {(period,): float(w.spent_usd + w.reserved_usd) for period, w in walls()},
        ),
    ]


def _period(wall: WallState) -> str:
    return "day" if wall.setting.endswith("day_usd") else "month"
