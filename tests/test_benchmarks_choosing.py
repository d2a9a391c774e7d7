"""The benchmarks of confidence and of choosing: their arithmetic, on cases that can be checked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fakes import FindData, HashingEmbedder

from benchmarks.calibration import bisected, most_within
from benchmarks.choosing import mixed, perfect, route, usd_of
from benchmarks.evouna import SYSTEMS, Answers, Asked, embed_all, load_evouna
from benchmarks.planned_answers import ERROR_PRICES, GIVE, Chances, Rows, followed, lattice, plan
from compression.tokens import TiktokenCounter

CHEAP, DEAR = SYSTEMS.index("fid"), SYSTEMS.index("gpt4")
USD = np.full(len(SYSTEMS), 1e6)
USD[CHEAP], USD[DEAR] = 0.01, 1.0


def told_apart(rows: int) -> tuple[Chances, Rows]:
    """A cheap system right on every other question, and known to be; a dear one always right."""
    right = np.zeros((rows, len(SYSTEMS)), bool)
    right[:, DEAR] = True
    right[::2, CHEAP] = True
    chances = {}
    for seen in lattice():
        chances[seen] = np.full(right.shape, -1.0)
        for system in seen:
            place = SYSTEMS.index(system)
            chances[seen][:, place] = np.where(right[:, place], 0.99, 0.01)
    return chances, Rows(np.tile(USD, (rows, 1)), right)


class TestPlan:
    def test_it_asks_the_cheap_one_and_the_dear_one_only_where_that_failed(self) -> None:
        chances, rows = told_apart(400)
        made = plan(chances, chances, rows)
        usd, right = followed(made.tried, chances, rows)
        dial = int(np.argmin(np.abs(ERROR_PRICES - 5)))
        assert usd[:, dial].tolist() == pytest.approx([0.01, 1.01] * 200)
        assert right[:, dial].all()

    def test_an_error_that_costs_nothing_is_worth_the_cheapest_answer(self) -> None:
        chances, rows = told_apart(400)
        usd, right = followed(plan(chances, chances, rows).tried, chances, rows)
        assert usd[:, 0].tolist() == pytest.approx([0.01] * 400)
        assert right[:, 0].mean() == 0.5

    def test_something_is_always_asked(self) -> None:
        chances, rows = told_apart(400)
        assert (plan(chances, chances, rows).tried[frozenset()] != GIVE).all()

    def test_a_route_takes_what_is_cheapest_in_expectation(self) -> None:
        _, rows = told_apart(2)
        chance = np.zeros((2, len(SYSTEMS)))
        chance[:, DEAR], chance[0, CHEAP] = 1.0, 0.9
        usd, _ = route(chance, USD, rows)
        dial = int(np.argmin(np.abs(ERROR_PRICES - 5)))
        assert usd[:, dial].tolist() == [0.01, 1.0]
        assert usd[:, -1].tolist() == [1.0, 1.0]


class TestBounds:
    def test_two_mixed_at_random(self) -> None:
        _, rows = told_apart(100)
        assert mixed(rows, 0.5) == pytest.approx(0.01)
        assert mixed(rows, 0.75) == pytest.approx((0.01 + 1.0) / 2)

    def test_who_knows_pays_the_dear_one_where_it_alone_is_right(self) -> None:
        _, rows = told_apart(100)
        assert perfect(rows, 0.5) == pytest.approx(0.01)
        assert perfect(rows, 1.0) == pytest.approx((0.01 + 1.0) / 2)

    def test_the_best_threshold_in_hindsight(self) -> None:
        confidences = np.array([0.9, 0.8, 0.7, 0.6])
        right = np.array([True, False, True, True])
        assert most_within(confidences, right, 0.25) == 1.0
        assert most_within(confidences, right, 0.2) == 0.25
        assert most_within(confidences, ~right, 0.1) == 0.0

    def test_bisection_finds_where_errors_begin(self) -> None:
        confidences = np.linspace(1, 0, 1000)
        right = np.arange(1000) < 600
        threshold = bisected(confidences, right, 0.1, 0.05)
        assert threshold == pytest.approx(0.36, abs=0.02)
        assert bisected(confidences, ~right, 0.1, 0.05) is None


class TestEvouna:
    def test_the_set_is_read_whole(self, find_data: FindData) -> None:
        asked = load_evouna(find_data("evouna").parent)
        assert len(asked) == 4957
        assert {one.source for one in asked} == {"NQ", "TQ"}
        assert all(set(one.answers) == set(SYSTEMS) == set(one.right) for one in asked)

    async def test_an_answer_is_seen_with_those_that_were_paid_for(self, tmp_path: Path) -> None:
        answers = dict.fromkeys(SYSTEMS, "Raymond Unwin") | {"gpt4": "I don't know."}
        asked = [Asked("NQ", "who planned Letchworth", answers, dict.fromkeys(SYSTEMS, True))]
        vectors = await embed_all(asked, HashingEmbedder(), tmp_path)
        made = Answers(asked, vectors)
        alone = made.signals(0, "fid", ["fid"])
        beside = made.signals(0, "fid", ["fid", "gpt35", "gpt4"])
        assert alone["asks who"] == 1
        assert set(alone) < set(beside)
        assert beside["same words as gpt35"] == 1
        assert beside["same words as gpt4"] == 0
        assert made.signals(0, "gpt4", [])["unknowing"] == 1
        kept = await embed_all(asked, HashingEmbedder(), tmp_path)
        assert all((kept[column] == vectors[column]).all() for column in vectors)

    def test_the_dearest_is_the_one_that_searches(self, find_data: FindData) -> None:
        asked = load_evouna(find_data("evouna").parent)[:50]
        nothing = np.zeros((50, 4), np.float32)
        vectors = dict.fromkeys(("question", *SYSTEMS), nothing)
        usd = usd_of(Answers(asked, vectors)).mean(0)
        assert SYSTEMS[int(usd.argmax())] == "newbing"
        count = TiktokenCounter().count
        tokens = [(count(one.question) + 20, count(one.answers["gpt4"])) for one in asked]
        by_hand = np.mean([(30 * read + 60 * written) / 1e6 for read, written in tokens])
        assert usd[SYSTEMS.index("gpt4")] == pytest.approx(by_hand)
