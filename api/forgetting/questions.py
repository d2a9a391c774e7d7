"""The words of questions that the dashboard shows, and how they are deleted."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Engine

from api.audit.log import Deed, note
from api.keys.reach import By
from generation.money.tables import ANSWERS
from generation.overview.asked import forget_asked


def forget_questions(state: Engine, answer_ids: Sequence[str] | None, by: By) -> int:
    """Delete the words of questions that are kept for the dashboard; gives how many there were.

    Of these answers within reach, None being all. Raises StateError.
    """
    which: list[ColumnElement[bool]]
    which = [] if answer_ids is None else [ANSWERS.c.answer_id.in_(answer_ids)]
    if by.reach.tenant is not None:
        which += [ANSWERS.c.tenant == by.reach.tenant, by.reach.within(ANSWERS.c.collection)]
    with state.begin() as connection:
        count = forget_asked(connection, *which)
        if count:
            note(
                connection,
                Deed(by.actor, by.tenant or "", "question.forget", f"questions: {count}"),
            )
    return count
