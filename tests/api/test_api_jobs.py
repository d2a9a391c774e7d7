"""Ingestion jobs: one at a time, recorded, never lost without a word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from api_fakes import ConstantEmbedder, FakeApplication, MakeApplication, MakeClient, finish

from api.http.jobs import INTERRUPTED, MAX_WAITING, Jobs
from indexing.report import IngestionReport, OnProgress, Progress
from rag.errors import DocumentError, OverloadedError

REPORT = IngestionReport("default", (), 0, 0, 0.0)


class Work:
    """A piece of work that a test holds in its hands."""

    def __init__(self, outcome: Exception | None = None) -> None:
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self._outcome = outcome

    async def __call__(self, on_progress: OnProgress) -> IngestionReport:
        on_progress(Progress(1, 2, 3, 4, 5))
        self.began.set()
        await self.go.wait()
        if self._outcome is not None:
            raise self._outcome
        return REPORT


@pytest.fixture
async def jobs(application: FakeApplication) -> AsyncIterator[Jobs]:
    jobs = Jobs(application.state)
    yield jobs
    await jobs.close()


async def state_of(jobs: Jobs, job_id: str, state: str) -> None:
    while jobs.get(job_id).state != state:  # noqa: ASYNC110
        await asyncio.sleep(0.001)


async def test_jobs_run_one_at_a_time_in_order(jobs: Jobs) -> None:
    first, second = Work(), Work()
    one, two = jobs.submit("default", first.__call__), jobs.submit("default", second.__call__)
    await first.began.wait()
    running = jobs.get(one.id)
    assert (running.state, jobs.get(two.id).state) == ("running", "queued")
    assert running.progress is not None
    assert running.progress.model_dump() == {
        "files_done": 1, "files_total": 2, "documents": 3, "chunks": 4, "chunks_embedded": 5
    }  # fmt: skip
    assert dict(jobs.counts()) == {"queued": 1, "running": 1}
    first.go.set()
    await second.began.wait()
    assert jobs.get(one.id).state == "done"
    second.go.set()
    await state_of(jobs, two.id, "done")
    done = jobs.get(two.id)
    assert done.created_at <= (done.started_at or "") <= (done.finished_at or "")
    assert done.report is not None
    assert done.report.counts["added"] == 0


async def test_a_job_after_a_pause_runs_too(jobs: Jobs) -> None:
    for _ in range(2):
        work = Work()
        work.go.set()
        await state_of(jobs, jobs.submit("default", work.__call__).id, "done")


@pytest.mark.parametrize(
    ("error", "reason"),
    [(DocumentError("no such format"), "no such format"), (ValueError("secret"), "the service")],
)
async def test_a_failed_job_says_why_and_the_next_one_runs(
    jobs: Jobs, error: Exception, reason: str
) -> None:
    failing, next_one = Work(error), Work()
    failing.go.set()
    next_one.go.set()
    one = jobs.submit("default", failing.__call__)
    two = jobs.submit("default", next_one.__call__)
    await state_of(jobs, two.id, "done")
    failed = jobs.get(one.id)
    assert failed.state == "failed"
    assert reason in (failed.reason or "")
    assert "secret" not in (failed.reason or "")


async def test_cancel_a_running_and_a_waiting_job(jobs: Jobs) -> None:
    work = Work()
    one, two = jobs.submit("default", work.__call__), jobs.submit("default", Work().__call__)
    await work.began.wait()
    assert jobs.cancel(two.id).state == "cancelled"
    jobs.cancel(one.id)
    await state_of(jobs, one.id, "cancelled")
    assert jobs.cancel(one.id).state == "cancelled"


async def test_too_many_waiting_jobs_are_refused(jobs: Jobs) -> None:
    work = Work()
    jobs.submit("default", work.__call__)
    await work.began.wait()
    for _ in range(MAX_WAITING):
        jobs.submit("default", work.__call__)
    with pytest.raises(OverloadedError, match="32 ingestion jobs wait") as caught:
        jobs.submit("default", work.__call__)
    assert caught.value.retry_after_s == 5


async def test_a_stopped_service_leaves_its_jobs_interrupted(application: FakeApplication) -> None:
    jobs, work = Jobs(application.state), Work()
    one, two = jobs.submit("default", work.__call__), jobs.submit("default", work.__call__)
    await work.began.wait()
    await jobs.close()
    for job_id in (one.id, two.id):
        job = jobs.get(job_id)
        assert (job.state, job.reason) == ("failed", INTERRUPTED)


async def test_a_killed_service_leaves_its_jobs_interrupted(application: FakeApplication) -> None:
    killed, work = Jobs(application.state), Work()
    one = killed.submit("default", work.__call__)
    await work.began.wait()
    after = Jobs(application.state)
    assert (after.get(one.id).state, after.get(one.id).reason) == ("failed", INTERRUPTED)
    await killed.close()


async def test_progress_over_http_then_cancel(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    gate = asyncio.Event()
    client: httpx.AsyncClient = await make_client(make_application(embedder=ConstantEmbedder(gate)))
    body = {"documents": [{"id": "a", "text": "A."}, {"id": "b", "text": "B."}]}
    job = (await client.post("/v1/documents", json=body)).json()
    while job["progress"] is None or job["progress"]["files_done"] < 2:
        await asyncio.sleep(0.001)
        job = (await client.get(f"/v1/jobs/{job['id']}")).json()
    assert job["state"] == "running"
    assert job["progress"]["files_total"] == 2
    cancelled = await client.delete(f"/v1/jobs/{job['id']}")
    assert (await finish(client, cancelled))["state"] == "cancelled"
    gate.set()
    assert (await finish(client, await client.post("/v1/documents", json=body)))["state"] == "done"
