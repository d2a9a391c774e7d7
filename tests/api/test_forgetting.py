"""Words of conversations and visitors, deleted in both states."""

from __future__ import annotations

from itertools import count

from sqlalchemy import Engine, select
from test_retention import put

from api.assembly.conversing import Pseudonyms
from api.audit.log import AuditLog
from api.forgetting.people import forget_conversation, forget_visitor
from api.keys.reach import By, Reach
from generation.distilling.tables import LESSONS
from generation.money.tables import ANSWERS
from generation.reuse.tables import KEPT_ANSWERS
from rag.turns import mark_of
from retrieval.conversations.tables import TURNS

ANN = "a" * 32
_numbers = count()


def answered(
    state: Engine,
    tenant: str = "",
    visitor: str | None = None,
    conversation: str | None = None,
    collection: str = "help",
) -> str:
    """An answer with all the words that can be kept of it; gives its id."""
    inside = Pseudonyms(state)
    answer = f"ans_{next(_numbers)}"
    talk = None if conversation is None else mark_of(inside.of(tenant, conversation))
    name = None if visitor is None else mark_of(inside.of_visitor(tenant, visitor))
    own = {"tenant": tenant, "collection": collection}
    put(state, ANSWERS, 1, answer_id=answer, visitor=name, conversation=talk, **own)
    put(state, KEPT_ANSWERS, 1, entry_id=answer, **own)
    put(state, LESSONS, 1, answer_id=answer, **own)
    if talk is not None:
        put(state, TURNS, 1, answer_id=answer, conversation=talk, **own)
    return answer


def left(state: Engine) -> set[str]:
    """The answers of which any words are left; each has all that it had."""
    found = []
    with state.connect() as connection:
        for column in (KEPT_ANSWERS.c.entry_id, LESSONS.c.answer_id):
            found.append(set(connection.scalars(select(column))))
    assert found[0] == found[1]
    return found[0]


def test_of_a_visitor_every_question_and_whole_conversations_go(state_engine: Engine) -> None:
    for number in range(600):  # more than one statement takes
        answered(state_engine, visitor=ANN, conversation=f"c{number % 2}")
    answered(state_engine, visitor=ANN)
    answered(state_engine, conversation="c0")
    others = {
        answered(state_engine, visitor="b" * 32),
        answered(state_engine, conversation="c2"),
        answered(state_engine),
        answered(state_engine, "acme", visitor=ANN, conversation="c0"),
    }
    mine = By("root", "", Reach(None))
    proof = forget_visitor(state_engine, ANN, mine)
    assert proof.before == {
        "turns": 601,
        "kept_answers": 602,
        "lessons": 602,
        "corrections": 0,
        "dashboard_questions": 0,
    }
    assert proof.after == dict.fromkeys(proof.before, 0)
    assert proof.answers_unlinked == 602
    assert left(state_engine) == others
    with state_engine.connect() as connection:
        query = select(ANSWERS.c.conversation).where(ANSWERS.c.visitor.is_(None))
        conversations = set(connection.scalars(query)) - {None}
    assert len(conversations) == 3, "the two that are gone stay apart"
    assert forget_conversation(state_engine, "c0", mine).answers_unlinked == 0


def test_the_command_line_forgets_a_visitor_at_every_tenant(state_engine: Engine) -> None:
    for tenant in ("", "acme", "bolt"):
        answered(state_engine, tenant, visitor=ANN)
    assert forget_visitor(state_engine, ANN).answers_unlinked == 3
    assert left(state_engine) == set()
    noted = [entry.deed for entry in AuditLog(state_engine).entries(None, 10)]
    assert [one.tenant for one in noted] == ["bolt", "acme", ""]
    assert {one.object for one in noted} == {
        "turns: 0, kept answers: 1, lessons: 1, corrections: 0, dashboard questions: 0, answers: 1"
    }
    forget_visitor(state_engine, ANN)
    assert len(AuditLog(state_engine).entries(None, 10)) == 3, "nothing was done"


def test_what_is_out_of_reach_stays(state_engine: Engine) -> None:
    own = answered(state_engine, "acme", ANN, "c1", "acme:help")
    other = answered(state_engine, "acme", ANN, "c1", "acme:faq")
    by = By("desk", "acme", Reach("acme", ("help",)))
    assert forget_conversation(state_engine, "c1", by).answers_unlinked == 1
    assert left(state_engine) == {other}
    assert own not in left(state_engine)
    assert (
        forget_visitor(state_engine, ANN, By("acme", "acme", Reach("acme"))).before["lessons"] == 1
    )
