"""Clients that send or read too slowly, too much, or all at once: a real service, real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from patience import FAR_S
from test_cli_processes import serving

JSON = "Content-Type: application/json\r\n"
QUESTION = json.dumps({"question": "refunds"}).encode()
LARGE_BYTES = 16_000_000


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service that knows a document, waits a second for clients, and answers eight at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("slow"))
        for name in [name for name in os.environ if name.upper().startswith("RAG_")]:
            patch.delenv(name)
        patch.setenv("RAG_SERVER__CLIENT_TIMEOUT_S", "1")
        patch.setenv("RAG_SERVER__MAX_CONCURRENT_ANSWERS", "8")
        patch.setenv("RAG_LOG__LEVEL", "warning")  # nobody reads the log while it is written
        with serving() as (address, _), client_of(address) as client:
            ingest(client, {"id": "refunds", "text": "Refunds take 14 days."})
            yield address


def client_of(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=FAR_S)


def ingest(client: httpx.Client, document: dict[str, Any]) -> None:
    job = client.post("/v1/documents", json={"documents": [document]}).json()
    while job["state"] in ("queued", "running"):
        time.sleep(0.05)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    assert job["state"] == "done", job


def connect(url: str) -> socket.socket:
    where = urlsplit(url)
    return socket.create_connection((where.hostname, where.port), timeout=FAR_S)


def head(url: str, route: str, *lines: str) -> bytes:
    host = f"Host: {urlsplit(url).netloc}"
    return "\r\n".join([f"{route} HTTP/1.1", host, *lines, "\r\n"]).encode()


def drip(connection: socket.socket, data: bytes, every_s: float = 0.1) -> bytes:
    """Send byte by byte until something comes back or the other side is gone; give what came."""
    connection.settimeout(every_s)
    for byte in data:
        try:
            connection.sendall(bytes([byte]))
            return connection.recv(65_536) + rest_of(connection)
        except TimeoutError:
            continue
        except OSError:
            return b""
    raise AssertionError("nobody minded")


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other side closes, or breaks off."""
    connection.settimeout(FAR_S)
    found = b""
    try:
        while part := connection.recv(1_000_000):
            found += part
    except ConnectionError:
        pass
    return found


def problem_in(answer: bytes, status: int) -> dict[str, Any]:
    first, _, body = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"content-type: application/problem+json" in first
    problem: dict[str, Any] = json.loads(body)
    assert problem["status"] == status
    return problem


def is_well(url: str) -> bool:
    with client_of(url) as client:
        return client.get("/health").status_code == 200


def test_a_head_that_comes_byte_by_byte_is_not_waited_for(url: str) -> None:
    with connect(url) as connection:
        answer = drip(connection, head(url, "GET /health", "X-Long: " + "x" * 1_000))
    assert "longer than 1 s" in problem_in(answer, 408)["detail"]


@pytest.mark.parametrize("sent", [b"", b"\r\n" * 500])
def test_who_sends_no_request_is_not_waited_for(url: str, sent: bytes) -> None:
    with connect(url) as connection:
        drip(connection, sent) if sent else rest_of(connection)


def test_between_two_requests_a_connection_is_kept(url: str) -> None:
    where = urlsplit(url).netloc
    with closing(http.client.HTTPConnection(where, timeout=FAR_S)) as kept:
        kept.request("GET", "/health")
        kept.getresponse().read()
        first = kept.sock
        time.sleep(6)  # uvicorn's own patience is 5 s
        kept.request("GET", "/health")
        assert kept.getresponse().read()
        assert kept.sock is first
        first.sendall(b"GET /health")
        assert "longer than 1 s" in problem_in(rest_of(first), 408)["detail"]


def test_a_body_that_comes_byte_by_byte_is_not_waited_for(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head(url, "POST /v1/answers", JSON + "Content-Length: 1000"))
        answer = drip(connection, b" " * 1_000)
    detail = problem_in(answer, 408)["detail"]
    assert detail.startswith("the body stopped at ")
    assert "waits 1 s and a second for each 1,000 bytes" in detail
    assert is_well(url)


def test_a_body_that_is_slow_and_keeps_the_rate_is_taken(url: str) -> None:
    body = QUESTION.ljust(6_000)
    with connect(url) as connection:
        lines = JSON + f"Content-Length: {len(body)}\r\nConnection: close"
        connection.sendall(head(url, "POST /v1/answers", lines))
        for start in range(0, len(body), 1_000):
            time.sleep(0.4)
            connection.sendall(body[start : start + 1_000])
        answer = rest_of(connection)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_the_rest_of_a_body_that_nobody_wants_is_not_waited_for(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(head(url, "POST /nowhere", "Content-Length: 100000"))
        assert drip(connection, b" " * 1_000).startswith(b"HTTP/1.1 404 ")


def test_an_endless_head_is_refused(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nX-Long: ")
        with pytest.raises(ConnectionError):  # noqa: PT012
            for _ in range(1_000):
                connection.sendall(b"x" * 10_000)
    with connect(url) as connection:
        connection.sendall(head(url, "GET /health", "X-Long: " + "x" * 70_000)[:-2])
        answer = rest_of(connection)
    assert "longer than 65,536 bytes" in problem_in(answer, 431)["detail"]


def test_what_is_no_http_is_told_so(url: str) -> None:
    with connect(url) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert problem_in(rest_of(connection), 400)["type"].endswith(":bad-request")


def test_who_does_not_read_is_cut_off(url: str) -> None:
    with client_of(url) as client:
        ingest(client, {"id": "a", "text": "Shipping.", "metadata": {"x": "x" * LARGE_BYTES}})
        with connect(url) as connection:
            connection.sendall(head(url, "GET /v1/documents/a"))
            assert connection.recv(1)
            time.sleep(4)
            assert len(rest_of(connection)) < LARGE_BYTES
        assert len(client.get("/v1/documents/a").content) > LARGE_BYTES


def test_a_history_of_a_megabyte_is_read_and_a_larger_one_refused(url: str) -> None:
    asked = {"role": "user", "content": "refunds"}
    said = [{"role": role, "content": "x" * 5_000} for role in ("user", "assistant") * 100]
    with client_of(url) as client:
        body = {"model": "default", "messages": [*said, asked]}
        started = time.monotonic()
        assert client.post("/v1/chat/completions", json=body).status_code == 200
        assert time.monotonic() - started < 5
        many = {"model": "default", "messages": [*said * 4, asked]}
        refused = client.post("/v1/chat/completions", json=many)
        assert refused.status_code == 413
        message = refused.json()["error"]["message"]
        assert "limit of 4,000,000 bytes" in message
        assert "server.max_question_bytes" in message


async def test_a_thousand_messages_in_a_second_are_answered_or_refused(url: str) -> None:
    where = urlsplit(url)
    request = head(
        url, "POST /v1/answers", JSON + f"Content-Length: {len(QUESTION)}\r\nConnection: close"
    )

    async def ask() -> tuple[int, bool]:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        try:
            writer.write(request + QUESTION)
            answer = await reader.read()
            return int(answer.split()[1]), b"retry-after: 1\r\n" in answer.lower()
        finally:
            writer.close()

    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        found = Counter(await asyncio.gather(*(ask() for _ in range(1_000))))
        assert set(found) <= {(200, False), (503, True)}, found
        assert found[200, False] >= 8
        assert (await client.post("/v1/answers", json={"question": "refunds"})).status_code == 200
