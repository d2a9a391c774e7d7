"""How often a key and each of its visitors may call."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import httpx
import pytest
from api_fakes import TEXTS, FakeApplication, MakeClient, ingest
from keyed import PAGE, call, make_keys

from api.keys.key import Key
from api.keys.rates import VISITORS_AT_ONE_ADDRESS, Rates, Visit
from rag.errors import RateLimitError, StateUnavailableError

ASKED = {"question": "How long do refunds take?"}
SITE = Key(
    "site",
    frozenset({"publish"}),
    collections=("default",),
    origins=(PAGE,),
    requests_per_minute=100,
    visitor_requests_per_minute=3,
    visitor_questions_per_day=2,
)
ANN, BEN = "visitor-ann", "visitor-ben"


def visit(visitor: str = ANN, address: str = "192.0.2.1", *, asks: bool = False) -> Visit:
    return Visit(visitor, address, is_question=asks)


def refused(rates: Rates, key: Key, *visits: Visit) -> str:
    """What the last of these visits is told."""
    *before, last = visits
    for one in before:
        rates.take(key, one)
    with pytest.raises(RateLimitError) as caught:
        rates.take(key, last)
    assert caught.value.retryable
    assert caught.value.retry_after_s is not None
    return str(caught.value)


def test_a_key_without_limits_has_none() -> None:
    rates, key = Rates(), Key("desk", frozenset({"ask"}))
    for _ in range(500):
        rates.take(key, visit(asks=True))


def test_a_visitor_has_a_limit_of_its_own() -> None:
    rates = Rates()
    told = refused(rates, SITE, *[visit()] * 4)
    assert told.startswith("this visitor has made 3 requests within a minute, which is the limit: ")
    assert "come back in 60 s" in told
    rates.take(SITE, visit(BEN))
    rates.take(replace(SITE, name="other"), visit())


def test_questions_are_counted_by_the_day() -> None:
    rates = Rates()
    told = refused(rates, SITE, *[visit(asks=True)] * 3)
    assert "this visitor has made 2 questions within a day" in told
    rates.take(SITE, visit())  # what is no question goes on


def test_who_makes_up_names_is_bound_by_its_address() -> None:
    rates, most = Rates(), SITE.visitor_requests_per_minute or 0
    many = [visit(f"visitor-{number}") for number in range(most * VISITORS_AT_ONE_ADDRESS + 1)]
    assert "this address has made 30 requests within a minute" in refused(rates, SITE, *many)
    rates.take(SITE, visit("visitor-0", "192.0.2.2"))
    nameless = [visit("", "192.0.2.3")] * (most * VISITORS_AT_ONE_ADDRESS + 1)
    assert "this address" in refused(rates, SITE, *nameless)


def test_a_visitor_who_is_refused_blocks_nobody() -> None:
    rates, key = Rates(), replace(SITE, requests_per_minute=10)
    refused(rates, key, *[visit()] * 4)
    for _ in range(200):
        with pytest.raises(RateLimitError, match="this visitor"):
            rates.take(key, visit())
    for number in range(7):  # 3 of the key's 10 are used, not 204
        rates.take(key, visit(f"visitor-{number}"))
    assert "the key 'site' has made 10 requests within a minute" in refused(rates, key, visit(BEN))


def test_the_window_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    rates = Rates(now=lambda: clock[0])
    rates.take(SITE, visit())
    clock[0] += 40
    assert "come back in 20 s" in refused(rates, SITE, *[visit()] * 3)
    clock[0] += 21
    rates.take(SITE, visit())
    refused(rates, SITE, visit())


def test_who_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    rates, key = Rates(now=lambda: clock[0]), replace(SITE, requests_per_minute=None)
    for number in range(500):
        rates.take(key, visit(f"visitor-{number}", f"192.0.2.{number}"))
    events = rates._storage.events  # type: ignore[union-attr]
    assert len(events) == 1_000
    clock[0] += 61
    for _ in range(500):
        rates.take(key, visit(BEN, "192.0.2.0"))
        clock[0] += 30
        time.sleep(0.0001)  # `limits` looks for what has expired in a thread of its own
    deadline = time.monotonic() + 20
    while len(events) > 2 and time.monotonic() < deadline:
        time.sleep(0.02)
        rates.take(key, visit(BEN, "192.0.2.0"))
        clock[0] += 30
    assert len(events) <= 2


def test_a_redis_that_is_away_is_told_in_one_line() -> None:
    rates = Rates("redis://127.0.0.1:1")
    with pytest.raises(StateUnavailableError, match="the limits in Redis cannot be counted"):
        rates.take(SITE, visit())
    rates.take(Key("desk", frozenset({"ask"})), visit())  # has no limits to count


# Over HTTP


@pytest.fixture
async def service(application: FakeApplication, make_client: MakeClient) -> httpx.AsyncClient:
    await ingest(application, **TEXTS)
    return await make_client(application)


async def ask(client: httpx.AsyncClient, key: str, **headers: Any) -> httpx.Response:
    return await call(client, "POST", "/v1/answers", key, json=ASKED, origin=PAGE, **headers)


async def test_a_refusal_says_when_to_come_back_and_the_page_can_read_it(
    service: httpx.AsyncClient, application: FakeApplication
) -> None:
    [key] = make_keys(application, SITE).values()
    for _ in range(2):
        assert (await ask(service, key, x_rag_visitor=ANN)).status_code == 200
    got = await ask(service, key, x_rag_visitor=ANN)
    assert got.status_code == 429
    assert got.headers["access-control-allow-origin"] == PAGE
    assert got.headers["access-control-expose-headers"] == "Retry-After, X-Request-Id"
    assert 86_000 < int(got.headers["retry-after"]) <= 86_400
    assert got.json()["type"] == "urn:thrifty-rag:problem:rate-limit"
    assert got.json()["retryable"] is True
    assert (await ask(service, key, x_rag_visitor=BEN)).status_code == 200


@pytest.mark.parametrize("name", ["short", "x" * 65, "a b c d e f", "ümlaut-ümlaut"])
async def test_a_visitor_that_cannot_be(
    service: httpx.AsyncClient, application: FakeApplication, name: str
) -> None:
    [key] = make_keys(application, SITE).values()
    headers = {"authorization": key, "origin": PAGE, "x-rag-visitor": name.encode()}
    got = await service.post("/v1/answers", json=ASKED, headers=headers)  # type: ignore[arg-type]
    assert got.status_code == 422
    assert "give 8 to 64 letters" in got.json()["detail"]


async def test_a_thousand_messages_in_a_second_reach_nothing(
    service: httpx.AsyncClient, application: FakeApplication
) -> None:
    [key] = make_keys(application, replace(SITE, visitor_questions_per_day=None)).values()
    got = [await ask(service, key, x_rag_visitor=ANN) for _ in range(200)]
    assert [one.status_code for one in got].count(200) == 3
    assert {one.status_code for one in got} == {200, 429}
    counted = (await call(service, "GET", "/metrics", "Bearer secret")).text
    assert 'rag_requests_total{method="POST",route="/v1/answers",status="429"} 197.0' in counted


async def test_clients_of_openai_are_told_to_come_back(
    service: httpx.AsyncClient, application: FakeApplication
) -> None:
    desk = Key("desk", frozenset({"ask"}), requests_per_minute=1)
    [key] = make_keys(application, desk).values()
    asked = {"model": "default", "messages": [{"role": "user", "content": "refunds"}]}
    for _ in range(2):
        got = await call(service, "POST", "/v1/chat/completions", key, json=asked)
    assert got.status_code == 429
    assert got.json()["error"]["code"] == "rate_limit_exceeded"
    assert got.headers["x-should-retry"] == "true"
    assert got.headers["retry-after"] == "60"
