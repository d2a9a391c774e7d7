"""Clients that are slow, and clients that leave: the others notice nothing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import Service, copied, eventually, serving
from patience import FAR_S
from sqlalchemy import func, select

from api.state.opening import open_state
from benchmarks.load import stand_in
from generation.money.tables import RESERVATIONS

MANY = 100
QUESTION = "How often does machine 3 need oil?"


@pytest.fixture(scope="module")
def served(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, Path]]:
    data_dir = copied(prepared, tmp_path_factory.mktemp("clients") / "rag")
    with (
        stand_in() as url,
        serving(
            data_dir,
            RAG_LOCAL__BASE_URL=url,
            RAG_LOCAL__MODEL="m",
            RAG_LOCAL__GPU_USD_PER_HOUR="2",
            RAG_BUDGETS__DAY_USD="10",
            RAG_REUSE__ENABLED="0",
        ) as service,
    ):
        yield service, data_dir


def connect(service: Service) -> socket.socket:
    where = urlsplit(service.url)
    return socket.create_connection((where.hostname or "", where.port or 0), timeout=FAR_S)


def request(service: Service, body: dict[str, object]) -> bytes:
    text = json.dumps(body).encode()
    head = (
        f"POST /v1/answers HTTP/1.1\r\nHost: {urlsplit(service.url).netloc}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n"
    )
    return head.encode() + text


def is_answered_soon(service: Service) -> bool:
    began = time.monotonic()
    return service.ask(QUESTION).status_code == 200 and time.monotonic() - began < 2


def test_many_who_send_a_byte_now_and_then_hold_nobody_up(
    served: tuple[Service, Path],
) -> None:
    service, _ = served
    whole = request(service, {"question": QUESTION})
    slow = [connect(service) for _ in range(MANY)]
    for one in slow:
        one.sendall(whole[:-10])
    for sent in range(10, 0, -1):
        assert is_answered_soon(service)
        for one in slow[:5]:
            one.sendall(whole[-sent : len(whole) - sent + 1])
    for one in slow[:5]:
        assert one.recv(100).startswith(b"HTTP/1.1 200 ")
    for one in slow:
        one.close()


def test_many_who_do_not_read_what_they_asked_for_hold_nobody_up(
    served: tuple[Service, Path],
) -> None:
    service, _ = served
    slow = [connect(service) for _ in range(MANY)]
    for number, one in enumerate(slow):
        one.sendall(request(service, {"question": f"{QUESTION} {number}", "stream": True}))
    eventually(lambda: is_answered_soon(service))
    for one in slow:
        one.close()


def test_what_clients_leave_behind_is_cleared_away(served: tuple[Service, Path]) -> None:
    service, data_dir = served
    for _ in range(3):
        leaving = [connect(service) for _ in range(30)]
        for number, one in enumerate(leaving):
            asked = {"question": f"{QUESTION} {number}", "tier": "local"}
            one.sendall(request(service, asked | {"stream": number % 2 == 0}))
        time.sleep(0.2)  # some are with the model by now
        for one in leaving:
            one.close()
    eventually(lambda: service.ask(QUESTION, tier="local").json().get("tier") == "local")
    state = open_state(data_dir)
    eventually(lambda: held(state) == 0)
    state.dispose()


def held(state: object) -> int:
    with state.connect() as connection:  # type: ignore[attr-defined]
        return int(connection.scalar(select(func.count()).select_from(RESERVATIONS)))
