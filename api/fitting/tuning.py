"""Tunes the settings for a collection: tries, measures, chooses. It changes nothing by itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from api.doors.door import Door
from api.fitting.evaluating import fingerprint_of, sampled, settings_of, with_gold_found
from api.fitting.trial_bench import TrialBench
from api.models.documents import DocumentOut
from api.settings import Settings, load_settings
from evaluation.asking import PipelineSystem
from evaluation.kept_records import KeptRecords
from evaluation.measures.table import Measure
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record
from evaluation.running import OnProgress, run
from evaluation.tuning.outcome import FEW_QUESTIONS, FORMAT, Tuning, conclude
from evaluation.tuning.scoring import (
    OF_RANKING,
    Changes,
    Goal,
    Score,
    gold_count,
    in_halves,
    measure_named,
    score,
)
from evaluation.tuning.searching import Knob, search
from rag.errors import SettingsError
from rag.pipeline import MAX_HITS

FOLDER = "tunings"
WARM_UP_QUESTIONS = 8
CHUNK_TOKENS = "ingestion.chunk_tokens"
RERANKER = "retrieval.reranker"
FINDING = (
    Knob("retrieval.dense_share", (0.3, 0.4, 0.5, 0.6, 0.7, 0.8), "quality"),
    Knob("retrieval.candidates", (20, 50, 100), "quality"),
)
SENDING = (
    Knob("context.min_usefulness", (0, 0.02, 0.04, 0.06, 0.1, 0.15, 0.25), "cost"),
    Knob("context.max_tokens", (100, 200, 400, 600, 1_000, 1_500, 2_000), "cost"),
    Knob("retrieval.chunks", (3, 5, 10, 15), "cost"),
)
"""What is tried, in this order; a measure of the ranking does not see what is sent."""


@dataclass(frozen=True, slots=True)
class TuningPlan:
    """What to tune by. `overrides` are settings of the command, nested, before all others.

    `quality`, `margin` and `measure` make the goal; None takes the present quality, and the
    measure that the gold allows. `limit` takes a random sample of the questions, None all.
    """

    question_file: Path
    questions: Sequence[EvaluationQuestion]
    overrides: Mapping[str, Any]
    quality: float | None
    margin: float
    measure: str | None
    chunk_sizes: Sequence[int]
    rerankers: Sequence[str]
    limit: int | None
    seed: int


async def tune(
    door: Door, plan: TuningPlan, note: Callable[[str], None], on_progress: OnProgress
) -> tuple[Tuning, Path]:
    """What came of it, and the folder that an interrupted tuning goes on from, for the caller to
    remove: it holds texts of documents.

    Raises RagError; InputError, naming the row, for gold that the collection does not hold.
    """
    settings = load_settings(plan.overrides)
    collection = settings.collection
    documents = await door.documents(collection)
    sample = sampled(plan.questions, plan.limit, plan.seed)
    questions = await with_gold_found(sample, door, collection, documents)
    measure = measure_named(plan.measure, questions)
    halves = in_halves(questions, measure, plan.seed)
    goal = Goal(measure, plan.quality, plan.margin, plan.seed)
    notes = _notes(questions, measure)
    for line in notes:
        note(line)
    folder = _folder(plan, settings, documents)
    bench = TrialBench(door, settings, folder, note)
    trials = _Trials(plan, bench, documents, goal, halves, folder, on_progress)
    try:
        await bench.open(documents, [settings, *trials.settings_to_open()])
        await trials.warm_up()
        scores = await search(trials.ask, _knobs(plan, measure), await trials.score({}, halves[0]))
        outcome = await conclude(scores, goal, trials.check)
    finally:
        await bench.close()
    tuning = Tuning(
        format=FORMAT,
        question_file=plan.question_file.name,
        collection=collection,
        documents=len(documents),
        version=version("thrifty-rag"),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=plan.seed,
        measure=measure.name,
        goal=str(goal),
        questions=gold_count(questions, measure),
        notes=notes,
        outcome=outcome,
    )
    return tuning, folder


@dataclass(frozen=True, slots=True)
class _Trials:
    """Asks the questions with other settings; what was asked before is read from `folder`."""

    plan: TuningPlan
    bench: TrialBench
    documents: Sequence[DocumentOut]
    goal: Goal
    halves: tuple[Sequence[EvaluationQuestion], Sequence[EvaluationQuestion]]
    folder: Path
    on_progress: OnProgress
    scores: dict[frozenset[tuple[str, JsonValue]], Score] = field(default_factory=dict)

    def settings_to_open(self) -> Iterator[Settings]:
        """Settings that need an index or a reranker of their own."""
        for name in self.plan.rerankers:
            yield self._settings({RERANKER: name})
        for size in self.plan.chunk_sizes:
            yield self._settings({CHUNK_TOKENS: size})

    async def warm_up(self) -> None:
        """Ask a few questions for nothing: the first ones take longest, whatever the settings."""
        await run(self._system(self._settings({})), self.halves[0][:WARM_UP_QUESTIONS])

    async def ask(self, changes: Changes) -> Score | None:
        """The score on the questions to choose by; None for settings that contradict."""
        present = dict(_flat(load_settings(self.plan.overrides).model_dump(mode="json")))
        changed = {name: new for name, new in changes.items() if new != present[name]}
        key = frozenset(changed.items())
        if key not in self.scores:
            try:
                self.scores[key] = await self.score(changed, self.halves[0])
            except SettingsError:
                return None
        return self.scores[key]

    async def check(self, chosen: Score) -> tuple[Score, Score]:
        """The scores of the present settings and the chosen ones on the questions to check by."""
        present = await self.score({}, self.halves[1])
        return present, await self.score(chosen.changes, self.halves[1])

    async def score(self, changes: Changes, questions: Sequence[EvaluationQuestion]) -> Score:
        """The score on these questions. Raises SettingsError for settings that contradict."""
        records = await self._records(changes, questions)
        return score(changes, questions, records, await self._records({}, questions), self.goal)

    async def _records(
        self, changes: Changes, questions: Sequence[EvaluationQuestion]
    ) -> list[Record]:
        settings = self._settings(changes)
        name = fingerprint_of(settings_of(settings), self.documents)
        kept = KeptRecords(self.folder / f"{name[:16]}.jsonl", name)
        return await run(self._system(settings), questions, kept, self.on_progress)

    def _system(self, settings: Settings) -> PipelineSystem:
        return PipelineSystem(
            self.bench.pipeline(settings),
            settings.collection,
            settings.context.max_tokens,
            min(settings.retrieval.candidates, MAX_HITS),
        )

    def _settings(self, changes: Changes) -> Settings:
        return load_settings(_merged(self.plan.overrides, nested(changes)))


def nested(changes: Changes) -> dict[str, Any]:
    """The changes as `rag.toml` nests them."""
    groups: dict[str, Any] = {}
    for name, new in changes.items():
        *path, last = name.split(".")
        group = groups
        for part in path:
            group = group.setdefault(part, {})
        group[last] = new
    return groups


def _knobs(plan: TuningPlan, measure: Measure) -> list[Knob]:
    knobs = list(FINDING)
    if plan.rerankers:
        knobs.append(Knob(RERANKER, (None, *plan.rerankers), "quality"))
    if plan.chunk_sizes:
        knobs.append(Knob(CHUNK_TOKENS, tuple(plan.chunk_sizes), "quality"))
    return knobs if measure.name in OF_RANKING else [*knobs, *SENDING]


def _notes(questions: Sequence[EvaluationQuestion], measure: Measure) -> tuple[str, ...]:
    """What a person should know of the question set before trusting what comes of it."""
    notes = []
    count = gold_count(questions, measure)
    if count < FEW_QUESTIONS:
        notes.append(
            f"{count} questions have {measure.needs}: too few to trust what comes of it, "
            f"give {FEW_QUESTIONS} or more"
        )
    if measure.name in OF_RANKING:
        notes.append(
            f"{measure.name} does not see what is sent, so only the finding is tuned: give the "
            "questions answers or spans to tune the context too"
        )
    return tuple(notes)


def _folder(plan: TuningPlan, settings: Settings, documents: Sequence[DocumentOut]) -> Path:
    """Where the records and indexes of this tuning are while it is not done."""
    name = fingerprint_of(settings_of(settings), documents)[:8]
    return settings.data_dir / FOLDER / f"{plan.question_file.stem}-{settings.collection}-{name}"


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Both, the second before the first, group by group."""
    both = dict(first)
    for name, value in second.items():
        mine = both.get(name)
        both[name] = _merged(mine, value) if isinstance(mine, dict) else value
    return both
