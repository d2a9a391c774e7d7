"""The report of an evaluation: figures with intervals, and every question with what was observed.

It is made of questions and records alone, and read again to be compared with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError

from evaluation.measures.confidence import ReliabilityBin, TradeOffPoint, reliability, trade_off
from evaluation.measures.judging import fault_of, is_right
from evaluation.measures.observing import Observation
from evaluation.measures.table import CALIBRATION, as_rows, measures_for, observe
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record
from evaluation.statistics import Difference, Measurement, compare, measure_set
from rag.errors import InputError
from rag.types import Status, Tier

FORMAT = 1


@dataclass(frozen=True, slots=True)
class About:
    """What was evaluated. `settings` are those that can change an answer, secrets hidden."""

    question_file: str
    collection: str
    documents: int
    fingerprint: str
    version: str
    finished_at: str
    seed: int
    settings: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Row:
    """One question. `observed` holds what each measure saw of it, by the measure's name.

    `fault` says what went wrong and `fault_rank` how badly, least the worst; both None for nothing.
    """

    question_id: str
    question: str
    status: Status
    tier: Tier
    confidence: float
    right: bool | None
    context_tokens: int
    usd: Decimal | None
    baseline_usd: Decimal | None
    ms: dict[str, float]
    observed: dict[str, Observation]
    fault: str | None
    fault_rank: int | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """This run minus an earlier one, over the questions that are in both.

    `changed_settings` are the settings that differ, each as (earlier, now).
    """

    against: str
    in_both: int
    changed_settings: dict[str, tuple[JsonValue, JsonValue]]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """One evaluation. `unmeasured` are the measures that lack gold, and what they need."""

    format: int
    about: About
    measurements: tuple[Measurement, ...]
    unmeasured: dict[str, str]
    reliability: tuple[ReliabilityBin, ...]
    trade_off: tuple[TradeOffPoint, ...]
    rows: tuple[Row, ...]
    comparison: Comparison | None = None

    def worst(self, most: int) -> list[Row]:
        """The questions that went wrong, worst first, the most confident first among equals."""
        wrong = [row for row in self.rows if row.fault is not None]
        return sorted(wrong, key=lambda row: (row.fault_rank or 0, -row.confidence))[:most]


def make_report(
    about: About, questions: Sequence[EvaluationQuestion], records: Sequence[Record]
) -> Report:
    """The report; `records[i]` is of `questions[i]`."""
    measures = measures_for(record.ms for record in records)
    observed = {one.name: observe(one, questions, records) for one in measures}
    figures = [measure_set(one, list(observed[one.name].values()), about.seed) for one in measures]
    judged = as_rows(list(observed[CALIBRATION.name].values()))
    return Report(
        format=FORMAT,
        about=about,
        measurements=tuple(one for one in figures if one.value is not None),
        unmeasured={
            measure.name: measure.needs
            for measure, one in zip(measures, figures, strict=True)
            if one.value is None
        },
        reliability=tuple(reliability(judged)),
        trade_off=tuple(trade_off(judged, _judged_or_refused(questions, records))),
        rows=tuple(
            _row(question, record, observed)
            for question, record in zip(questions, records, strict=True)
        ),
    )


def compare_reports(report: Report, earlier: Report, against: str) -> Comparison:
    """`report` minus `earlier`, measure by measure, over the questions that are in both.

    A question is the same when its id and its text are. Raises InputError when none is in both.
    """
    before = {(row.question_id, row.question): row.observed for row in earlier.rows}
    pairs = [
        (row.observed, before[key])
        for row in report.rows
        if (key := (row.question_id, row.question)) in before
    ]
    if not pairs:
        raise InputError(
            f"{against} has none of the {len(report.rows):,} questions: compare with a report of "
            "the same question set"
        )
    differences = []
    for measure in measures_for(row.ms for row in report.rows):
        both = [
            (now[measure.name], then[measure.name])
            for now, then in pairs
            if measure.name in now and measure.name in then
        ]
        if both:
            first, second = zip(*both, strict=True)
            differences.append(compare(measure, first, second, report.about.seed))
    changed = _changed(earlier.about.settings, report.about.settings)
    return Comparison(against, len(pairs), changed, tuple(differences))


def report_as_json(report: Report) -> str:
    """The report as a JSON document."""
    return TypeAdapter(Report).dump_json(report, indent=1).decode()


def read_report(path: Path) -> Report:
    """The report in a file, or in a folder that `rag evaluate` has written. Raises InputError."""
    file = path / "report.json" if path.is_dir() else path
    try:
        return TypeAdapter(Report).validate_json(file.read_bytes())
    except OSError as error:
        raise InputError(
            f"{file} cannot be read ({error.strerror}): give the report.json of an evaluation"
        ) from None
    except ValidationError:
        raise InputError(
            f"{file} is no report of this version of `rag evaluate`: evaluate again, and give "
            "that report.json"
        ) from None


def _judged_or_refused(questions: Sequence[EvaluationQuestion], records: Sequence[Record]) -> int:
    """How many questions were refused, or answered in a way that is known to be right or wrong."""
    pairs = zip(questions, records, strict=True)
    return sum(
        not record.is_answered or is_right(asked, record) is not None for asked, record in pairs
    )


def _row(
    question: EvaluationQuestion, record: Record, observed: Mapping[str, Mapping[str, Observation]]
) -> Row:
    fault = fault_of(question, record)
    name = question.question_id
    return Row(
        question_id=name,
        question=question.text,
        status=record.status,
        tier=record.tier,
        confidence=record.confidence,
        right=is_right(question, record),
        context_tokens=record.context_tokens,
        usd=record.usd,
        baseline_usd=record.baseline_usd,
        ms=record.ms,
        observed={measure: seen[name] for measure, seen in observed.items() if name in seen},
        fault=None if fault is None else fault.why,
        fault_rank=None if fault is None else fault.rank,
    )


def _changed(
    before: Mapping[str, JsonValue], now: Mapping[str, JsonValue], prefix: str = ""
) -> dict[str, tuple[JsonValue, JsonValue]]:
    """The settings that differ, by their dotted names."""
    changed: dict[str, tuple[JsonValue, JsonValue]] = {}
    for name in dict.fromkeys([*before, *now]):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            changed |= _changed(old, new, f"{prefix}{name}.")
        elif old != new:
            changed[f"{prefix}{name}"] = (old, new)
    return changed
