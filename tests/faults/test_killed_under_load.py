"""kill -9 of a service under load: whatever it acknowledged is there when it comes back."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from conftest import PAGES, Service, eventually, page, serving
from sqlalchemy import select

from api.state.opening import open_state
from generation.deciding.feedback import FEEDBACK
from generation.money.tables import ANSWERS

KILLS = 3
ASKERS = 3
SEED = 11


@dataclass
class Acknowledged:
    """What the service said that it has."""

    answers: list[str] = field(default_factory=list)
    verdicts: dict[str, str] = field(default_factory=dict)
    judged: set[str] = field(default_factory=set)
    documents: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    numbers: itertools.count[int] = field(default_factory=itertools.count)


def ask(service: Service, told: Acknowledged) -> None:
    number = next(told.numbers)
    answer = service.ask(f"How often does machine {number % PAGES} need oil, asks {number}?")
    told.answers.append(answer.raise_for_status().json()["id"])


def judge(service: Service, told: Acknowledged) -> None:
    """One verdict on the newest answer, and no second: a verdict that replaces an acknowledged
    one may count although the kill took its acknowledgement."""
    if not told.answers or told.answers[-1] in told.judged:
        time.sleep(0.01)
        return
    answer_id = told.answers[-1]
    verdict = "right" if len(told.judged) % 2 else "wrong"
    told.judged.add(answer_id)
    body = {"answer_id": answer_id, "verdict": verdict}
    service.client.post("/v1/feedback", json=body).raise_for_status()
    told.verdicts[answer_id] = verdict


def add_document(service: Service, told: Acknowledged) -> None:
    number = next(told.numbers)
    name, text = f"text-{number}", page(1_000 + number)
    body = {"documents": [{"id": name, "text": text}]}
    accepted = service.client.post("/v1/documents", json=body)
    if accepted.status_code == 503:  # as many jobs wait as may
        time.sleep(0.2)
        return
    accepted.raise_for_status()
    told.documents[name] = text


def go_on(
    act: Callable[[Service, Acknowledged], None],
    service: Service,
    told: Acknowledged,
    killed: threading.Event,
) -> None:
    with suppress(httpx.TransportError):
        while not killed.is_set():
            try:
                act(service, told)
            except httpx.HTTPStatusError as error:
                told.refused.append(error.response.text)


def load_until_killed(service: Service, told: Acknowledged, after_s: float) -> None:
    acts = [ask] * ASKERS + [judge, add_document]
    killed = threading.Event()
    threads = [threading.Thread(target=go_on, args=(act, service, told, killed)) for act in acts]
    for thread in threads:
        thread.start()
    time.sleep(after_s)
    service.kill()
    killed.set()
    for thread in threads:
        thread.join()


def test_what_was_acknowledged_is_there_after_it_was_killed(data_dir: Path) -> None:
    told, chance = Acknowledged(), random.Random(SEED)
    for _ in range(KILLS):
        with serving(data_dir) as service:
            load_until_killed(service, told, chance.uniform(1, 3))
    assert told.refused == []
    assert min(map(len, (told.answers, told.verdicts, told.documents))) > KILLS
    with serving(data_dir) as service:
        assert service.ask("How often does machine 1 need oil?").status_code == 200
        eventually(lambda: not unfinished(service))
        for name, text in told.documents.items():
            found = service.client.get(f"/v1/documents/{name}")
            assert found.json()["text"] == text, name
        name, text = list(told.documents.items())[-1]
        hits = service.client.post("/v1/search", json={"question": text, "k": 3}).json()["hits"]
        assert name in [hit["document_id"] for hit in hits]
    state = open_state(data_dir)
    with state.connect() as connection:
        recorded = set(connection.scalars(select(ANSWERS.c.answer_id)))
        kept = {
            row.answer_id: "right" if row.is_right else "wrong"
            for row in connection.execute(select(FEEDBACK.c.answer_id, FEEDBACK.c.is_right))
        }
    state.dispose()
    assert set(told.answers) <= recorded
    assert told.verdicts.items() <= kept.items()


def unfinished(service: Service) -> list[str]:
    jobs = service.client.get("/v1/jobs").json()["jobs"]
    assert not [job for job in jobs if job["state"] == "failed"], jobs
    return [job["id"] for job in jobs if job["state"] in ("queued", "waiting", "running")]
