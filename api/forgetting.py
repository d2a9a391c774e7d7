"""What is left of a conversation, and how all of it is deleted, with proof."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Engine, Table, delete, func, select, update

from api.conversing import Pseudonyms
from api.keys.reach import EVERYTHING, Reach
from api.settings import Settings
from api.state.opening import open_state
from generation.distilling.tables import LESSONS
from generation.money.tables import ANSWERS
from generation.reuse.tables import KEPT_ANSWERS
from rag.turns import mark_of
from retrieval.conversations.tables import TURNS

_AT_ONCE = 500  # names in one query
_WORDED: tuple[tuple[str, Table, Column[str]], ...] = (
    ("turns", TURNS, TURNS.c.answer_id),
    ("kept_answers", KEPT_ANSWERS, KEPT_ANSWERS.c.entry_id),
    ("lessons", LESSONS, LESSONS.c.answer_id),
)
"""Where words of a conversation stand, by what the proof calls it."""


@dataclass(frozen=True, slots=True)
class ForgottenConversation:
    """Proof that a conversation is gone: what was there before, and what is there after.

    `before` and `after` count by where words of it can stand. `answers_unlinked` are the answers of
    the ledger, which hold no words, that can no longer be told to be of this conversation.
    """

    before: dict[str, int]
    after: dict[str, int]
    answers_unlinked: int


def forget_conversation(
    state: Engine, conversation_id: str, tenant: str | None = None, reach: Reach = EVERYTHING
) -> ForgottenConversation:
    """Delete all words of a conversation within `reach`; a `tenant` of None is any.

    Money that was spent stays in the ledger. Answers stay one conversation there, under a mark that
    nothing leads to. Raises StateError.
    """
    pseudonyms = Pseudonyms(state)
    before, after, unlinked = Counter[str](), Counter[str](), 0
    for one in _tenants(state) if tenant is None else [tenant]:
        mark = mark_of(pseudonyms.of(one, conversation_id))
        with state.begin() as connection:
            answers = _answers_of(connection, mark, reach)
            before += _counts(connection, answers)
            _delete(connection, answers)
            unlinked += _unlink(connection, answers)
        with state.connect() as connection:  # looked at anew, as anybody would find it
            left = sorted({*answers, *_answers_of(connection, mark, reach)})
            after += _counts(connection, left)
    return ForgottenConversation(_told(before), _told(after), unlinked)


def opened_forget_conversation(settings: Settings, conversation_id: str) -> ForgottenConversation:
    """As `forget_conversation`, in the state that the settings name."""
    state = open_state(settings.data_dir, settings.state_url)
    try:
        return forget_conversation(state, conversation_id)
    finally:
        state.dispose()


def _tenants(state: Engine) -> list[str]:
    """Whoever asked; the operator has no name."""
    with state.connect() as connection:
        named = select(TURNS.c.tenant).union(select(ANSWERS.c.tenant))
        return sorted({"", *connection.scalars(named)})


def _answers_of(connection: Connection, mark: str, reach: Reach) -> list[str]:
    """The ids of the answers of a conversation, those that have expired as turns included."""
    found: set[str] = set()
    for table in (TURNS, ANSWERS):
        is_within = reach.within(table.c.collection)
        query = select(table.c.answer_id).where(table.c.conversation == mark, is_within)
        found |= set(connection.scalars(query))
    return sorted(found)


def _delete(connection: Connection, answers: Sequence[str]) -> None:
    for _, table, column in _WORDED:
        for some in _parts(answers):
            connection.execute(delete(table).where(column.in_(some)))


def _unlink(connection: Connection, answers: Sequence[str]) -> int:
    """Give the answers in the ledger another mark, the same for all; gives how many there are."""
    unlinked, new_mark = 0, secrets.token_hex(8)
    for some in _parts(answers):
        ours = update(ANSWERS).where(ANSWERS.c.answer_id.in_(some))
        unlinked += connection.execute(ours.values(conversation=new_mark)).rowcount
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


def _parts(answers: Sequence[str]) -> list[Sequence[str]]:
    return [answers[first : first + _AT_ONCE] for first in range(0, len(answers), _AT_ONCE)]
