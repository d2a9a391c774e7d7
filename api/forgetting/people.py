"""What is left of a conversation or of a visitor, and how all of it is deleted, with proof."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    CompoundSelect,
    Connection,
    Engine,
    Select,
    Table,
    delete,
    func,
    select,
    union,
    update,
)

from api.assembly.conversing import Pseudonyms
from api.audit.log import Action, Deed, note
from api.keys.reach import BY_COMMAND_LINE, By, Reach
from api.settings import Settings
from api.state.opening import open_state
from generation.deciding.corrections import CORRECTIONS
from generation.distilling.tables import LESSONS
from generation.money.tables import ANSWERS
from generation.overview.asked import ASKED_QUESTIONS
from generation.reuse.tables import KEPT_ANSWERS
from rag.turns import mark_of
from retrieval.conversations.tables import TURNS

_AT_ONCE = 500  # names in one query
_WORDED: tuple[tuple[str, Table, Column[str]], ...] = (
    ("turns", TURNS, TURNS.c.answer_id),
    ("kept_answers", KEPT_ANSWERS, KEPT_ANSWERS.c.entry_id),
    ("lessons", LESSONS, LESSONS.c.answer_id),
    ("corrections", CORRECTIONS, CORRECTIONS.c.answer_id),
    ("dashboard_questions", ASKED_QUESTIONS, ASKED_QUESTIONS.c.answer_id),
)
"""Where words of people stand, by what the proof calls it."""


Asked = Callable[[Pseudonyms, str, Reach], CompoundSelect[Any]]
"""Of a tenant and within a reach: the query for the ids of the answers that go."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Proof that words are gone: what was there before, and what is there after.

    `before` and `after` count by where words can stand. `answers_unlinked` are the answers of the
    ledger, which hold no words, that can no longer be told to be of this conversation or visitor.
    """

    before: dict[str, int]
    after: dict[str, int]
    answers_unlinked: int


def forget_conversation(state: Engine, conversation_id: str, by: By = BY_COMMAND_LINE) -> Forgotten:
    """Delete all words of a conversation.

    Money that was spent stays in the ledger. Answers stay one conversation there, under a mark that
    nothing leads to. What was forgotten stands in the audit log, without the id. Raises StateError.
    """
    return _forget(state, partial(_asked_in, conversation_id), "conversation.forget", by)


def forget_visitor(state: Engine, visitor: str, by: By = BY_COMMAND_LINE) -> Forgotten:
    """As `forget_conversation`, of all that a visitor asked, conversations as a whole."""
    return _forget(state, partial(_asked_by, visitor), "visitor.forget", by)


def opened_forget(
    settings: Settings, forget: Callable[[Engine, str], Forgotten], name: str
) -> Forgotten:
    """What one of the above does for the command line, in the state that the settings name."""
    state = open_state(settings.data_dir, settings.state_url)
    try:
        return forget(state, name)
    finally:
        state.dispose()


def _asked_in(
    conversation_id: str, pseudonyms: Pseudonyms, tenant: str, reach: Reach
) -> CompoundSelect[Any]:
    """The answers of a conversation, those that have expired as turns included."""
    mark = mark_of(pseudonyms.of(tenant, conversation_id))
    return union(*_of_conversations(lambda column: column == mark, reach))


def _asked_by(
    visitor: str, pseudonyms: Pseudonyms, tenant: str, reach: Reach
) -> CompoundSelect[Any]:
    """The answers to a visitor, and all of the conversations that they are part of."""
    theirs = ANSWERS.c.visitor == mark_of(pseudonyms.of_visitor(tenant, visitor))
    marks = select(ANSWERS.c.conversation).where(theirs, ANSWERS.c.conversation.is_not(None))
    alone = select(ANSWERS.c.answer_id).where(theirs, reach.within(ANSWERS.c.collection))
    return union(alone, *_of_conversations(lambda column: column.in_(marks), reach))


def _of_conversations(
    is_of: Callable[[Column[str]], ColumnElement[bool]], reach: Reach
) -> list[Select[Any]]:
    return [
        select(table.c.answer_id).where(
            is_of(table.c.conversation), reach.within(table.c.collection)
        )
        for table in (TURNS, ANSWERS)
    ]


def _forget(state: Engine, asked: Asked, action: Action, by: By) -> Forgotten:
    pseudonyms = Pseudonyms(state)
    before, after, unlinked = Counter[str](), Counter[str](), 0
    for tenant in _tenants(state) if by.tenant is None else [by.tenant]:
        query = asked(pseudonyms, tenant, by.reach)
        with state.begin() as connection:
            answers = sorted(connection.scalars(query))
            there = _counts(connection, answers)
            _delete(connection, answers)
            gone = _unlink(connection, answers)
            if answers:
                note(connection, Deed(by.actor, tenant, action, _shown(there, gone)))
        before += there
        unlinked += gone
        with state.connect() as connection:  # looked at anew, as anybody would find it
            left = sorted({*answers, *connection.scalars(query)})
            after += _counts(connection, left)
    return Forgotten(_told(before), _told(after), unlinked)


def _tenants(state: Engine) -> list[str]:
    """Whoever asked; the operator has no name."""
    with state.connect() as connection:
        named = select(TURNS.c.tenant).union(select(ANSWERS.c.tenant))
        return sorted({"", *connection.scalars(named)})


def _delete(connection: Connection, answers: Sequence[str]) -> None:
    for _, table, column in _WORDED:
        for some in _parts(answers):
            connection.execute(delete(table).where(column.in_(some)))


def _unlink(connection: Connection, answers: Sequence[str]) -> int:
    """Let nothing lead to the answers in the ledger any more; gives how many there are.

    Those of one conversation stay so, under another mark.
    """
    unlinked = 0
    new_marks = defaultdict[str, str](lambda: secrets.token_hex(8))
    for some in _parts(answers):
        ours = ANSWERS.c.answer_id.in_(some)
        marks = select(ANSWERS.c.conversation).where(ours, ANSWERS.c.conversation.is_not(None))
        for mark in connection.scalars(marks.distinct()).all():
            of_one = update(ANSWERS).where(ours, ANSWERS.c.conversation == mark)
            connection.execute(of_one.values(conversation=new_marks[mark]))
        unlinked += connection.execute(update(ANSWERS).where(ours).values(visitor=None)).rowcount
    return unlinked


def _counts(connection: Connection, answers: Sequence[str]) -> Counter[str]:
    counts = Counter[str]()
    for name, table, column in _WORDED:
        for some in _parts(answers):
            query = select(func.count()).select_from(table).where(column.in_(some))
            counts[name] += connection.scalar(query) or 0
    return counts


def _told(counts: Counter[str]) -> dict[str, int]:
    return {name: counts[name] for name, *_ in _WORDED}


def _shown(counts: Counter[str], unlinked: int) -> str:
    told = {name.replace("_", " "): count for name, count in _told(counts).items()}
    return ", ".join(f"{name}: {count}" for name, count in (told | {"answers": unlinked}).items())


def _parts(answers: Sequence[str]) -> list[Sequence[str]]:
    return [answers[first : first + _AT_ONCE] for first in range(0, len(answers), _AT_ONCE)]
