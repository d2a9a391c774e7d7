"""The measures of an evaluation: what each observes of a question, and how a set of them is told.

A measure observes a row of numbers for a question, or None where the gold does not let it: then the
question is left out, and never counted as zero. Its figure is a function of all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from evaluation.measures import observing
from evaluation.measures.confidence import Rows, auroc, expected_calibration_error
from evaluation.measures.observing import Observation, Observe
from evaluation.measures.ranking import ndcg, recall, reciprocal_rank
from evaluation.measures.wording import exact_match, token_f1
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record

Unit = Literal["share", "tokens", "ms", "usd"]
Better = Literal["higher", "lower", "neither"]
Figure = Callable[[Rows], float | None]


def mean(rows: Rows) -> float | None:
    """The mean of the first column; None of nothing."""
    return float(rows[:, 0].mean()) if len(rows) else None


def quantile(share: float) -> Figure:
    """The value of the first column that this share of the rows does not exceed."""
    return lambda rows: float(np.quantile(rows[:, 0], share)) if len(rows) else None


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure. `meaning` is a sentence; `needs` is what a question must have to be observed."""

    name: str
    meaning: str
    needs: str
    observe: Observe
    figure: Figure = mean
    unit: Unit = "share"
    better: Better = "higher"


def measures_for(timings: Iterable[Mapping[str, float]]) -> list[Measure]:
    """All measures: the fixed ones, then one for each stage that has milliseconds in `timings`."""
    stages = dict.fromkeys(stage for ms in timings for stage in ms)
    return [*MEASURES, *map(_stage_time, stages)]


def observe(
    measure: Measure, questions: Sequence[EvaluationQuestion], records: Sequence[Record]
) -> dict[str, Observation]:
    """By question, what the measure observes; questions without the gold for it are left out."""
    pairs = zip(questions, records, strict=True)
    seen = {question.question_id: measure.observe(question, record) for question, record in pairs}
    return {name: row for name, row in seen.items() if row is not None}


def value(
    name: str, questions: Sequence[EvaluationQuestion], records: Sequence[Record]
) -> float | None:
    """The figure of the measure of this name, without its interval; None where gold is missing."""
    [measure] = [one for one in measures_for(r.ms for r in records) if one.name == name]
    return measure.figure(as_rows(list(observe(measure, questions, records).values())))


def as_rows(rows: Sequence[Observation]) -> Rows:
    """Observations as an array of shape `[n, columns]`."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), -1) if rows else np.empty((0, 2))


def _stage_time(stage: str) -> Measure:
    def observed(question: EvaluationQuestion, record: Record) -> Observation | None:
        return (record.ms[stage],) if stage in record.ms else None

    return Measure(
        f"{stage} ms, median",
        f"Milliseconds that half of the questions do not exceed in the stage {stage}.",
        "a timed answer",
        observed,
        quantile(0.5),
        "ms",
        "lower",
    )


CALIBRATION = Measure(
    "calibration error",
    "Mean distance between confidence and share right, over ten bins (ECE).",
    "an answer that is known to be right or wrong",
    observing.right_by_confidence,
    expected_calibration_error,
    better="lower",
)

MEASURES = (
    Measure(
        "nDCG@10",
        "How near to the top the gold documents stand among the first ten.",
        "gold documents",
        observing.of_ranking(partial(ndcg, depth=10)),
    ),
    Measure(
        "recall@5",
        "Share of the gold documents among the first five.",
        "gold documents",
        observing.of_ranking(partial(recall, depth=5)),
    ),
    Measure(
        "recall@10",
        "Share of the gold documents among the first ten.",
        "gold documents",
        observing.of_ranking(partial(recall, depth=10)),
    ),
    Measure(
        "MRR",
        "One over the rank of the first gold document.",
        "gold documents",
        observing.of_ranking(reciprocal_rank),
    ),
    Measure(
        "span recall",
        "Share of the characters of the gold spans that are in the context.",
        "gold spans",
        observing.span_recall,
    ),
    Measure(
        "answer retained",
        "Share of contexts in which a reference answer stands.",
        "reference answers",
        observing.retained,
    ),
    Measure(
        "context tokens",
        "Tokens of context for a question.",
        "nothing",
        observing.context_tokens,
        unit="tokens",
        better="lower",
    ),
    Measure(
        "answered",
        "Share of the answerable questions that are answered.",
        "gold that makes it answerable",
        observing.answered,
    ),
    Measure(
        "refused rightly",
        "Share of the unanswerable questions that are refused.",
        "the mark that it is not answerable",
        observing.refused,
    ),
    Measure(
        "right when answered",
        "Share of the answers given that hold a reference answer or cite a gold span.",
        "an answer that is known to be right or wrong",
        observing.right,
    ),
    Measure(
        "token F1",
        "Overlap of the words of answer and reference; a refusal has none.",
        "reference answers",
        observing.of_answer(token_f1),
    ),
    Measure(
        "exact match",
        "Share of answers that are a reference answer, word for word.",
        "reference answers",
        observing.of_answer(exact_match),
    ),
    Measure(
        "citation precision",
        "Share of the citations that touch a gold span, or come from a gold document.",
        "gold spans or documents, and an answer",
        observing.citation_precision,
    ),
    Measure(
        "abstention AUROC",
        "How often an answerable question has more confidence than an unanswerable one.",
        "answerable and unanswerable questions",
        observing.answerable_by_confidence,
        auroc,
    ),
    Measure(
        "right or wrong AUROC",
        "How often a right answer has more confidence than a wrong one.",
        "right and wrong answers",
        observing.right_by_confidence,
        auroc,
    ),
    CALIBRATION,
    Measure(
        "cost",
        "Dollars for an answer.",
        "a known price",
        observing.usd,
        unit="usd",
        better="lower",
    ),
    Measure(
        "baseline cost",
        "Dollars that the naive way would have cost.",
        "a known price",
        observing.baseline_usd,
        unit="usd",
        better="neither",
    ),
    Measure(
        "total ms, median",
        "Milliseconds that half of the answers do not exceed.",
        "a timed answer",
        observing.total_ms,
        quantile(0.5),
        "ms",
        "lower",
    ),
    Measure(
        "total ms, 95%",
        "Milliseconds that 95 of 100 answers do not exceed.",
        "a timed answer",
        observing.total_ms,
        quantile(0.95),
        "ms",
        "lower",
    ),
)
