"""The choice of least expected cost, its dials, and the choice over many questions at once."""

from __future__ import annotations

import random

import pytest

from generation.deciding.decision import Option, Plan, Stakes, after, plans
from generation.deciding.dials import Situation, expected, for_budget, for_quality

STAKES = Stakes(error_usd=0.05, wait_usd_per_s=0.001, abstain_below=0.5)
LOCAL = Option("local", price_usd=0.0002, seconds=0.8, chance=0.7, sharpness=0.6)
PREMIUM = Option("premium", price_usd=0.003, seconds=2.0, chance=0.9, after_error=0.7)


def chosen(plan: Plan) -> str:
    if plan.ask is not None:
        return plan.ask.tier
    return "abstain" if plan.abstains else "stop"


def test_what_is_good_enough_is_given_and_costs_nothing_more() -> None:
    best = plans(0.95, [LOCAL, PREMIUM], STAKES)[0]
    assert chosen(best) == "stop"
    assert best.price_usd == 0
    assert best.total_usd == pytest.approx(0.05 * 0.05)


def test_a_call_is_made_where_it_is_expected_to_save_more_than_it_costs() -> None:
    asked = Option("premium", price_usd=0.003, seconds=0, chance=0.9, sharpness=0.0)
    best = plans(0.6, [asked], STAKES)[0]
    assert chosen(best) == "premium"
    assert best.total_usd == pytest.approx(0.003 + 0.05 * 0.1)
    dear = Option("premium", price_usd=0.02, seconds=0, chance=0.9, sharpness=0.0)
    assert chosen(plans(0.6, [dear], STAKES)[0]) == "stop"


def test_waiting_has_a_price() -> None:
    slow = Option("local", price_usd=0, seconds=30, chance=0.9, sharpness=0.0)
    assert chosen(plans(0.6, [slow], STAKES)[0]) == "stop"
    assert chosen(plans(0.6, [slow], Stakes(0.05, 0.0, 0.5))[0]) == "local"


def test_what_nobody_is_likely_to_know_is_not_answered() -> None:
    hopeless = [
        Option("local", price_usd=0.0002, seconds=1, chance=0.05),
        Option("premium", price_usd=0.003, seconds=1, chance=0.08),
    ]
    best = plans(0.1, hopeless, STAKES)[0]
    assert chosen(best) == "abstain"
    assert best.chance == 0


def test_the_cheap_tier_is_skipped_where_it_rarely_suffices() -> None:
    poor = Option("local", price_usd=0.0005, seconds=1, chance=0.2)
    good = Option("local", price_usd=0.0005, seconds=1, chance=0.9, sharpness=0.8)
    assert chosen(plans(0.3, [poor, PREMIUM], STAKES)[0]) == "premium"
    assert chosen(plans(0.3, [good, PREMIUM], STAKES)[0]) == "local"


def test_a_confidence_that_tells_more_makes_a_cascade_worth_more() -> None:
    def of(sharpness: float) -> float:
        local = Option("local", 0.0002, 0.5, 0.7, sharpness)
        return next(
            p for p in plans(0.3, [local, PREMIUM], STAKES) if chosen(p) == "local"
        ).total_usd

    costs = [of(sharpness) for sharpness in (0.3, 0.6, 0.9)]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] < min(costs[0], of(0.0))


def test_a_chance_holds_on_average_over_what_the_tier_before_it_may_have_said() -> None:
    for confidence_when_right in (0.8, 0.9, 1.0):
        high = after(PREMIUM, LOCAL, confidence_when_right).chance
        # the mean over both outcomes, which leaves the tier's own chance in place
        low_confidence = (LOCAL.chance - LOCAL.chance * confidence_when_right) / (1 - LOCAL.chance)
        low = after(PREMIUM, LOCAL, low_confidence).chance
        mean = LOCAL.chance * high + (1 - LOCAL.chance) * low
        assert mean == pytest.approx(PREMIUM.chance)
        assert low < PREMIUM.chance < high


def test_nothing_done_costs_less_than_the_best_plan() -> None:
    """Against every policy that can be written down: ask or stop, after each outcome."""
    chooser = random.Random(1)
    for _ in range(200):
        options = [
            Option(tier, chooser.random() / 100, chooser.random(), chooser.random(), 0.5)
            for tier in ("local", "premium")
        ]
        confidence = chooser.random()
        best = plans(confidence, options, STAKES)
        assert best[0].total_usd == min(plan.total_usd for plan in best)
        stop = next(plan for plan in best if plan.ask is None)
        assert stop.total_usd <= STAKES.error_usd


def traffic(seed: int = 3, n: int = 200) -> list[Situation]:
    chooser = random.Random(seed)
    return [
        Situation(
            chooser.random(),
            (
                Option("local", 0.0002, 0.5, 0.3 + 0.5 * chooser.random()),
                Option("premium", 0.003, 1.5, 0.5 + 0.5 * chooser.random()),
            ),
        )
        for _ in range(n)
    ]


def test_a_dearer_error_buys_more_quality_for_more_money() -> None:
    told = [
        expected(traffic(), Stakes(error_usd, 0.0, 0.3))
        for error_usd in (1e-6, 1e-3, 0.01, 0.1, 10)
    ]
    assert [one.usd for one in told] == sorted(one.usd for one in told)
    assert [one.quality for one in told] == sorted(one.quality for one in told)


@pytest.mark.parametrize("floor", [0.6, 0.7, 0.75])
def test_the_least_price_that_reaches_a_floor_is_found(floor: float) -> None:
    stakes = Stakes(0.0, 0.0, 0.3)
    found = for_quality(traffic(), stakes, floor)
    assert found.is_reached
    assert found.expected.quality >= floor
    cheaper = expected(traffic(), Stakes(found.error_usd * 0.9, 0.0, 0.3))
    assert cheaper.quality <= found.expected.quality


def test_a_floor_that_nothing_reaches_tells_what_can_be_reached() -> None:
    found = for_quality(traffic(), Stakes(0.0, 0.0, 0.3), 0.999)
    assert not found.is_reached
    assert 0.7 < found.expected.quality < 0.999


@pytest.mark.parametrize("budget", [0.0005, 0.001, 0.002])
def test_a_budget_is_kept_and_used(budget: float) -> None:
    found = for_budget(traffic(), Stakes(0.0, 0.0, 0.3), budget)
    assert found.is_reached
    assert 0.8 * budget <= found.expected.usd <= budget


def test_a_budget_for_everything_buys_everything() -> None:
    found = for_budget(traffic(), Stakes(0.0, 0.0, 0.3), 1.0)
    assert found.is_reached
    assert found.expected == expected(traffic(), Stakes(found.error_usd, 0.0, 0.3))


def test_a_budget_of_nothing_buys_nothing() -> None:
    found = for_budget(traffic(), Stakes(0.0, 0.0, 0.3), 0.0)
    assert found.is_reached
    assert found.expected.usd == 0
