"""The id of a request: in its response, in its problem, and on the lines of the log."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
from collections.abc import Iterator

import httpx
import pytest
from api_fakes import TEXTS, FakeApplication, MakeApplication, MakeClient, ingest
from patience import FAR_S
from test_api_problems import FailingRetriever
from test_cli_processes import serving

from api.http.request_ids import current_request_id, request_id
from api.telemetry.logs import JsonFormatter, TextFormatter

ASKED = {"question": "refunds"}
HEX_CHARS = 32


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the service logs, as lines of JSON."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    log = logging.getLogger("api")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)
    log.setLevel(level)


def lines(written: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.mark.parametrize("sent", ["a", "abc-123_4.5:6", "x" * 100, "00000000-0000-4000-8000-0"])
async def test_a_sane_id_is_taken_and_given_back(client: httpx.AsyncClient, sent: str) -> None:
    response = await client.get("/health", headers={"X-Request-Id": sent})
    assert response.headers["x-request-id"] == sent


@pytest.mark.parametrize(
    "sent", ["", "x" * 101, "-a", "a b", "a\tb", "<script>", "a\xe9", '{"a":1}', "a,b", "a%0Ab"]
)
async def test_what_is_no_id_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    response = await client.get("/health", headers={"X-Request-Id": sent.encode("latin-1")})
    made = response.headers["x-request-id"]
    assert made != sent
    assert len(made) == HEX_CHARS


async def test_every_request_has_an_id_of_its_own(client: httpx.AsyncClient) -> None:
    responses = [await client.get("/health") for _ in range(20)]
    assert len({response.headers["x-request-id"] for response in responses}) == 20


async def test_a_problem_names_its_request(client: httpx.AsyncClient) -> None:
    named = {"X-Request-Id": "seven"}
    for method, path in (("POST", "/v1/answers"), ("GET", "/nope"), ("PUT", "/health")):
        response = await client.request(method, path, json={"question": ""}, headers=named)
        assert response.json()["instance"] == "urn:thrifty-rag:request:seven"
        assert response.headers["x-request-id"] == "seven"
    foreign = await client.get("/health", headers=named | {"host": "evil.example"})
    assert foreign.json()["instance"] == "urn:thrifty-rag:request:seven"


async def test_an_error_in_a_stream_names_its_request(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(make_application(retriever=FailingRetriever(ValueError("secret"))))
    response = await client.post(
        "/v1/answers", json=ASKED | {"stream": True}, headers={"X-Request-Id": "eight"}
    )
    assert '"instance": "urn:thrifty-rag:request:eight"' in response.text


async def test_an_unexpected_error_can_be_quoted_and_found_in_the_log(
    make_application: MakeApplication, make_client: MakeClient, written: io.StringIO
) -> None:
    client = await make_client(make_application(retriever=FailingRetriever(ValueError("broken"))))
    response = await client.post("/v1/search", json=ASKED)
    given = response.headers["x-request-id"]
    assert response.status_code == 500
    assert response.json()["detail"].endswith(f"its log says what, under {given}")
    found = [line for line in lines(written) if line["request_id"] == given]
    assert [line["level"] for line in found] == ["error", "info"]
    assert "ValueError: broken" in found[0]["exception"]
    assert found[1]["message"].startswith("POST /v1/search 500 ")


async def test_requests_at_the_same_time_keep_their_ids_apart(
    application: FakeApplication, make_client: MakeClient, written: io.StringIO
) -> None:
    await ingest(application, **TEXTS)
    client = await make_client(application)

    async def ask(name: str) -> None:
        path = f"/v1/documents/{name}"
        response = await client.get(path, headers={"X-Request-Id": name})
        assert response.json()["instance"].endswith(f":{name}")

    await asyncio.gather(*(ask(f"nothing-{number}") for number in range(30)))
    told = lines(written)
    assert len(told) == 30
    for line in told:
        assert line["message"].split()[1] == f"/v1/documents/{line['request_id']}"
    assert current_request_id() == ""


def test_a_line_of_json_is_one_line_whatever_it_holds() -> None:
    record = logging.LogRecord("rag.x", logging.WARNING, "f", 1, "a\nb %s \u2028é", ("c",), None)
    with request_id("nine"):
        line = JsonFormatter().format(record)
    assert line.isascii()
    assert "\n" not in line
    told = json.loads(line)
    assert told.pop("time").endswith("+00:00")
    assert told == {
        "level": "warning",
        "logger": "rag.x",
        "message": "a\nb c \u2028é",
        "request_id": "nine",
    }
    assert json.loads(JsonFormatter().format(record))["request_id"] is None


def test_a_line_of_text_has_the_id_or_a_dash() -> None:
    record = logging.LogRecord("rag.x", logging.INFO, "f", 1, "said", (), None)
    with request_id("ten"):
        assert TextFormatter().format(record).endswith(" INFO ten said")
    assert TextFormatter().format(record).endswith(" INFO - said")


@pytest.mark.skipif(sys.platform == "win32", reason="a process there is stopped without a word")
def test_a_real_service_logs_lines_of_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_LOG__FORMAT", "json")
    with serving() as (url, process):
        httpx.get(
            f"{url}/health", headers={"X-Request-Id": "eleven"}, trust_env=False, timeout=FAR_S
        )
        httpx.post(f"{url}/v1/answers", json={"question": ""}, trust_env=False, timeout=FAR_S)
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        second = json.loads(process.stderr.readline())
    assert (first["request_id"], first["level"]) == ("eleven", "info")
    assert first["message"].startswith("GET /health 200 ")
    assert second["message"].startswith("POST /v1/answers 422 ")
