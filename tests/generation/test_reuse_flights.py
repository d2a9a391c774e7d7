"""Equal questions in flight: one is answered, nobody is lost, nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from generation.reuse.flights import Flights

KEY = "question"


class Airport:
    """Passengers who ask; what is made takes until `gate` is set."""

    def __init__(self) -> None:
        self.flights: Flights[str] = Flights()
        self.gate = asyncio.Event()
        self.made: list[str] = []
        self.error: Exception | None = None
        self.shares = True

    async def ask(self, name: str, key: str = KEY) -> str:
        async with self.flights.join(key) as flight:
            if flight.landed is not None:
                return flight.landed
            self.made.append(name)
            await self.gate.wait()
            if self.error is not None:
                raise self.error
            if self.shares:
                flight.land(f"by {name}")
            return f"by {name}"

    async def boarded(self, *names: str, key: str = KEY) -> list[asyncio.Task[str]]:
        tasks = []
        for name in names:
            tasks.append(asyncio.create_task(self.ask(name, key)))
            await asyncio.sleep(0)
        await settled()
        return tasks


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_makes_it_and_all_get_it() -> None:
    airport = Airport()
    tasks = await airport.boarded("a", "b", "c")
    airport.gate.set()
    assert await asyncio.gather(*tasks) == ["by a"] * 3
    assert airport.made == ["a"]


async def test_other_questions_do_not_wait() -> None:
    airport = Airport()
    tasks = [*await airport.boarded("a"), *await airport.boarded("b", key="another")]
    airport.gate.set()
    assert await asyncio.gather(*tasks) == ["by a", "by b"]


async def test_who_comes_after_the_landing_makes_it_anew() -> None:
    airport = Airport()
    airport.gate.set()
    assert [await airport.ask("a"), await airport.ask("b")] == ["by a", "by b"]


async def test_when_the_leader_leaves_the_next_leads_and_the_others_go_on_waiting() -> None:
    airport = Airport()
    first, second, third = await airport.boarded("a", "b", "c")
    first.cancel()
    await settled()
    assert airport.made == ["a", "b"]
    airport.gate.set()
    assert await asyncio.gather(second, third) == ["by b", "by b"]
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_all_leaders_may_leave_one_after_another() -> None:
    airport = Airport()
    tasks = await airport.boarded(*"abcdef")
    for task in tasks[:-1]:
        task.cancel()
        await settled()
    airport.gate.set()
    assert await tasks[-1] == "by f"
    assert airport.made == list("abcdef")


async def test_a_follower_who_leaves_disturbs_nobody() -> None:
    airport = Airport()
    first, second, third = await airport.boarded("a", "b", "c")
    second.cancel()
    await settled()
    airport.gate.set()
    assert await asyncio.gather(first, third) == ["by a", "by a"]
    assert airport.made == ["a"]


async def test_when_the_leader_fails_everybody_tries_at_once() -> None:
    airport = Airport()
    tasks = await airport.boarded("a", "b", "c")
    airport.error = ValueError("no answer")
    airport.gate.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [str(one) for one in results] == ["no answer"] * 3
    assert airport.made == ["a", "b", "c"]


async def test_when_there_is_nothing_to_share_everybody_makes_an_own_one() -> None:
    airport = Airport()
    airport.shares = False
    tasks = await airport.boarded("a", "b", "c")
    airport.gate.set()
    assert await asyncio.gather(*tasks) == ["by a", "by b", "by c"]


async def test_nothing_is_left_behind() -> None:
    airport = Airport()
    tasks = await airport.boarded("a", "b")
    tasks[0].cancel()
    airport.gate.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert airport.flights._leading == {}
