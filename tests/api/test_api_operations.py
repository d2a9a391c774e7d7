"""Health, metrics, the page, security headers, hosts, the log, and the OpenAPI document."""

from __future__ import annotations

import logging
import re
from dataclasses import replace

import httpx
import pytest
from api_fakes import TEXTS, FakeApplication, MakeApplication, MakeClient, ingest

from api.http.app import create_app


async def test_health_and_ready(client: httpx.AsyncClient) -> None:
    health = (await client.get("/health")).json()
    assert health["status"] == "ok"
    assert health["version"]
    ready = (await client.get("/ready")).json()
    live = ["cache", "extractive"]
    assert ready == {"status": "ready", "collections": ["default"], "tiers": live}


async def test_a_tier_that_keeps_failing_is_not_ready(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    local = {"local": {"base_url": "http://127.0.0.1:9/v1", "model": "m"}}
    client = await make_client(make_application(local))
    assert (await client.get("/ready")).json()["tiers"] == ["cache", "extractive", "local"]
    application = make_application(local)
    resting = replace(application.answering, resting=frozenset({"local"}))
    client = await make_client(replace(application, answering=resting))
    assert (await client.get("/ready")).json()["tiers"] == ["cache", "extractive"]


async def test_an_unreadable_state_is_not_ready(
    application: FakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(application)
    with application.state.begin() as connection:
        connection.exec_driver_sql("DROP TABLE documents")
    response = await client.get("/ready")
    assert response.status_code == 503
    assert "cannot be used: a table is missing" in response.json()["detail"]


async def test_metrics(client: httpx.AsyncClient) -> None:
    await client.post("/v1/answers", json={"question": "refunds"})
    await client.post("/v1/answers", json={"question": "zebra"})
    await client.post("/v1/answers", json={"question": ""})
    await client.get("/v1/documents/refunds")
    await client.get("/nope")
    await client.request("STRANGE", "/nope")
    response = await client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'rag_requests_total{method="POST",route="/v1/answers",status="200"} 2.0',
        'rag_requests_total{method="POST",route="/v1/answers",status="422"} 1.0',
        'rag_requests_total{method="GET",route="unmatched",status="404"} 1.0',
        'rag_requests_total{method="other",route="unmatched",status="404"} 1.0',
        'rag_answers_total{status="answered",tier="extractive"} 1.0',
        'rag_answers_total{status="abstained",tier="extractive"} 1.0',
        'rag_stage_seconds_count{stage="retrieve"} 2.0',
        'rag_cost_usd_total{tier="extractive"} 0.0',
        'rag_saved_usd_total{tier="extractive"} 0.00862',
        'rag_answer_seconds_count{tier="extractive"} 2.0',
        'rag_answer_confidence_sum{tier="extractive"} 0.97',
        'rag_answer_confidence_bucket{le="0.9",tier="extractive"} 2.0',
        'rag_answer_confidence_bucket{le="0.8",tier="extractive"} 1.0',
        'rag_documents{collection="default"} 2.0',
        'rag_jobs{state="done"} 1.0',
    ):
        assert line in response.text.splitlines()
    assert "refunds" not in response.text  # a path with an id is one route


async def test_two_services_in_one_process_count_apart(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    one, two = await make_client(make_application()), await make_client(make_application())
    await one.get("/health")
    assert "/health" not in (await two.get("/metrics")).text


async def test_page_and_security_headers(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for path in ("/", "/static/app.js", "/v1/documents", "/nope"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith("default-src 'self';")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:8000"])
async def test_own_hosts(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/health", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "a:b:c", "[::1"])
async def test_foreign_hosts_are_refused(client: httpx.AsyncClient, host: str) -> None:
    response = await client.get("/health", headers={"host": host})
    assert response.status_code == 421
    assert "server.allowed_hosts" in response.json()["detail"]


async def test_a_host_of_the_settings_is_allowed(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    settings = {"server": {"allowed_hosts": ["rag.example"]}}
    client = await make_client(make_application(settings))
    assert (await client.get("/health", headers={"host": "RAG.example"})).status_code == 200
    assert (await client.get("/health", headers={"host": "127.0.0.1"})).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1", 200),
        ("http://evil.example", 403),
        ("null", 403),
        ("http://127.0.0.1:9", 403),
        ("http://[", 403),
    ],
)
async def test_foreign_pages_may_not_call(
    client: httpx.AsyncClient, origin: str, status: int
) -> None:
    files = {"files": ("a.md", b"planted")}
    for method, path in (("GET", "/health"), ("POST", "/v1/search")):
        response = await client.request(
            method, path, headers={"origin": origin}, json={"question": "x"}
        )
        assert response.status_code == status
    if status == 403:
        planted = await client.post("/v1/documents", files=files, headers={"origin": origin})
        assert planted.status_code == 403


async def test_one_log_line_a_request_without_the_question(
    application: FakeApplication, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    await ingest(application, **TEXTS)
    client = await make_client(application)
    with caplog.at_level(logging.INFO):
        await client.post("/v1/answers?q=words", json={"question": "secret words"})
        await client.get("/a%0Ab")
    lines = [one.getMessage() for one in caplog.records if one.name.startswith("api")]
    assert len(lines) == 2
    assert re.fullmatch(r"POST /v1/answers 200 \d+\.\d ms", lines[0])
    assert re.fullmatch(r"GET /a\\nb 404 \d+\.\d ms", lines[1])


async def test_questions_are_logged_when_the_settings_ask_for_it(
    make_application: MakeApplication, make_client: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    application = make_application({"log": {"questions": True}})
    await ingest(application, **TEXTS)
    client = await make_client(application)
    with caplog.at_level(logging.INFO):
        await client.post("/v1/answers", json={"question": "secret words"})
    assert "question: 'secret words'" in caplog.messages


def test_openapi_describes_every_route(application: FakeApplication) -> None:
    document = create_app(application).openapi()  # type: ignore[arg-type]
    assert set(document["paths"]) == {
        "/v1/answers", "/v1/chat/completions", "/v1/models", "/v1/models/{model}",
        "/v1/search", "/v1/context", "/v1/documents",
        "/v1/documents/{document_id}", "/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/retry",
        "/v1/costs", "/v1/dashboard", "/v1/questions", "/v1/batches", "/v1/batches/{batch_id}",
        "/v1/feedback", "/v1/handoffs", "/v1/pins", "/v1/pins/{pin_id}",
        "/v1/conversations/{conversation_id}", "/v1/visitors/{visitor}", "/v1/audit",
        "/health", "/ready",
        "/metrics",
    }  # fmt: skip
    schemas = document["components"]["schemas"]
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(schemas)
    answer = document["paths"]["/v1/answers"]["post"]
    assert set(answer["responses"]["200"]["content"]) == {"application/json", "text/event-stream"}
    assert "application/problem+json" in answer["responses"]["422"]["content"]
    assert schemas["AnswerIn"]["additionalProperties"] is False
    ingest_body = document["paths"]["/v1/documents"]["post"]["requestBody"]["content"]
    assert set(ingest_body) == {"application/json", "multipart/form-data"}
