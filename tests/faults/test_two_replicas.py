"""Two services over one PostgreSQL, one Redis and one store act as one.

The store is Qdrant's own engine behind its HTTP interface, in the test's process.
"""

from __future__ import annotations

import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from conftest import Service, eventually, page, serving
from patience import FAR_S
from postgres import find_programs, running_cluster
from pydantic import SecretStr
from qdrant_over_http import qdrant_over_http
from redis_server import running_redis
from sqlalchemy import Engine

from api.keys.key import Key
from api.keys.records import KeyRecords
from api.state.opening import open_state
from benchmarks.load import stand_in

DURABLE = "-c listen_addresses='' -c shared_buffers=16MB"
DAY_USD = Decimal("0.008")  # a call may take almost half of it, and takes a fortieth
ADMIN = Key("root", frozenset({"admin"}))
A_MINUTE = 15


@dataclass(frozen=True)
class Pair:
    """Two services that share all but their data folders."""

    one: Service
    other: Service
    state: Engine

    def as_(self, key: Key) -> tuple[httpx.Client, httpx.Client]:
        """Clients of both that show this key."""
        shown = {"authorization": f"Bearer {KeyRecords(self.state).create(key)}"}
        clients = [
            httpx.Client(base_url=one.url, headers=shown, trust_env=False, timeout=FAR_S)
            for one in (self.one, self.other)
        ]
        return clients[0], clients[1]


@pytest.fixture(scope="module")
def pair(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: install the package postgresql, or put initdb on the path")
    folder = tmp_path_factory.mktemp("pair")
    for name in ("one", "other"):
        (folder / name).mkdir()
        subprocess.run(["cp", "-a", str(prepared / "models"), str(folder / name)], check=True)
    with (
        running_cluster(programs, DURABLE) as database,
        running_redis(folder) as redis_url,
        qdrant_over_http() as qdrant,
        stand_in() as model_url,
    ):
        state_url = database.url(database.create_database())
        settings = {
            "RAG_STATE_URL": state_url,
            "RAG_SERVER__REDIS_URL": redis_url,
            "RAG_STORE__URL": qdrant.url,
            "RAG_LOCAL__BASE_URL": model_url,
            "RAG_LOCAL__MODEL": "m",
            "RAG_LOCAL__GPU_USD_PER_HOUR": "2",
            "RAG_LOCAL__TIMEOUT_S": "2",
            "RAG_BUDGETS__DAY_USD": str(DAY_USD),
            "RAG_REUSE__MIN_CONFIDENCE": "0",
        }
        with (
            serving(folder / "one", **settings) as one,
            serving(folder / "other", **settings) as other,
        ):
            state = open_state(folder / "unused", SecretStr(state_url))
            yield Pair(one, other, state)
            state.dispose()


@pytest.fixture(scope="module")
def admins(pair: Pair) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Clients of both with an operator's key; they have ingested something each."""
    clients = pair.as_(ADMIN)
    for number, client in enumerate(clients):
        ingest(client, number + 1)
    yield clients
    for client in clients:
        client.close()


def ingest(client: httpx.Client, number: int) -> str:
    body = {"documents": [{"id": f"page-{number}", "text": page(number)}]}
    job_id: str = client.post("/v1/documents", json=body).raise_for_status().json()["id"]
    eventually(lambda: client.get(f"/v1/jobs/{job_id}").json()["state"] == "done")
    return job_id


def at_once(calls: list[Callable[[], httpx.Response]]) -> list[httpx.Response]:
    with ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda call: call(), calls))


def test_what_one_ingests_both_find(admins: tuple[httpx.Client, httpx.Client]) -> None:
    for client in admins:
        for number in (1, 2):
            asked = {"question": page(number), "k": 1}
            [hit] = client.post("/v1/search", json=asked).json()["hits"]
            assert hit["document_id"] == f"page-{number}"


def test_jobs_of_both_are_done_once(admins: tuple[httpx.Client, httpx.Client]) -> None:
    body = [{"documents": [{"id": f"job-{n}", "text": page(100 + n)}]} for n in range(8)]
    sent = at_once(
        [
            lambda n=n, asked=asked: admins[n % 2].post("/v1/documents", json=asked)  # type: ignore[misc]
            for n, asked in enumerate(body)
        ]
    )
    job_ids = [one.raise_for_status().json()["id"] for one in sent]
    for client in admins:
        for job_id in job_ids:
            eventually(lambda c=client, j=job_id: c.get(f"/v1/jobs/{j}").json()["state"] == "done")  # type: ignore[misc]
    jobs = [admins[0].get(f"/v1/jobs/{job_id}").json() for job_id in job_ids]
    assert [job["attempts"] for job in jobs] == [1] * len(jobs)
    assert sum(job["report"]["counts"]["added"] for job in jobs) == len(jobs)


def test_the_limit_of_a_key_is_that_of_both_together(pair: Pair) -> None:
    key = Key("limited", frozenset({"ask"}), requests_per_minute=A_MINUTE)
    clients = pair.as_(key)
    asked = {"question": "How often does machine 1 need oil?", "k": 1}
    told = at_once(
        [lambda n=n: clients[n % 2].post("/v1/search", json=asked) for n in range(3 * A_MINUTE)]  # type: ignore[misc]
    )
    counted = Counter(one.status_code for one in told)
    assert counted[429] == 2 * A_MINUTE, counted
    assert all(int(one.headers["retry-after"]) >= 1 for one in told if one.status_code == 429)
    for client in clients:
        client.close()


def test_an_answer_is_given_again_by_the_other_until_its_document_goes(
    admins: tuple[httpx.Client, httpx.Client],
) -> None:
    one, other = admins
    ingest(one, 40)
    asked = {"question": "Who was the keeper of machine 40 in the year 1990?"}
    made = one.post("/v1/answers", json=asked).raise_for_status().json()
    assert made["tier"] != "cache"
    again = other.post("/v1/answers", json=asked).raise_for_status().json()
    assert (again["tier"], again["answer"]) == ("cache", made["answer"])
    one.delete("/v1/documents/page-40").raise_for_status()
    without = other.post("/v1/answers", json=asked).raise_for_status().json()
    assert without["tier"] != "cache"
    assert "Keeper40" not in without["answer"]


def test_the_budget_is_that_of_both_together(admins: tuple[httpx.Client, httpx.Client]) -> None:
    told = at_once(
        [
            lambda n=n: admins[n % 2].post(  # type: ignore[misc]
                "/v1/answers", json={"question": f"What does machine {n} need?", "tier": "local"}
            )
            for n in range(40)
        ]
    )
    tiers = Counter(one.json().get("tier", one.status_code) for one in told)
    assert tiers["local"] >= 3, told[0].text
    assert len(told) - tiers["local"] >= 3, tiers
    costs = [client.get("/v1/costs", params={"by": "day"}).json()["rows"] for client in admins]
    assert costs[0] == costs[1]
    assert 0 < sum(Decimal(row["spent_usd"]) for row in costs[0]) <= DAY_USD
