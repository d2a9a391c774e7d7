"""One's own GPU: the hours in which it works are shared by the calls that run in them."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from fractions import Fraction

import pytest
from contexts import question

from generation.money.gpu import GpuPricing
from rag.calls import Charge, ModelCall, Prompt
from rag.ports import Meter
from rag.types import Usage

SECOND = 1_000_000_000
PER_HOUR = Decimal("3.60")  # a tenth of a cent a second
WROTE_100 = Usage(input_tokens=1_000, output_tokens=100)


class Clock:
    def __init__(self) -> None:
        self.ns = 7 * SECOND

    def __call__(self) -> int:
        return self.ns

    def wait(self, seconds: float) -> None:
        self.ns += round(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gpu(clock: Clock) -> GpuPricing:
    return GpuPricing(PER_HOUR, 60, clock)


def usd(charge: Charge) -> Decimal:
    assert charge.usd is not None
    return charge.usd


def test_alone_a_call_pays_for_all_its_time(gpu: GpuPricing, clock: Clock) -> None:
    clock.wait(1_000)  # idle: nobody's
    meter = gpu.begin()
    clock.wait(2)
    charge = meter.end(WROTE_100)
    assert charge.usd == Decimal("0.002")
    assert charge.gpu_seconds == 2
    assert json.loads(charge.price) == {
        "usd_per_hour": "3.60",
        "gpu_seconds": 2,
        "output_tokens_per_second": 50,
    }


def test_calls_at_the_same_moment_share_it(gpu: GpuPricing, clock: Clock) -> None:
    first = gpu.begin()
    clock.wait(1)
    second = gpu.begin()
    clock.wait(2)
    assert usd(first.end(WROTE_100)) == Decimal("0.002")  # one second alone, two halved
    clock.wait(3)
    assert usd(second.end(WROTE_100)) == Decimal("0.004")


def test_a_busy_gpu_is_cheaper_by_the_call_and_by_the_token(clock: Clock) -> None:
    def cost_of_each(calls: int) -> Decimal:
        gpu = GpuPricing(PER_HOUR, 60, clock)
        meters = [gpu.begin() for _ in range(calls)]
        clock.wait(2)
        charges = {usd(meter.end(WROTE_100)) for meter in meters}
        assert gpu.output_tokens_per_second == 50 * calls
        return charges.pop()

    idle, busy = cost_of_each(1), cost_of_each(16)
    assert busy * 16 == idle


def test_all_calls_together_cost_the_hours_in_which_it_worked(
    gpu: GpuPricing, clock: Clock
) -> None:
    chance = random.Random(5)
    running: list[tuple[Meter, Fraction]] = []
    share, busy_ns, charges = Fraction(0), 0, []  # a second reckoning, in fractions
    for _ in range(5_000):
        passed = chance.randrange(3 * SECOND)
        if running:
            share += Fraction(passed, len(running))
            busy_ns += passed
        clock.ns += passed
        if running and chance.random() < 0.5:
            meter, at_begin = running.pop(chance.randrange(len(running)))
            charges.append(usd(meter.end(WROTE_100)))
            by_hand = (share - at_begin) / SECOND * Fraction(PER_HOUR) / 3600
            assert abs(Fraction(charges[-1]) - by_hand) < Fraction(1, 10**12), "to a pico-dollar"
        else:
            running.append((gpu.begin(), share))
    charges.extend(usd(meter.end(None)) for meter, _ in running)
    whole = Decimal(busy_ns) / SECOND * PER_HOUR / 3600
    assert len(charges) > 2_000
    assert abs(sum(charges) - whole) < Decimal("1e-12")


def test_a_call_of_which_nothing_is_known_has_taken_its_time(gpu: GpuPricing, clock: Clock) -> None:
    meter = gpu.begin()
    clock.wait(4)
    charge = meter.end(None)
    assert charge.usd == Decimal("0.004")
    assert "tokens" not in charge.price


def test_without_a_price_per_hour_the_cost_is_unknown_and_the_time_is_not(clock: Clock) -> None:
    gpu = GpuPricing(None, 60, clock)
    assert gpu.at_most_usd(call()) is None
    meter = gpu.begin()
    clock.wait(4)
    charge = meter.end(WROTE_100)
    assert (charge.usd, charge.gpu_seconds) == (None, 4)
    assert "usd" not in charge.price


def test_a_free_gpu_is_free(clock: Clock) -> None:
    gpu = GpuPricing(Decimal(0), 60, clock)
    meter = gpu.begin()
    clock.wait(4)
    assert meter.end(WROTE_100).usd == 0 == gpu.at_most_usd(call())


def test_no_call_within_its_deadline_costs_more_than_was_said(
    gpu: GpuPricing, clock: Clock
) -> None:
    meter = gpu.begin()
    clock.wait(60.5)
    most = gpu.at_most_usd(call())
    assert most == Decimal("0.065"), "and five seconds to wind up"
    assert usd(meter.end(WROTE_100)) < most


def test_a_second_end_changes_nothing(gpu: GpuPricing, clock: Clock) -> None:
    meter, other = gpu.begin(), gpu.begin()
    clock.wait(2)
    charge = meter.end(WROTE_100)
    clock.wait(2)
    assert meter.end(None) == charge
    assert usd(other.end(WROTE_100)) == Decimal("0.003")


def test_nothing_is_measured_before_the_first_call(gpu: GpuPricing, clock: Clock) -> None:
    clock.wait(5)
    assert gpu.output_tokens_per_second is None
    assert gpu.begin().end(WROTE_100).usd == 0, "in no time"


def call() -> ModelCall:
    return ModelCall(Prompt("v1", "Answer.", "How?"), question("How?"), "local", 400)
