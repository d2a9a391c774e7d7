"""Database, store and model go away and come back, and the service is never started anew."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cable import Cable, cable_to
from conftest import Service, eventually, page, serving
from postgres import Cluster, find_programs, running_cluster
from pydantic import SecretStr
from qdrant_over_http import qdrant_over_http
from sqlalchemy import select

from api.state.opening import open_state
from benchmarks.load import stand_in
from generation.money.tables import ANSWERS

DURABLE = "-c listen_addresses='' -c shared_buffers=16MB"
QUESTION = "How often does machine 3 need oil?"


@dataclass(frozen=True)
class Place:
    """A service whose state, chunks and model are elsewhere, and what they are reached by."""

    service: Service
    database: Cluster
    database_url: str
    store: Cable
    model: Cable


@pytest.fixture(scope="module")
def place(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL: install the package postgresql, or put initdb on the path")
    data_dir = tmp_path_factory.mktemp("away") / "rag"
    data_dir.mkdir()
    subprocess.run(["cp", "-a", str(prepared / "models"), str(data_dir)], check=True)
    with (
        running_cluster(programs, DURABLE) as database,
        qdrant_over_http() as qdrant,
        stand_in() as model_url,
        cable_to(urlsplit(qdrant.url).port or 0) as store,
        cable_to(urlsplit(model_url).port or 0) as model,
    ):
        database_url = database.url(database.create_database())
        settings = {
            "RAG_STATE_URL": database_url,
            "RAG_STORE__URL": f"http://127.0.0.1:{store.port}",
            "RAG_STORE__TIMEOUT_S": "2",
            "RAG_LOCAL__BASE_URL": f"http://127.0.0.1:{model.port}{urlsplit(model_url).path}",
            "RAG_LOCAL__MODEL": "m",
            "RAG_REUSE__ENABLED": "0",
        }
        with serving(data_dir, **settings) as service:
            for number in range(3, 6):
                add(service, number)
            yield Place(service, database, database_url, store, model)


def add(service: Service, number: int) -> str:
    """Ingest a document, and give the id of its job."""
    body = {"documents": [{"id": f"page-{number}", "text": page(number)}]}
    job = service.client.post("/v1/documents", json=body).raise_for_status().json()
    job_id: str = job["id"]
    eventually(lambda: state_of(service, job_id) in ("done", "failed"))
    return job_id


def state_of(service: Service, job_id: str) -> str:
    state: str = service.client.get(f"/v1/jobs/{job_id}").json()["state"]
    return state


def answers(service: Service) -> bool:
    return service.ask(QUESTION).status_code == 200


def test_the_database_goes_and_comes_back(place: Place) -> None:
    service = place.service
    told = [service.ask(QUESTION).raise_for_status().json()["id"] for _ in range(5)]
    right = {"answer_id": told[0], "verdict": "right"}
    service.client.post("/v1/feedback", json=right).raise_for_status()
    place.database.stop()
    try:
        for refused in (service.ask(QUESTION), service.client.post("/v1/feedback", json=right)):
            assert (refused.status_code, refused.json()["retryable"]) == (503, True)
            assert "cannot be reached" in refused.json()["detail"]
        body = {"documents": [{"id": "lost", "text": "Nobody promised to keep this."}]}
        assert service.client.post("/v1/documents", json=body).status_code == 503
        assert service.client.get("/ready").status_code == 503
        assert service.client.get("/health").status_code == 200
    finally:
        place.database.start()
    eventually(lambda: answers(service))
    told.append(service.ask(QUESTION).raise_for_status().json()["id"])
    state = open_state(Path("unused"), SecretStr(place.database_url))
    with state.connect() as connection:
        recorded = set(connection.scalars(select(ANSWERS.c.answer_id)))
    state.dispose()
    assert set(told) <= recorded
    assert state_of(service, add(service, 7)) == "done", "jobs run again too"


def test_the_store_goes_and_comes_back(place: Place) -> None:
    service = place.service
    assert answers(service)
    place.store.cut()
    refused = service.ask("Who kept machine 4?")  # what was asked before, it may know by heart
    assert (refused.status_code, refused.json()["retryable"]) == (503, True)
    assert refused.json()["type"].endswith(":store-unavailable")
    body = {"documents": [{"id": "page-8", "text": page(8)}]}
    job = service.client.post("/v1/documents", json=body).raise_for_status().json()
    eventually(lambda: state_of(service, job["id"]) != "queued")
    place.store.mend()
    eventually(lambda: service.ask("Who kept machine 5?").status_code == 200)
    eventually(lambda: state_of(service, job["id"]) in ("done", "failed"))
    if state_of(service, job["id"]) == "failed":  # it says so, and nothing of it was lost
        again = service.client.post(f"/v1/jobs/{job['id']}/retry").raise_for_status().json()
        eventually(lambda: state_of(service, again["id"]) == "done")
    found = service.client.post("/v1/search", json={"question": page(8), "k": 1}).json()["hits"]
    assert [hit["document_id"] for hit in found] == ["page-8"]


def tiers_after_a_call(service: Service) -> list[str]:
    service.ask(QUESTION, tier="local").raise_for_status()
    tiers: list[str] = service.client.get("/ready").raise_for_status().json()["tiers"]
    return tiers


def test_the_model_goes_and_comes_back(place: Place) -> None:
    service = place.service
    assert service.ask(QUESTION, tier="local").raise_for_status().json()["tier"] == "local"
    place.model.cut()
    without = service.ask(QUESTION, tier="local").raise_for_status().json()
    assert (without["tier"], without["status"]) == ("extractive", "degraded")
    assert without["citations"], without
    eventually(lambda: "local" not in tiers_after_a_call(service))
    place.model.mend()
    eventually(lambda: service.ask(QUESTION, tier="local").json()["tier"] == "local")
    assert "local" in tiers_after_a_call(service)


def test_the_model_goes_while_it_writes(place: Place) -> None:
    """A stream that has begun ends with an answer or an error, and not in silence."""
    service = place.service
    body = {"question": QUESTION, "tier": "local", "stream": True}
    with service.client.stream("POST", "/v1/answers", json=body) as stream:
        place.model.cut()
        heard = [line for line in stream.iter_lines() if line.startswith("data:")]
    place.model.mend()
    assert json.loads(heard[-1].removeprefix("data:"))["status"] in ("degraded", "answered")
    eventually(lambda: service.ask(QUESTION, tier="local").json()["tier"] == "local")
