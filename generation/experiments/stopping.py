"""Arms that were stopped, durable in SQL, and who serves their conversations instead."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Column, Engine, MetaData, String, Table, Text, bindparam, select, text

from generation.experiments.assignment import Experiment, assign
from rag.types import Question

METADATA = MetaData()
STOPPED_ARMS = Table(
    "stopped_arms",
    METADATA,
    Column("experiment", String, primary_key=True),
    Column("arm", String, primary_key=True),
    Column("at", String, nullable=False),
    Column("why", Text, nullable=False),
)
_PUT = text(
    "INSERT INTO stopped_arms (experiment, arm, at, why) VALUES (:experiment, :arm, :at, :why) "
    "ON CONFLICT (experiment, arm) DO NOTHING"
)
_OF_ONE = select(STOPPED_ARMS.c.arm, STOPPED_ARMS.c.why).where(
    STOPPED_ARMS.c.experiment == bindparam("experiment")
)
"""Made once, since every question asks it."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


class StoppedArms:
    """The stops in the tables of `engine`. Its methods raise StateError."""

    def __init__(self, engine: Engine, now: Callable[[], datetime] = utc_now) -> None:
        self._engine = engine
        self._now = now

    def stop(self, experiment: str, arm: str, why: str) -> bool:
        """Stop an arm for good; gives whether it was still running."""
        at = self._now().isoformat(timespec="microseconds")
        row = {"experiment": experiment, "arm": arm, "at": at, "why": why}
        with self._engine.begin() as connection:
            return connection.execute(_PUT, row).rowcount == 1

    def of(self, experiment: str) -> Mapping[str, str]:
        """By name of the stopped arms of an experiment, why each was stopped."""
        with self._engine.connect() as connection:
            rows = connection.execute(_OF_ONE, {"experiment": experiment}).all()
        return {row.arm: row.why for row in rows}


class ArmAssigner:
    """An Assigner by the hash of the conversation; the control serves for arms that are stopped.

    A question that is part of no conversation is one of its own. A stop holds from the next
    question on, in all processes over one state, in the middle of a conversation too.
    """

    def __init__(self, experiment: Experiment, stopped: StoppedArms) -> None:
        self._experiment = experiment
        self._stopped = stopped

    async def arm_of(self, question: Question) -> str:
        """The name of the arm that serves this question. Raises StateError."""
        alone = question.answer_id or uuid.uuid4().hex
        arm = assign(self._experiment, question.conversation_id or alone)
        control = self._experiment.control.name
        if arm == control or arm in await asyncio.to_thread(
            self._stopped.of, self._experiment.name
        ):
            return control
        return arm
