"""Which questions of a batch are asked: by the policy, and under a budget where it gains most."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from batch_server import batch_server
from batched import SURE, TRUE, UNSURE, Asked, Quoting, kept, made_chances, questions
from priced import reservations_of
from sqlalchemy import Engine

from generation.batching.batches import BatchState
from generation.deciding.decision import Stakes
from generation.deciding.expected_cost import ExpectedCost
from generation.deciding.policy import PlainRule
from generation.deciding.price_of_error import StatedPrice
from generation.deciding.tier_costs import TierCost, TierCosts
from generation.money.budgets import Walls
from rag.ports import Listener
from rag.types import Answer, Context, Generation, Hit, Question

WHO = ("acme", "chat")
CONFIDENCES = (0.5, 0.1, 0.3, 0.6, 0.2, 0.4)


class AsSureAsAsked(Quoting):
    """Quotes with the confidence that the question ends in, and signals of a good search."""

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        made = await super().generate(question, hits, context, listener)
        signals = {"quote_cosine": 0.6, "sparse_score": 0.5}
        return replace(made, confidence=float(question.text.split()[-1]), signals=signals)


@dataclass(frozen=True)
class Entry:
    """What is known of a question that waits, before any money is spent."""

    confidence: float
    gain: float
    at_most_usd: float

    @property
    def worth(self) -> float:
        return self.gain / self.at_most_usd


@pytest_asyncio.fixture
async def asked(state_engine: Engine, tmp_path: Path) -> AsyncIterator[Asked]:
    async with batch_server() as server:
        made = Asked(state_engine, server, tmp_path)
        yield made
        await made.close()


def many() -> list[tuple[str, Question]]:
    """Questions of many lengths, and so of many prices, none of them sure enough."""
    return questions(*(f"When{' oh' * 400 * (n % 3)}? {one}" for n, one in enumerate(CONFIDENCES)))


async def known(asked: Asked) -> list[Entry]:
    """What the questions gain and cost, of a batch that has room for all."""
    taken = await asked.open().submit([(f"all {name}", one) for name, one in many()])
    assert taken.waiting == len(CONFIDENCES)
    waiting = [json.loads(row[0]) for row in json.loads(kept(asked.engine))]
    at_most = {row.answer_id: row.at_most_pico_usd for row in reservations_of(asked.engine)}
    return [
        Entry(
            one["quote"]["confidence"],
            one["gain"],
            at_most[one["question"]["answer_id"]] / 1e12,
        )
        for one in waiting
    ]


def by_name(state: BatchState) -> dict[str, Answer]:
    assert state.answers is not None
    return dict(state.answers)


async def test_a_call_gains_what_it_averts_or_what_it_adds(asked: Asked) -> None:
    asked.quoting = AsSureAsAsked()
    skill = made_chances().skill("premium")
    for one in await known(asked):
        if one.confidence >= 0.2:  # it would be given
            assert one.gain == pytest.approx(skill - one.confidence)
        else:
            assert 0 < one.gain < skill


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
async def test_a_budget_goes_where_it_gains_most(asked: Asked, share: float) -> None:
    asked.quoting = AsSureAsAsked()
    entries = await known(asked)
    budget = share * sum(one.at_most_usd for one in entries)
    batches = asked.open()
    taken = await batches.submit(many(), Decimal(f"{budget:.12f}"))
    assert 0 < taken.waiting < len(entries)
    asked.end(*([TRUE] * taken.waiting), batch="batch_1")
    answers = by_name(await batches.look(taken.batch_id, *WHO))
    called = [at for at, one in enumerate(answers.values()) if one.tier == "premium"]
    assert len(called) == taken.waiting
    assert sum(entries[at].at_most_usd for at in called) <= budget
    every = (
        chosen
        for size in range(len(entries) + 1)
        for chosen in itertools.combinations(entries, size)
        if sum(one.at_most_usd for one in chosen) <= budget
    )
    best = max(sum(one.gain for one in chosen) for chosen in every)
    part_of_a_call = max(one.gain for one in entries)
    assert sum(entries[at].gain for at in called) >= best - part_of_a_call
    for at, answer in enumerate(answers.values()):
        if at not in called:
            told = answer.degraded_because or ""
            assert "max_cost_usd" in told
            assert f"expected to gain {entries[at].gain:.2f} of a right answer" in told
            better = [one for one in called if entries[one].worth < entries[at].worth]
            assert all(entries[one].at_most_usd < entries[at].at_most_usd for one in better)


async def test_a_wall_leaves_out_those_that_gain_least(asked: Asked) -> None:
    """As it does for a limit of the batch; these cost the same."""
    asked.quoting = AsSureAsAsked()
    same = questions(*(f"When? {one}" for one in CONFIDENCES))
    one = (await asked.open().submit(same[:1])).at_most_usd
    asked.walls = Walls(day_usd=one * Decimal("4.5"))  # one is reserved already
    batches = asked.open()
    taken = await batches.submit(same)
    assert (taken.waiting, taken.over_budget) == (3, 3)
    asked.end(*([TRUE] * 3), batch="batch_1")
    answers = by_name(await batches.look(taken.batch_id, *WHO))
    left_out = {name: one for name, one in answers.items() if one.status == "degraded"}
    assert set(left_out) == {"q1", "q4", "q6"}, "the surest: .5, .6 and .4"
    for answer in left_out.values():
        assert "budgets.day_usd" in (answer.degraded_because or "")


async def test_every_answer_says_why_it_was_asked_or_not(asked: Asked) -> None:
    batches = asked.open()
    taken = await batches.submit(questions(SURE, UNSURE))
    asked.end(TRUE)
    answers = by_name(await batches.look(taken.batch_id, *WHO))
    assert answers["q1"].because == "extractive has a confidence of 0.90, and 0.70 is enough"
    assert answers["q2"].because == "extractive has a confidence of 0.30, and 0.70 was wanted"


@pytest.mark.parametrize(("error_usd", "waiting"), [(1e-6, 0), (10.0, 2)])
async def test_where_an_error_has_a_price_it_decides(
    asked: Asked, error_usd: float, waiting: int
) -> None:
    """A sure quote is asked about where errors are dear, and an unsure one not where they are not.

    The same policy as anywhere; the threshold of the plain rule has no part in it.
    """
    asked.quoting = AsSureAsAsked()
    asked.policy = ExpectedCost(
        made_chances(),
        TierCosts({"premium": TierCost(0.001, 0.0)}),
        StatedPrice(Stakes(error_usd, 0.0005, 0.0), {}),
        PlainRule(0.7),
    )
    batches = asked.open()
    taken = await batches.submit(questions("When? 0.25", "When? 0.75"))
    assert (taken.waiting, taken.total) == (waiting, 2)
    if waiting:
        asked.end(TRUE, TRUE)
        taken = await batches.look(taken.batch_id, *WHO)
    for answer in by_name(taken).values():
        assert f"an error costs ${error_usd:.3g}" in answer.because
