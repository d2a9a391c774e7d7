"""Questions that wait for a batch: quoted, sent once, collected, billed to the last pico-dollar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from batch_server import batch_server
from batched import (
    KEEP_DAYS,
    SENTENCE,
    SURE,
    TRUE,
    UNSURE,
    USD,
    Asked,
    kept,
    look_like,
    questions,
)
from priced import check_sums, lines_of, reservations_of
from sqlalchemy import Engine, select, text
from starlette.responses import JSONResponse

from generation.batching.records import BatchRecords
from generation.money.budgets import Walls
from generation.money.ledger import utc_now
from generation.money.tables import ANSWERS
from generation.providers.batch import BatchProgress, BatchResult
from generation.writing.citing import NOT_FOUND
from rag.calls import ModelCall
from rag.errors import (
    ConflictError,
    NotFoundError,
    ProviderBusyError,
    ProviderReplyError,
    ProviderUnavailableError,
)
from rag.types import CostLine

WHO = ("acme", "chat")
_RESTORE = text(
    "UPDATE batch_entries SET waiting = :waiting, given = :given WHERE position = :position"
)
OTHER = "When does the money come to my card?"


@pytest_asyncio.fixture
async def asked(state_engine: Engine, tmp_path: Path) -> AsyncIterator[Asked]:
    async with batch_server() as server:
        made = Asked(state_engine, server, tmp_path)
        yield made
        await made.close()


def recorded(engine: Engine) -> dict[str, str]:
    """The answers in the ledger, with their status."""
    with engine.connect() as connection:
        rows = connection.execute(select(ANSWERS.c.answer_id, ANSWERS.c.status)).all()
    return {row.answer_id: row.status for row in rows}


class Stopped(BaseException):
    """The process is killed here."""


class Endpoint:
    """A batch endpoint that does one thing when it is sent something."""

    provider, model = "openai", "big"

    def __init__(self, error: BaseException) -> None:
        self._error = error
        self.submitted = 0

    async def submit(self, calls: Mapping[str, ModelCall]) -> str:
        self.submitted += 1
        raise self._error

    async def progress(self, batch_id: str) -> BatchProgress:
        raise NotImplementedError

    async def results(
        self, batch_id: str, calls: Mapping[str, ModelCall]
    ) -> dict[str, BatchResult]:
        raise NotImplementedError


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
async def test_quotes_at_once_and_the_rest_when_the_batch_has_ended(
    asked: Asked, protocol: str
) -> None:
    asked.protocol = protocol
    batches = asked.open()
    taken = await batches.submit(questions(SURE, UNSURE, OTHER))
    assert (taken.total, taken.waiting, taken.answers) == (3, 2, None)
    held = reservations_of(asked.engine)
    assert len(held) == 2
    assert {row.is_batch for row in held} == {True}
    assert sum(row.at_most_pico_usd for row in held) == taken.at_most_usd.scaleb(12)
    running = await batches.look(taken.batch_id, *WHO)
    assert (running.answered, running.failed, running.answers) == (1, 0, None)
    assert recorded(asked.engine) == {}

    asked.end(TRUE, TRUE)
    ended = await batches.look(taken.batch_id, *WHO)
    assert look_like(ended) == [
        ("q1", "answered", "extractive"),
        ("q2", "answered", "premium"),
        ("q3", "answered", "premium"),
    ]
    assert ended.answers is not None
    answer = ended.answers[1][1]
    assert answer.citations[0].quote == SENTENCE
    assert [line.stage for line in answer.cost.lines] == [
        "retrieve",
        "compress",
        "generate",
        "generate",
    ]
    assert answer.cost.lines[-1] == CostLine("generate", "big", USD, 0.0)
    assert answer.cost.total_usd == USD
    assert answer.cost.baseline_usd is not None
    lines = lines_of(asked.engine)
    assert [(line.pico_usd, line.is_batch, line.outcome) for line in lines] == [
        (406_000_000, True, "done")
    ] * 2
    assert {(line.tenant, line.key, line.escalated_from) for line in lines} == {
        ("acme", "chat", "extractive")
    }
    assert reservations_of(asked.engine) == []
    check_sums(asked.engine)
    assert set(recorded(asked.engine)) == {answer.answer_id for _, answer in ended.answers}
    assert "business days" in kept(asked.engine)
    assert '"waiting"' not in kept(asked.engine)


async def test_what_waits_is_kept_in_full_and_deleted_when_it_is_collected(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE))
    assert "# Refunds" in kept(asked.engine)
    asked.end(TRUE)
    await batches.look(taken.batch_id, *WHO)
    assert "# Refunds" not in kept(asked.engine)


async def test_the_prompt_is_that_of_the_premium_tier(asked: Asked) -> None:
    await asked.open().submit(questions(UNSURE))
    [line] = asked.server.sent["batch_0"]
    system, user = line["body"]["messages"]
    assert "They are data" in system["content"]
    assert user["content"].endswith(f"Question: {UNSURE}")
    assert line["body"]["max_completion_tokens"] == 400


async def test_the_same_questions_are_sent_once_by_however_many_processes(asked: Asked) -> None:
    first = await asked.open().submit(questions(SURE, UNSURE))
    again = await asked.open().submit(questions(SURE, UNSURE))
    assert again == first
    assert len(asked.server.batches) == 1
    asked.end(TRUE)
    ended = await asked.open().look(first.batch_id, *WHO)
    assert await asked.open().look(first.batch_id, *WHO) == ended
    assert (await asked.open().submit(questions(SURE, UNSURE))).answers == ended.answers
    assert len(asked.server.batches) == 1
    assert len(lines_of(asked.engine)) == 1
    other = await asked.open().submit([("other", questions(UNSURE)[0][1])])
    assert other.batch_id != first.batch_id


async def test_nobody_else_sees_it(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE))
    with pytest.raises(NotFoundError):
        await batches.look(taken.batch_id, "globex", "chat")
    with pytest.raises(NotFoundError):
        await batches.look("batch_unknown", *WHO)


async def test_all_quoted_is_ended_without_a_call(asked: Asked) -> None:
    taken = await asked.open().submit(questions(SURE))
    assert look_like(taken) == [("q1", "answered", "extractive")]
    assert asked.server.batches == {}
    assert len(recorded(asked.engine)) == 1


async def test_a_call_that_failed_is_answered_by_the_quote_and_costs_nothing(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE, OTHER))
    asked.end(None, TRUE)
    ended = await batches.look(taken.batch_id, *WHO)
    assert (ended.answered, ended.failed) == (2, 1)
    assert look_like(ended) == [("q1", "degraded", "extractive"), ("q2", "answered", "premium")]
    assert ended.answers is not None
    quoted = ended.answers[0][1]
    assert "did not come to this call" in (quoted.degraded_because or "")
    assert quoted.cost.total_usd == 0
    assert {line.outcome: line.pico_usd for line in lines_of(asked.engine)} == {
        "failed": 0,
        "done": 406_000_000,
    }
    check_sums(asked.engine)


async def test_a_call_without_a_result_is_of_unknown_cost(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE))
    asked.server.end_openai("batch_0")
    ended = await batches.look(taken.batch_id, *WHO)
    assert ended.answers is not None
    cost = ended.answers[0][1].cost
    assert (cost.total_usd, cost.lines[-1].at_most_usd) == (None, taken.at_most_usd)
    [line] = lines_of(asked.engine)
    assert (line.pico_usd, line.outcome) == (None, "failed")
    assert line.at_most_pico_usd == taken.at_most_usd.scaleb(12)
    check_sums(asked.engine)


async def test_what_the_model_does_not_find_is_an_abstention(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE))
    asked.end("NO_ANSWER")
    ended = await batches.look(taken.batch_id, *WHO)
    assert look_like(ended) == [("q1", "abstained", "premium")]
    assert lines_of(asked.engine)[0].pico_usd == 406_000_000


async def test_absurd_usage_is_unknown(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE))
    asked.end(TRUE, usage={"prompt_tokens": 10**9, "completion_tokens": 3})
    ended = await batches.look(taken.batch_id, *WHO)
    assert ended.answers is not None
    assert ended.answers[0][1].cost.total_usd is None
    check_sums(asked.engine)


async def test_what_does_not_fit_under_the_limit_of_the_batch_is_quoted(asked: Asked) -> None:
    one = (await asked.open().submit(questions(UNSURE))).at_most_usd
    batches = asked.open()
    twice = [("a", questions(UNSURE)[0][1]), ("b", questions(UNSURE)[0][1])]
    taken = await batches.submit(twice, one * Decimal("1.5"))
    assert (taken.waiting, taken.over_budget, taken.at_most_usd) == (1, 1, one)
    asked.end(TRUE, batch="batch_1")
    ended = await batches.look(taken.batch_id, *WHO)
    assert look_like(ended) == [("a", "answered", "premium"), ("b", "degraded", "extractive")]
    assert ended.answers is not None
    assert "the limit of this batch is" in (ended.answers[1][1].degraded_because or "")
    assert (ended.over_budget, ended.failed) == (1, 0)


async def test_budgets_are_walls(asked: Asked) -> None:
    one = (await asked.open().submit(questions(UNSURE))).at_most_usd
    asked.walls = Walls(day_usd=one * Decimal("2.5"))
    taken = await asked.open().submit([(n, questions(UNSURE)[0][1]) for n in "abc"])
    assert (taken.waiting, taken.over_budget) == (1, 2)
    check_sums(asked.engine)
    asked.walls = Walls(day_usd=Decimal(0))
    nothing = await asked.open().submit([("z", questions(UNSURE)[0][1])])
    assert look_like(nothing) == [("z", "degraded", "extractive")]
    assert nothing.answers is not None
    assert "budgets.day_usd" in (nothing.answers[0][1].degraded_because or "")
    assert len(asked.server.batches) == 2


async def test_a_refused_batch_costs_nothing_and_can_be_sent_again(asked: Asked) -> None:
    asked.server.failing = JSONResponse({"error": {"message": "slow down"}}, 429)
    with pytest.raises(ProviderBusyError):
        await asked.open().submit(questions(UNSURE))
    assert reservations_of(asked.engine) == []
    assert [(line.pico_usd, line.outcome) for line in lines_of(asked.engine)] == [(0, "failed")]
    asked.server.failing = None
    assert (await asked.open().submit(questions(UNSURE))).waiting == 1


@pytest.mark.parametrize(
    "error",
    [ProviderUnavailableError("it hung up: try again"), ProviderReplyError("it said nonsense")],
)
async def test_one_that_may_have_arrived_is_lost_and_not_sent_again(
    asked: Asked, error: Exception
) -> None:
    endpoint = Endpoint(error)
    batches = asked.open(endpoint)
    for _ in range(2):
        taken = await batches.submit(questions(SURE, UNSURE))
        assert look_like(taken) == [
            ("q1", "answered", "extractive"),
            ("q2", "degraded", "extractive"),
        ]
    assert endpoint.submitted == 1
    [line] = lines_of(asked.engine)
    assert (line.pico_usd, line.outcome) == (None, "lost")
    assert taken.answers is not None
    assert str(error) in (taken.answers[1][1].degraded_because or "")
    assert taken.answers[1][1].cost.total_usd is None
    check_sums(asked.engine)


async def test_killed_while_it_was_sent(asked: Asked) -> None:
    with pytest.raises(Stopped):
        await asked.open(Endpoint(Stopped())).submit(questions(SURE, UNSURE))
    again = await asked.open().submit(questions(SURE, UNSURE))
    assert again.answers is None
    ended = await asked.open().look(again.batch_id, *WHO)
    assert look_like(ended)[1] == ("q2", "degraded", "extractive")
    assert asked.server.batches == {}, "it may run already"
    assert lines_of(asked.engine)[0].outcome == "lost"
    check_sums(asked.engine)


async def test_killed_before_it_was_sent(asked: Asked) -> None:
    full = asked.open()
    taken = await full.submit(questions(UNSURE))
    with asked.engine.begin() as connection:  # as a kill between two transactions leaves it
        connection.exec_driver_sql("UPDATE batches SET state = 'reserving', sent_as = ''")
    with pytest.raises(ConflictError, match="was not sent"):
        await asked.open().look(taken.batch_id, *WHO)
    again = await asked.open().submit(questions(UNSURE))
    assert again.waiting == 1
    assert len(reservations_of(asked.engine)) == 1
    assert [(line.pico_usd, line.outcome) for line in lines_of(asked.engine)] == [(0, "failed")]
    check_sums(asked.engine)


async def test_killed_while_it_was_collected(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(SURE, UNSURE))
    asked.end(TRUE)
    before = kept(asked.engine)
    with asked.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM batch_entries").mappings().all()
    ended = await batches.look(taken.batch_id, *WHO)
    with asked.engine.begin() as connection:  # the last transaction is undone
        connection.exec_driver_sql("UPDATE batches SET state = 'submitted'")
        for row in rows:
            values = {name: row[name] for name in ("position", "waiting", "given")}
            connection.execute(_RESTORE, values)
    assert kept(asked.engine) == before
    assert await asked.open().look(taken.batch_id, *WHO) == ended
    assert len(lines_of(asked.engine)) == 1
    assert len(recorded(asked.engine)) == 2
    check_sums(asked.engine)


async def test_a_reservation_that_expired_leaves_the_bill_as_the_ledger_has_it(
    asked: Asked,
) -> None:
    taken = await asked.open().submit(questions(UNSURE))
    asked.now = lambda: utc_now() + timedelta(days=9)
    later = asked.open()
    assert asked.opened[-2].settle_lost() == 1
    asked.end(TRUE)
    ended = await later.look(taken.batch_id, *WHO)
    assert look_like(ended) == [("q1", "answered", "premium")]
    assert ended.answers is not None
    assert ended.answers[0][1].cost.total_usd is None
    assert [line.outcome for line in lines_of(asked.engine)] == ["lost"]
    check_sums(asked.engine)


@pytest.mark.parametrize("change", ["forgotten", "changed"])
async def test_an_answer_from_a_document_that_is_gone_is_not_given(
    asked: Asked, change: str
) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(SURE, UNSURE))
    asked.page.revisions = {} if change == "forgotten" else {"refunds": "another"}
    asked.end(TRUE)
    ended = await batches.look(taken.batch_id, *WHO)
    assert ended.answers is not None
    for _, answer in ended.answers:
        assert (answer.status, answer.text, answer.citations) == ("abstained", NOT_FOUND, ())
        assert "forgotten or changed" in (answer.degraded_because or "")
    assert ended.answers[1][1].cost.total_usd == USD, "it was paid for all the same"
    assert set(recorded(asked.engine).values()) == {"abstained"}
    assert "business days" not in kept(asked.engine)


async def test_nor_when_it_goes_after_the_answers_came(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(UNSURE))
    asked.end(TRUE)
    await batches.look(taken.batch_id, *WHO)
    asked.page.revisions = {}
    ended = await batches.look(taken.batch_id, *WHO)
    assert look_like(ended) == [("q1", "abstained", "premium")]
    assert "business days" not in kept(asked.engine)


async def test_one_that_never_ended_is_forgotten_too(asked: Asked) -> None:
    taken = await asked.open().submit(questions(UNSURE))
    assert taken.waiting == 1
    records = BatchRecords(asked.engine)
    assert records.delete_old(utc_now() - timedelta(days=KEEP_DAYS)) == 0
    assert records.delete_old(utc_now() + timedelta(minutes=1)) == 1
    assert UNSURE not in kept(asked.engine)


async def test_answers_are_kept_for_some_days(asked: Asked) -> None:
    taken = await asked.open().submit(questions(SURE))
    asked.now = lambda: utc_now() + timedelta(days=KEEP_DAYS, minutes=1)
    later = asked.open()
    await later.submit(questions(OTHER))
    with pytest.raises(NotFoundError):
        await later.look(taken.batch_id, *WHO)
