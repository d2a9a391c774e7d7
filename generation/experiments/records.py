"""What the answers of each arm cost and what was said of them, read out of the state.

What happens within a conversation goes together, since one person asks. So of each conversation the
first verdict and the first use count, and costs are spread by conversation; an answer outside
conversations is one of its own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Float, Row, Select, bindparam, cast, func, select

from generation.deciding.feedback import FEEDBACK, Use
from generation.experiments.assignment import Experiment
from generation.experiments.sequential import Moments
from generation.money.tables import ANSWERS

_PICO = 1e12
_OF_ARMS = ANSWERS.c.arm.in_(bindparam("labels", expanding=True))
_CONVERSATION = func.coalesce(ANSWERS.c.conversation, ANSWERS.c.answer_id)
_COUNTS: Select[Any] = (
    select(
        ANSWERS.c.arm,
        ANSWERS.c.tier,
        ANSWERS.c.status,
        func.count().label("answers"),
        func.count(ANSWERS.c.spent_pico_usd).label("priced"),
        func.sum(ANSWERS.c.ms).label("ms"),
        func.min(ANSWERS.c.at).label("first_at"),
    )
    .where(_OF_ARMS)
    .group_by(ANSWERS.c.arm, ANSWERS.c.tier, ANSWERS.c.status)
)
_SPENT = (
    select(
        ANSWERS.c.arm,
        func.count().label("answers"),
        func.sum(cast(ANSWERS.c.spent_pico_usd, Float) / _PICO).label("usd"),
    )
    .where(_OF_ARMS, ANSWERS.c.spent_pico_usd.is_not(None))
    .group_by(ANSWERS.c.arm, _CONVERSATION)
    .subquery()
)
_COSTS: Select[Any] = select(
    _SPENT.c.arm,
    func.count().label("conversations"),
    func.sum(_SPENT.c.answers).label("answers"),
    func.sum(_SPENT.c.usd).label("usd"),
    func.sum(_SPENT.c.usd * _SPENT.c.usd).label("usd_squares"),
    func.sum(_SPENT.c.usd * _SPENT.c.answers).label("usd_answers"),
    func.sum(_SPENT.c.answers * _SPENT.c.answers).label("answers_squares"),
).group_by(_SPENT.c.arm)
_SAID: Select[Any] = (
    select(
        ANSWERS.c.arm,
        _CONVERSATION.label("conversation"),
        FEEDBACK.c.answer_id,
        FEEDBACK.c.is_right,
        FEEDBACK.c.at,
        FEEDBACK.c.use,
        FEEDBACK.c.used_at,
    )
    .join(FEEDBACK, FEEDBACK.c.answer_id == ANSWERS.c.answer_id)
    .where(_OF_ARMS)
)


@dataclass(frozen=True, slots=True)
class ArmRecord:
    """What is known of an arm.

    Of `answers` the cost of `priced` is known: `cost` is the mean dollars of one, and how it varies
    among conversations. `ms` is the mean time of an answer, None before there is one. `tiers` and
    `statuses` count answers. `verdicts` tell whether answers were right, and `uses` what became of
    them, one of each conversation, in the order in which they were told. `began` is the time of its
    first answer.
    """

    arm: str
    answers: int
    priced: int
    cost: Moments
    ms: float | None
    tiers: Mapping[str, int]
    statuses: Mapping[str, int]
    verdicts: tuple[bool, ...]
    uses: tuple[Use, ...]
    began: datetime | None


def read_records(engine: Engine, experiment: Experiment) -> list[ArmRecord]:
    """The record of each arm, in their order. Raises StateError."""
    arms = {experiment.label(arm.name): arm.name for arm in experiment.arms}
    with engine.connect() as connection:
        counts, costs, said = (
            connection.execute(query, {"labels": list(arms)}).all()
            for query in (_COUNTS, _COSTS, _SAID)
        )
    cost_of = {row.arm: _cost(row) for row in costs}
    return [
        _record(
            name,
            [row for row in counts if row.arm == label],
            cost_of.get(label, Moments(0, 0.0, 0.0)),
            [row for row in said if row.arm == label],
        )
        for label, name in arms.items()
    ]


def _record(
    arm: str, counts: Sequence[Row[Any]], cost: Moments, said: Sequence[Row[Any]]
) -> ArmRecord:
    tiers: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for row in counts:
        tiers[row.tier] += row.answers
        statuses[row.status] += row.answers
    answers = sum(row.answers for row in counts)
    judged = [(row.at, row.answer_id, row.conversation, row.is_right) for row in said]
    used = [(row.used_at, row.answer_id, row.conversation, row.use) for row in said]
    return ArmRecord(
        arm=arm,
        answers=answers,
        priced=sum(row.priced for row in counts),
        cost=cost,
        ms=sum(row.ms for row in counts) / answers if answers else None,
        tiers=dict(tiers),
        statuses=dict(statuses),
        verdicts=_first_of_each(judged),
        uses=_first_of_each(used),
        began=min((datetime.fromisoformat(row.first_at) for row in counts), default=None),
    )


def _cost(sums: Row[Any]) -> Moments:
    """That of an answer; the variance is such that, over the count, it is that of the mean."""
    count, answers = sums.conversations, float(sums.answers)
    mean = sums.usd / answers
    squares = (
        sums.usd_squares - 2 * mean * sums.usd_answers + mean * mean * float(sums.answers_squares)
    )
    per_conversation = answers / count
    variance = max(squares, 0.0) / max(count - 1, 1) / per_conversation**2
    return Moments(count, mean, variance)


def _first_of_each(told: Iterable[tuple[Any, ...]]) -> tuple[Any, ...]:
    """Of rows of time, answer, conversation and what was told: that, in order, one of each."""
    first: dict[str, Any] = {}
    for _, _, conversation, what in sorted(row for row in told if row[-1] is not None):
        first.setdefault(conversation, what)
    return tuple(first.values())
