"""/v1/jobs over HTTP: where a job is, how it is getting on, stopping it, and trying it again."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from api_fakes import ConstantEmbedder, FakeApplication, MakeApplication, MakeClient, finish

TEXTS = {"documents": [{"id": "a", "text": "A."}, {"id": "b", "text": "B."}]}
FILES = [("files", ("good.md", b"# Good\n\nWords.")), ("files", ("bad.pdf", b"%PDF-1.7\nno PDF"))]


async def test_the_answer_says_where_the_job_is(client: httpx.AsyncClient) -> None:
    for sent in ({"json": TEXTS}, {"files": FILES}):
        response = await client.post("/v1/documents", **sent)  # type: ignore[arg-type]
        place = response.headers["location"]
        assert place == f"/v1/jobs/{response.json()['id']}"
        await finish(client, response)
        assert (await client.get(place)).json()["state"] == "done"


async def test_progress_over_http_then_cancel(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    gate = asyncio.Event()
    client: httpx.AsyncClient = await make_client(make_application(embedder=ConstantEmbedder(gate)))
    job = (await client.post("/v1/documents", json=TEXTS)).json()
    while job["progress"] is None or job["progress"]["files_total"] < 2:
        await asyncio.sleep(0.001)
        job = (await client.get(f"/v1/jobs/{job['id']}")).json()
    assert job["state"] == "running"
    again = await client.post(f"/v1/jobs/{job['id']}/retry")
    assert again.status_code == 409
    assert again.json()["detail"] == f"{job['id']} is running: retry it when it is finished"
    cancelled = await client.delete(f"/v1/jobs/{job['id']}")
    assert cancelled.json()["state"] == "cancelled"
    gate.set()
    done = await finish(client, await client.post("/v1/documents", json=TEXTS))
    assert done["state"] == "done"


async def test_what_failed_is_retried_and_then_gone(
    client: httpx.AsyncClient, application: FakeApplication
) -> None:
    uploads = application.settings.data_dir / "uploads"
    job = await finish(client, await client.post("/v1/documents", files=FILES))
    assert (job["report"]["counts"]["failed"], job["can_be_retried"]) == (1, True)
    while [path.name for path in uploads.glob("*/*")] != ["bad.pdf"]:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    response = await client.post(f"/v1/jobs/{job['id']}/retry")
    assert response.headers["location"] == f"/v1/jobs/{response.json()['id']}"
    again = await finish(client, response)
    assert [item["source"] for item in again["report"]["items"]] == ["upload:bad.pdf"]
    second = await client.post(f"/v1/jobs/{job['id']}/retry")
    assert second.status_code == 409
    assert second.json()["type"] == "urn:thrifty-rag:problem:conflict"


async def test_nothing_to_retry(client: httpx.AsyncClient) -> None:
    job = await finish(client, await client.post("/v1/documents", json=TEXTS))
    response = await client.post(f"/v1/jobs/{job['id']}/retry")
    assert response.status_code == 409
    assert "nothing that failed is kept of it: send what shall be ingested" in response.text
    assert (await client.post("/v1/jobs/nope/retry")).status_code == 404


async def test_the_newest_jobs(client: httpx.AsyncClient) -> None:
    ids = []
    for _ in range(3):
        job = await finish(client, await client.post("/v1/documents", json=TEXTS))
        ids.insert(0, job["id"])
    listed = (await client.get("/v1/jobs", params={"limit": 2})).json()["jobs"]
    assert [job["id"] for job in listed] == ids[:2]
    assert "report" not in listed[0]
    assert len((await client.get("/v1/jobs")).json()["jobs"]) == 4  # with that of the fixture


@pytest.mark.parametrize("limit", ["0", "1001", "x"])
async def test_a_limit_outside_its_range(client: httpx.AsyncClient, limit: str) -> None:
    response = await client.get("/v1/jobs", params={"limit": limit})
    assert response.status_code == 422
    assert response.json()["detail"].startswith("limit: ")


async def test_forgetting_leaves_no_copy_in_a_job(
    client: httpx.AsyncClient, application: FakeApplication
) -> None:
    files = [("files", ("rows.jsonl", b'{"id": "r1", "text": "Secret."}\n{"id": "r2"}\n'))]
    job = await finish(client, await client.post("/v1/documents", files=files))
    uploads = application.settings.data_dir / "uploads"
    assert [path.name for path in uploads.glob("*/*")] == ["rows.jsonl"]  # for its second row
    assert (await client.delete("/v1/documents/r1")).status_code == 200
    assert list(uploads.glob("*/*")) == []
    assert (await client.post(f"/v1/jobs/{job['id']}/retry")).status_code == 409
