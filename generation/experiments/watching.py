"""Stops the arms of an experiment that are proven to hurt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from sqlalchemy import Engine

from generation.experiments.assignment import Experiment
from generation.experiments.findings import ArmResult, Rules
from generation.experiments.judging import judge
from generation.experiments.records import read_records
from generation.experiments.stopping import StoppedArms, utc_now
from rag.errors import RagError
from rag.ports import Assigner
from rag.types import Question

LOOK_EVERY = 50
"""Questions, of this process, after which the experiment is looked at again."""

OnStop = Callable[[str], None]

_log = logging.getLogger(__name__)


class ExperimentWatch:
    """Looks at an experiment in the state of `engine`; `on_stop` is told of each arm it stops.

    Its methods raise StateError.
    """

    def __init__(
        self,
        engine: Engine,
        experiment: Experiment,
        rules: Rules,
        now: Callable[[], datetime] = utc_now,
        on_stop: OnStop = lambda arm: None,
    ) -> None:
        self._engine = engine
        self._experiment = experiment
        self._rules = rules
        self._stopped = StoppedArms(engine, now)
        self._now = now
        self._on_stop = on_stop

    def results(self) -> list[ArmResult]:
        """How each arm stands, in their order; changes nothing."""
        experiment = self._experiment
        records = read_records(self._engine, experiment)
        stopped = self._stopped.of(experiment.name)
        return judge(experiment, records, self._rules, stopped, self._now())

    def look(self) -> list[str]:
        """Stop the arms that are proven worse, for all processes; gives the names of those.

        A warning tells of each, once.
        """
        worse = [result for result in self.results() if result.state == "worse"]
        return [result.record.arm for result in worse if self._stop(result)]

    def _stop(self, result: ArmResult) -> bool:
        name, arm = self._experiment.name, result.record.arm
        was_running = self._stopped.stop(name, arm, result.says)
        if was_running:
            _log.warning("the arm %s of experiment %s was stopped: %s", arm, name, result.says)
            self._on_stop(arm)
        return was_running


class WatchedAssigner:
    """An Assigner that has the experiment looked at every now and then, beside the questions."""

    def __init__(self, assigner: Assigner, watch: ExperimentWatch) -> None:
        self._assigner = assigner
        self._watch = watch
        self._asked = 0
        self._looking: asyncio.Task[None] | None = None

    async def arm_of(self, question: Question) -> str:
        """The name of the arm that serves this question. Raises StateError."""
        self._asked += 1
        if self._asked % LOOK_EVERY == 0 and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look())
        return await self._assigner.arm_of(question)

    async def close(self) -> None:
        """Wait for a look that was begun."""
        if self._looking is not None:
            await self._looking

    async def _look(self) -> None:
        try:
            await asyncio.to_thread(self._watch.look)
        except RagError as error:
            _log.warning("the experiment could not be looked at: %s", error)
