"""Places for questions: who waits, who is refused, and when it is crowded."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator
from itertools import pairwise

import httpx
import pytest
from api_fakes import MakeApplication, MakeClient
from starlette.types import Scope
from virtual_clock import now, on_virtual_clock

from api.http.limits.places import (
    COME_BACK_S,
    FIRST_TRY_S,
    LAST_TRY_S,
    LONGEST_WAIT_S,
    QUIET_PLACES_PER_CORE,
    RETRY_AFTER_S,
    SHORTER_WAIT_S,
    TRIED_WAIT_S,
    WINDOW_S,
    Places,
    Seat,
)
from api.http.limits.usher import Comebacks
from rag.aside import PLACE, standing_aside
from rag.errors import OverloadedError

QUIET = QUIET_PLACES_PER_CORE
EACH_S = 0.01
Waited = tuple[float, float]
"""When somebody came, and how long it took until he was let in or refused."""


async def hold(places: Places, seconds: float) -> float:
    """Work in a place for so long; gives how long it was waited for."""
    began = now()
    place = await places.enter()
    waited = now() - began
    await asyncio.sleep(seconds)
    place.end()
    return waited


async def come(places: Places, each_s: float, hold_s: float, many: int) -> list[float | Exception]:
    """Questions one after the other: what `hold` gives for each, or its error."""
    tasks = []
    for _ in range(many):
        tasks.append(asyncio.create_task(hold(places, hold_s)))
        await asyncio.sleep(each_s)
    done = await asyncio.gather(*tasks, return_exceptions=True)
    return [one if isinstance(one, float) else Exception(one) for one in done]


async def crowded_places() -> Places:
    """One core, on which four times as much as it can answer has come for a while."""
    places = Places(1, now)
    await come(places, 0.0025, 0.01 * QUIET, 1_200)
    assert places.is_crowded
    return places


@on_virtual_clock
async def test_who_finds_no_place_waits_for_one_first_come_first_served() -> None:
    places = Places(1, now)
    waited = await asyncio.gather(*(hold(places, 0.1) for _ in range(3 * QUIET)))
    assert waited == pytest.approx([0.0] * QUIET + [0.1] * QUIET + [0.2] * QUIET)
    assert not places.is_crowded


@on_virtual_clock
async def test_what_can_be_answered_in_time_is_answered_however_long_it_lasts() -> None:
    places = Places(1, now)
    waited = await come(places, 0.011, 0.01 * QUIET, 2_000)
    assert all(isinstance(one, float) for one in waited)
    assert not places.is_crowded


@on_virtual_clock
async def test_too_many_are_refused_at_once_and_the_others_answered_soon() -> None:
    places = await crowded_places()
    began = now()
    seat = await places.enter()
    with pytest.raises(OverloadedError, match="come back in 1 s") as refused:
        await places.enter()
    assert refused.value.retry_after_s == 1
    assert now() == began
    seat.end()


@on_virtual_clock
async def test_before_it_is_crowded_nobody_waits_for_long() -> None:
    places = Places(1, now)
    done = await come(places, 0.0025, 0.01 * QUIET, 1_600)
    waited = [one for one in done if isinstance(one, float)]
    assert max(waited) <= SHORTER_WAIT_S + WINDOW_S
    late = [one for one in done[1_200:] if isinstance(one, float)]  # from three seconds on
    assert len(late) >= 25 - 2, "the one place that is left is always taken, 40 ms at a time"
    assert max(late) == 0


@on_virtual_clock
async def test_it_is_no_longer_crowded_when_fewer_come() -> None:
    places = await crowded_places()
    await asyncio.sleep(2 * WINDOW_S)
    await hold(places, 0)
    assert places.is_crowded, "the window in which so many came has only just ended"
    await come(places, 0.1, 0.01, 30)
    assert not places.is_crowded


@on_virtual_clock
async def test_those_who_come_back_when_told_are_soon_answered_all() -> None:
    places = Places(1, now)
    places._close_up()
    answered = 0

    async def ask(until_s: float) -> None:
        nonlocal answered
        while now() < until_s:
            try:
                await work(places)
                answered += 1
            except OverloadedError:
                await asyncio.sleep(random.uniform(RETRY_AFTER_S, 2 * COME_BACK_S - RETRY_AFTER_S))

    began = now()
    await asyncio.gather(*(ask(began + FIRST_TRY_S - 0.1) for _ in range(50)))
    assert places.is_crowded, "who is answered asks again at once, and takes the only place"
    before, began = answered, now()
    await asyncio.gather(*(ask(began + 10) for _ in range(50)))
    assert not places.is_crowded, "together they wait for half a second"
    assert answered - before > 0.9 * 10 / EACH_S


@on_virtual_clock
async def test_those_who_come_back_at_once_do_not_keep_it_crowded_for_ever() -> None:
    places = Places(1, now)
    places._close_up()

    async def insist(until_s: float) -> None:
        while now() < until_s:
            try:
                await work(places)
            except OverloadedError:
                await asyncio.sleep(0.05)

    await asyncio.gather(*(insist(LAST_TRY_S - 1) for _ in range(20)))
    assert places.is_crowded, "they make four hundred requests a second"
    await asyncio.gather(*(insist(LAST_TRY_S + 10) for _ in range(20)))
    assert not places.is_crowded, "all who are there find a place in time"


@on_virtual_clock
async def test_the_more_often_it_is_crowded_again_the_later_it_is_over() -> None:
    opened, _ = await opened_under(1 / (1.8 / EACH_S), 110)
    pauses = [later - earlier for earlier, later in pairwise(opened)]
    expected = [2 * FIRST_TRY_S, 4 * FIRST_TRY_S, 8 * FIRST_TRY_S]
    assert pauses == pytest.approx(expected, abs=5)  # it takes four to notice


@on_virtual_clock
async def test_where_far_too_many_come_it_is_tried_rarely_and_shortly() -> None:
    opened, waited = await opened_under(1 / (4 / EACH_S), 150)
    assert opened == pytest.approx([LAST_TRY_S, 2 * LAST_TRY_S], abs=5)
    late = [wait for at, wait in waited if at > LAST_TRY_S / 2]
    assert 0 < max(late) < TRIED_WAIT_S + 0.1
    assert len([wait for wait in late if wait > 0]) < 0.01 * len(late)


async def work(places: Places) -> None:
    """A question that takes `EACH_S` alone, and as many times that as work at once."""
    await hold(places, EACH_S * places._limit)


async def opened_under(every_s: float, seconds: float) -> tuple[list[float], list[Waited]]:
    """When it is over that it is crowded, with a question every so often; and how long each takes
    until it is let in or refused.
    """
    places = Places(1, now)
    opened, was_crowded, waited = [], False, []

    async def ask() -> None:
        began = now()
        try:
            place = await places.enter()
        except OverloadedError:
            waited.append((began, now() - began))
            return
        waited.append((began, now() - began))
        await asyncio.sleep(EACH_S * places._limit)
        place.end()

    async with asyncio.TaskGroup() as group:
        for _ in range(round(seconds / every_s)):
            group.create_task(ask())
            await asyncio.sleep(every_s)
            if was_crowded and not places.is_crowded:
                opened.append(now())
            was_crowded = places.is_crowded
    return opened, waited


@on_virtual_clock
async def test_who_comes_while_the_machine_stands_still_has_his_turn_soon() -> None:
    places, began = Places(1, now), now()
    still_at, still_until = began + 19.105, began + 23.1
    done_at = began  # one core works on one question after the other, and on one just then

    async def sleep_until(moment: float) -> None:
        is_still = still_at <= moment < still_until
        await asyncio.sleep((still_until if is_still else moment) - now())

    async def ask(at: float) -> float:
        nonlocal done_at
        await sleep_until(at)
        place = await places.enter()
        waited = now() - at
        done_at = max(done_at, now()) + EACH_S
        await sleep_until(done_at)
        place.end()
        return waited

    comes = (began + EACH_S / 0.7 * count for count in range(4_000))
    waited = await asyncio.gather(*map(ask, comes))
    assert 3.9 < max(waited) < 7, "in whatever order they wake"
    assert max(waited[-500:]) < 0.1, "none waits any more some seconds later"


@on_virtual_clock
async def test_a_crowd_is_noticed_soon_where_all_was_well_for_long() -> None:
    places = Places(1, now)
    await come(places, EACH_S / 0.7, EACH_S * QUIET, 3_000)
    done = await come(places, EACH_S / 4, EACH_S * QUIET, 2_000)
    assert places.is_crowded
    assert max(one for one in done if isinstance(one, float)) < 3


@on_virtual_clock
async def test_all_that_waits_is_told_when_a_wait_was_too_long() -> None:
    places = Places(1, now)
    seats = [await places.enter() for _ in range(QUIET)]
    first = asyncio.create_task(hold(places, 0))
    await asyncio.sleep(LONGEST_WAIT_S / 2)
    second = asyncio.create_task(hold(places, 0))
    told = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(one) for one in told] == [OverloadedError, OverloadedError]
    assert now() == pytest.approx(LONGEST_WAIT_S)
    for seat in seats:
        seat.end()


@on_virtual_clock
async def test_who_stands_aside_has_a_place_again_at_once() -> None:
    places = Places(1, now)
    seats = [await places.enter() for _ in range(QUIET)]
    waiting = asyncio.create_task(places.enter())
    await asyncio.sleep(0.1)
    PLACE.set(seats[0])
    with standing_aside(), standing_aside():
        other = await waiting
        late = asyncio.create_task(hold(places, 0))
        await asyncio.sleep(0.1)
    other.end()
    await asyncio.sleep(0.1)
    assert not late.done(), "all places are taken again"
    seats[0].end()
    assert await late == pytest.approx(0.2)
    for seat in seats:
        seat.end()
        seat.leave()
        seat.take_back()
    assert places._taken == 0, "what is over changes nothing"


@on_virtual_clock
async def test_who_leaves_while_he_waits_takes_no_place_along() -> None:
    places = Places(1, now)
    seats = [await places.enter() for _ in range(QUIET)]
    leaving = [asyncio.create_task(places.enter()) for _ in range(2)]
    await asyncio.sleep(0.1)
    leaving[1].cancel()
    seats[0].end()  # gives its place to the first, which leaves in this moment
    leaving[0].cancel()
    await asyncio.wait(leaving)
    for seat in seats:
        seat.end()
    assert places._taken == 0


# Who comes back


@on_virtual_clock
async def test_who_comes_back_too_soon_waits_and_nobody_else_does() -> None:
    comebacks = Comebacks(now)
    names = [{"type": "http", "client": ("127.0.0.1", port)} for port in range(20)]
    for name in names:
        comebacks.note(name)
    began = now()
    await comebacks.wait({"type": "http", "client": ("127.0.0.1", 99)})
    assert now() == began

    async def wait(name: Scope) -> float:
        await comebacks.wait(name)
        return now() - began

    waited = await asyncio.gather(*map(wait, names))
    assert min(waited) >= RETRY_AFTER_S
    assert max(waited) <= 2 * RETRY_AFTER_S
    assert len(set(waited)) == len(waited), "they come back one after the other"
    began = now()
    await asyncio.gather(*map(wait, names))
    assert now() == began, "who has waited is heard"
    comebacks.note(names[0])
    await asyncio.sleep(2 * RETRY_AFTER_S)
    await comebacks.wait(names[1])
    assert not comebacks._until, "nobody is remembered for longer"


# Over HTTP


@pytest.fixture
async def full(
    make_application: MakeApplication, make_client: MakeClient
) -> AsyncIterator[httpx.AsyncClient]:
    """A service on one core, all whose places are taken, and for too long."""
    client = await make_client(make_application({"server": {"cores": 1}}))
    places = client._transport.app.state.service.places  # type: ignore[attr-defined]
    seats: list[Seat] = [await places.enter() for _ in range(QUIET)]
    places._close_up()
    yield client
    for seat in seats:
        seat.end()


async def test_a_question_is_refused_before_it_is_looked_at(full: httpx.AsyncClient) -> None:
    refused = await full.post("/v1/answers", content=b"{this is no JSON")
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    told = refused.json()
    assert told["type"] == "urn:thrifty-rag:problem:overloaded"
    assert told["retryable"] is True
    assert "more questions come than this machine can answer" in told["detail"]
    for path in ("/v1/search", "/v1/context"):
        assert (await full.post(path, json={"question": "refunds"})).status_code == 503
    assert (await full.get("/health")).status_code == 200
    assert (await full.get("/v1/documents")).status_code == 200


async def test_where_there_is_no_hope_nobody_looks_at_the_key(full: httpx.AsyncClient) -> None:
    places = full._transport.app.state.service.places  # type: ignore[attr-defined]
    assert places.are_hopeless
    body, far = b'{"question": "refunds"}', "https://www.example.org"
    told = await full.post("/v1/answers", content=body)
    assert (told.status_code, told.headers["retry-after"]) == (503, "1")
    assert "connection" not in told.headers
    long = await full.post("/v1/answers", content=b" " * 100_000)
    assert (long.status_code, long.headers["connection"]) == (503, "close")
    page = await full.post("/v1/answers", content=body, headers={"origin": far})
    assert page.status_code == 403, "what is told to pages comes from the gate"


async def test_clients_of_openai_are_told_in_their_words(full: httpx.AsyncClient) -> None:
    body = {"model": "default", "messages": [{"role": "user", "content": "refunds"}]}
    refused = await full.post("/v1/chat/completions", json=body)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.headers["x-should-retry"] == "true"
    assert refused.json()["error"]["code"] == "overloaded"


async def test_who_sends_slowly_holds_no_place(client: httpx.AsyncClient) -> None:
    places = client._transport.app.state.service.places  # type: ignore[attr-defined]
    taken_while_sending = []

    async def slow_body() -> AsyncIterator[bytes]:
        for part in json.dumps({"question": "When do refunds come?"}).encode().partition(b":"):
            yield part
            await asyncio.sleep(0)
            taken_while_sending.append(places._taken)

    answered = await client.post(
        "/v1/answers", content=slow_body(), headers={"content-type": "application/json"}
    )
    assert answered.status_code == 200
    assert taken_while_sending == [0, 0, 0]
    assert places._taken == 0


async def test_a_body_past_the_limit_is_told_as_ever(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(make_application({"server": {"max_body_bytes": 1_000}}))

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 600

    told = await client.post(
        "/v1/answers", content=endless(), headers={"content-type": "application/json"}
    )
    assert told.status_code == 413
