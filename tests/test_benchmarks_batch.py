"""The benchmark of batches under a budget: its arithmetic, on cases that can be checked."""

from __future__ import annotations

from benchmarks.batch_allocation import Waiting, bought, orders


def waiting(usd: float, confidence: float, gain: float, *, quoted: bool, asked: bool) -> Waiting:
    return Waiting(usd, confidence, gain, -gain, quoted, asked)


HELPED = waiting(1.0, 0.5, 0.4, quoted=False, asked=True)
DEAR = waiting(4.0, 0.1, 0.5, quoted=False, asked=True)
HARMED = waiting(1.0, 0.3, 0.1, quoted=True, asked=False)


def test_calls_are_made_in_order_as_long_as_they_fit() -> None:
    every = [DEAR, HELPED, HARMED]
    assert [bought(every, budget) for budget in (0, 1, 2, 4, 5, 6)] == [1, 2, 1, 2, 3, 2]


def test_who_goes_first() -> None:
    found = orders([DEAR, HARMED, HELPED], seed=0)
    assert found["least sure first"] == [DEAR, HARMED, HELPED]
    assert found["chance less confidence"] == [HARMED, HELPED, DEAR]
    assert found["most gain for a dollar first"] == [HELPED, DEAR, HARMED]
    assert found["knowing who is right"][-1] == HARMED
    assert sorted(found["first come"], key=lambda one: one.gain) == [HARMED, HELPED, DEAR]
