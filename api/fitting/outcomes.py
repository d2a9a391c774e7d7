"""Outcomes as they are fitted on: what people judged, with what the service knew of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Engine, bindparam, select

from api.models.outcomes import OutcomeIn
from api.models.rows import read_rows
from api.settings import Settings
from api.state.opening import open_state
from generation.deciding.feedback import Feedback
from generation.money.amounts import to_usd
from generation.money.tables import ANSWERS
from rag.errors import InputError
from rag.types import Tier

_AT_ONCE = 500
_BY_ID = select(ANSWERS).where(ANSWERS.c.answer_id.in_(bindparam("ids", expanding=True)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """An answer of a tier and whether it was right.

    `question` is empty where it is not known, `confidence` and `usd` None.
    """

    question: str
    collection: str
    tier: Tier
    is_right: bool
    confidence: float | None
    signals: Mapping[str, float]
    usd: Decimal | None


def opened_outcomes(path: Path | None, settings: Settings) -> list[Outcome]:
    """As `read_outcomes`, from the state that the settings name; None takes the feedback in it."""
    state = open_state(settings.data_dir, settings.state_url)
    try:
        if path is None:
            return _of_feedback(state)
        return read_outcomes(path, settings.collection, state)
    finally:
        state.dispose()


def read_outcomes(path: Path, collection: str, state: Engine) -> list[Outcome]:
    """The outcomes in a JSONL file; `collection` is that of rows that name none.

    Answers are looked up in `state`; those that were given again are left out, since nothing was
    decided anew. Raises InputError, naming the row, and StateError.
    """
    rows = read_rows(path, OutcomeIn)
    if not rows:
        raise InputError(
            f"{path.name} has no rows: write one outcome a line, such as "
            '{"answer_id": "ans_…", "right": true}'
        )
    known = _answers([row.answer_id for _, row in rows if row.answer_id is not None], state)
    found = [_outcome(path, number, row, collection, known) for number, row in rows]
    return [one for one in found if one.tier != "cache"]


def _of_feedback(state: Engine) -> list[Outcome]:
    verdicts = Feedback(state).verdicts()
    if not verdicts:
        raise InputError(
            "nobody has said of an answer whether it is right: send verdicts to /v1/feedback, or "
            "give a file of outcomes"
        )
    known = _answers(list(verdicts), state)
    return [
        Outcome("", one.collection, one.tier, verdicts[name], one.confidence, one.signals, one.usd)
        for name, one in known.items()
        if one.tier != "cache"
    ]


@dataclass(frozen=True, slots=True)
class _Recorded:
    tier: Tier
    collection: str
    confidence: float
    signals: Mapping[str, float]
    usd: Decimal | None


def _answers(ids: Sequence[str], state: Engine) -> dict[str, _Recorded]:
    found: dict[str, _Recorded] = {}
    with state.connect() as connection:
        for first in range(0, len(ids), _AT_ONCE):
            for row in connection.execute(_BY_ID, {"ids": ids[first : first + _AT_ONCE]}):
                spent = row.spent_pico_usd
                found[row.answer_id] = _Recorded(
                    row.tier,
                    row.collection,
                    row.confidence,
                    json.loads(row.signals or "{}"),
                    None if spent is None else to_usd(spent),
                )
    return found


def _outcome(
    path: Path, number: int, row: OutcomeIn, collection: str, known: Mapping[str, _Recorded]
) -> Outcome:
    if row.answer_id is None:
        assert row.question is not None
        assert row.tier is not None
        return Outcome(
            question=row.question,
            collection=row.collection or collection,
            tier=row.tier,
            is_right=row.right,
            confidence=row.confidence,
            signals=row.signals,
            usd=row.usd,
        )
    recorded = known.get(row.answer_id)
    if recorded is None:
        raise InputError(
            f"{path.name}, row {number}: no answer of this service has the id {row.answer_id!r}: "
            "take the ids from its answers, or give question and tier instead"
        )
    return Outcome(
        question=row.question or "",
        collection=recorded.collection,
        tier=recorded.tier,
        is_right=row.right,
        confidence=recorded.confidence,
        signals=recorded.signals,
        usd=recorded.usd,
    )
