"""Jobs: one at a time, in order, recorded before they are promised, and never lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Engine, insert, select, update

from api.jobs.assignment import Assignment
from api.jobs.records import GAVE_UP, MAX_ATTEMPTS, MAX_KEPT, MAX_WAITING, UNREADABLE
from api.jobs.runner import Jobs, purge
from api.jobs.tables import JOBS
from api.models.documents import JobOut
from api.models.inputs import TextIn
from indexing.ingesting.report import IngestionReport, Item, OnProgress, Outcome, Progress
from rag.errors import ConflictError, DocumentError, NotFoundError, OverloadedError

ServiceMaker = Callable[..., Jobs]


def texts(*names: str, collection: str = "default") -> Assignment:
    documents = tuple(TextIn(id=name, text=f"Words of {name}.") for name in names)
    return Assignment(collection=collection, documents=documents)


def report_of(**outcomes: Outcome) -> IngestionReport:
    items = tuple(Item(source, outcome, reason="so") for source, outcome in outcomes.items())
    return IngestionReport("default", items, 0, 0, 0.0)


DONE = report_of()


class Work:
    """A piece of work that a test holds in its hands."""

    def __init__(
        self, outcome: IngestionReport | Exception = DONE, *, is_held: bool = False
    ) -> None:
        self.seen: list[Assignment] = []
        self.began = asyncio.Event()
        self.go = asyncio.Event()
        self.outcome = outcome
        if not is_held:
            self.go.set()

    async def __call__(self, assignment: Assignment, on_progress: OnProgress) -> IngestionReport:
        self.seen.append(assignment)
        on_progress(Progress(1, 2, 3, 4, 5))
        self.began.set()
        await self.go.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


@pytest.fixture
async def make_service(state_engine: Engine, tmp_path: Path) -> AsyncIterator[ServiceMaker]:
    """Makes the jobs of services over one state; each over a data folder, `data` or another."""
    async with AsyncExitStack() as stack:

        def make(work: Work, folder: str = "data") -> Jobs:
            jobs = Jobs(state_engine, work, tmp_path / folder)
            stack.push_async_callback(jobs.close)
            return jobs

        yield make


async def ended(jobs: Jobs, job_id: str) -> JobOut:
    while (job := await jobs.get(job_id)).state in ("queued", "running"):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    return job


def payload_of(engine: Engine, job_id: str) -> str | None:
    with engine.connect() as connection:
        payload: str | None = connection.scalar(select(JOBS.c.payload).where(JOBS.c.id == job_id))
    return payload


def kept(folder: Path) -> dict[str, list[str]]:
    """The uploaded files that are there, by folder."""
    return {
        place.name: sorted(path.name for path in place.iterdir())
        for place in (folder / "uploads").glob("*")
    }


def upload(folder: Path, name: str, *files: str) -> Assignment:
    place = folder / "uploads" / name
    place.mkdir(parents=True)
    for file in files:
        (place / file).write_text(f"Words of {file}.")
    return Assignment(collection="default", folder=name, files=files)


async def test_jobs_run_one_at_a_time_in_order(make_service: ServiceMaker) -> None:
    work = Work(is_held=True)
    jobs = make_service(work)
    one, two = await jobs.submit(texts("a")), await jobs.submit(texts("b"))
    await work.began.wait()
    running = await jobs.get(one.id)
    assert (running.state, (await jobs.get(two.id)).state) == ("running", "queued")
    assert not running.can_be_retried
    assert running.progress is not None
    assert running.progress.model_dump() == {
        "files_done": 1, "files_total": 2, "documents": 3, "chunks": 4, "chunks_embedded": 5
    }  # fmt: skip
    assert dict(jobs.counts()) == {"queued": 1, "running": 1}
    work.go.set()
    done = await ended(jobs, two.id)
    assert (await jobs.get(one.id)).state == "done"
    assert work.seen == [texts("a"), texts("b")]
    assert done.created_at <= (done.started_at or "") <= (done.finished_at or "")
    assert done.report is not None
    assert done.report.counts["added"] == 0
    assert (done.attempts, done.progress, done.can_be_retried) == (1, None, False)


async def test_a_job_after_a_pause_runs_too(make_service: ServiceMaker) -> None:
    jobs = make_service(Work())
    for _ in range(2):
        assert (await ended(jobs, (await jobs.submit(texts("a"))).id)).state == "done"


@pytest.mark.parametrize(
    ("error", "reason"),
    [(DocumentError("no such format"), "no such format"), (ValueError("secret"), "the service")],
)
async def test_a_failed_job_says_why_and_the_next_one_runs(
    make_service: ServiceMaker, error: Exception, reason: str
) -> None:
    work = Work(error)
    jobs = make_service(work)
    failed = await ended(jobs, (await jobs.submit(texts("a"))).id)
    assert failed.state == "failed"
    assert reason in (failed.reason or "")
    assert "secret" not in (failed.reason or "")
    work.outcome = DONE
    assert (await ended(jobs, (await jobs.submit(texts("b"))).id)).state == "done"


async def test_cancel_a_running_and_a_waiting_job(
    make_service: ServiceMaker, tmp_path: Path, state_engine: Engine
) -> None:
    work = Work(is_held=True)
    jobs = make_service(work)
    one = await jobs.submit(upload(tmp_path / "data", "x", "a.md"))
    two = await jobs.submit(upload(tmp_path / "data", "y", "b.md"))
    await work.began.wait()
    assert (await jobs.cancel(two.id)).state == "cancelled"
    assert kept(tmp_path / "data") == {"x": ["a.md"]}
    assert (await jobs.cancel(one.id)).state == "cancelled"
    again = await jobs.cancel(one.id)
    assert (again.state, again.can_be_retried) == ("cancelled", False)
    while kept(tmp_path / "data"):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert len(work.seen) == 1
    assert [payload_of(state_engine, job.id) for job in (one, two)] == [None, None]
    with pytest.raises(NotFoundError, match="no job 'nope': its id is in the answer"):
        await jobs.cancel("nope")


async def test_too_many_waiting_jobs_are_refused(make_service: ServiceMaker) -> None:
    work = Work(is_held=True)
    jobs = make_service(work)
    await jobs.submit(texts("a"))
    await work.began.wait()
    for _ in range(MAX_WAITING):
        await jobs.submit(texts("a"))
    with pytest.raises(OverloadedError, match="32 ingestion jobs wait") as caught:
        await jobs.submit(texts("a"))
    assert caught.value.retry_after_s == 5


async def test_a_stopped_service_leaves_its_jobs_to_the_next(make_service: ServiceMaker) -> None:
    work = Work(is_held=True)
    stopped = make_service(work)
    one, two = await stopped.submit(texts("a")), await stopped.submit(texts("b"))
    await work.began.wait()
    await stopped.close()
    assert [(await stopped.get(job.id)).state for job in (one, two)] == ["queued", "queued"]
    next_work = Work()
    after = make_service(next_work)
    after.start()
    assert (await ended(after, one.id)).state == "done"
    done = await ended(after, two.id)
    assert (done.state, done.attempts) == ("done", 1)
    assert (await after.get(one.id)).attempts == 1  # a stop is no fault of the job
    assert next_work.seen == [texts("a"), texts("b")]


async def test_a_killed_service_leaves_its_jobs_to_the_next(make_service: ServiceMaker) -> None:
    work, next_work = Work(is_held=True), Work()
    one = await make_service(work).submit(texts("a"))
    await work.began.wait()
    after = make_service(next_work)
    after.start()
    done = await ended(after, one.id)
    assert (done.state, done.attempts) == ("done", 2)


async def test_a_job_that_takes_the_service_down_is_given_up(make_service: ServiceMaker) -> None:
    job_id = ""
    for _ in range(MAX_ATTEMPTS):
        work = Work(is_held=True)
        jobs = make_service(work)
        jobs.start()
        job_id = job_id or (await jobs.submit(texts("a"))).id
        await work.began.wait()
    work = Work()
    last = make_service(work)
    next_one = await last.submit(texts("b"))
    given_up = await ended(last, job_id)
    assert (given_up.state, given_up.reason) == ("failed", GAVE_UP)
    assert given_up.can_be_retried
    assert (await ended(last, next_one.id)).state == "done"
    assert work.seen == [texts("b")]


async def test_nothing_is_kept_of_what_is_done_but_what_failed(
    make_service: ServiceMaker, state_engine: Engine
) -> None:
    work = Work(report_of(**{"api:a": "added", "api:b": "failed"}))
    jobs = make_service(work)
    one = await ended(jobs, (await jobs.submit(texts("a", "b"))).id)
    assert one.can_be_retried
    payload = payload_of(state_engine, one.id) or ""
    assert "Words of b." in payload
    assert "Words of a." not in payload
    work.outcome = report_of(**{"api:b": "added"})
    two = await jobs.retry(one.id)
    assert two.id != one.id
    assert (await ended(jobs, two.id)).state == "done"
    assert work.seen[1] == texts("b")
    assert [payload_of(state_engine, job.id) for job in (one, two)] == [None, None]


async def test_files_that_failed_are_kept_until_they_are_retried(
    make_service: ServiceMaker, tmp_path: Path
) -> None:
    failed: dict[str, Outcome] = {
        "upload:a.md": "added", "upload:b.pdf": "failed", "upload:c.jsonl#r1": "added",
        "upload:c.jsonl#r2": "failed",
    }  # fmt: skip
    work = Work(report_of(**failed))
    jobs = make_service(work)
    sent = upload(tmp_path / "data", "x", "a.md", "b.pdf", "c.jsonl")
    one = await ended(jobs, (await jobs.submit(sent)).id)
    while len(kept(tmp_path / "data")["x"]) > 2:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert kept(tmp_path / "data") == {"x": ["b.pdf", "c.jsonl"]}
    make_service(Work())  # a restart keeps them too
    assert kept(tmp_path / "data") == {"x": ["b.pdf", "c.jsonl"]}
    work.outcome = DONE
    two = await ended(jobs, (await jobs.retry(one.id)).id)
    assert two.state == "done"
    assert work.seen[1].files == ("b.pdf", "c.jsonl")
    while kept(tmp_path / "data"):  # noqa: ASYNC110
        await asyncio.sleep(0.002)


async def test_places_that_failed_are_retried_without_the_others(
    make_service: ServiceMaker, tmp_path: Path
) -> None:
    (tmp_path / "a#b.md").write_text("x")
    (tmp_path / "rows.jsonl").write_text("{}")
    failed: dict[str, Outcome] = {
        f"{tmp_path}/good.md": "added",
        f"{tmp_path}/a#b.md": "failed",
        f"{tmp_path}/rows.jsonl#r#1": "failed",
        f"{tmp_path}/rows.jsonl#r2": "failed",
        f"{tmp_path}/gone.md": "failed",
        "https://example.org/page#part": "failed",
    }
    work = Work(report_of(**failed))
    jobs = make_service(work)
    asked = Assignment(collection="default", places=(str(tmp_path), "https://e.org/"), sync=True)
    one = await ended(jobs, (await jobs.submit(asked)).id)
    await ended(jobs, (await jobs.retry(one.id)).id)
    assert work.seen[1] == Assignment(
        collection="default",
        places=(
            f"{tmp_path}/a#b.md",
            f"{tmp_path}/rows.jsonl",
            "https://example.org/page",
        ),
    )


async def test_what_cannot_be_retried(make_service: ServiceMaker, tmp_path: Path) -> None:
    work = Work(report_of(**{"/no/where.md": "failed"}), is_held=True)
    jobs = make_service(work)
    one = await jobs.submit(Assignment(collection="default", places=("/no/where.md",)))
    two = await jobs.submit(texts("a"))
    await work.began.wait()
    with pytest.raises(ConflictError, match=f"{one.id} is running: retry it when it is finished"):
        await jobs.retry(one.id)
    with pytest.raises(ConflictError, match=f"{two.id} is queued"):
        await jobs.retry(two.id)
    with pytest.raises(NotFoundError, match="no job 'nope'"):
        await jobs.retry("nope")
    await jobs.cancel(two.id)
    with pytest.raises(ConflictError, match="is cancelled, and nothing that failed is kept"):
        await jobs.retry(two.id)
    work.go.set()
    await ended(jobs, one.id)
    with pytest.raises(ConflictError, match="is not at its place any more"):
        await jobs.retry(one.id)
    work.outcome = DocumentError("all of it")
    three = await ended(jobs, (await jobs.submit(texts("b"))).id)
    await jobs.retry(three.id)
    with pytest.raises(ConflictError, match="nothing that failed is kept"):
        await jobs.retry(three.id)  # no second time


async def test_the_newest_jobs_come_first(make_service: ServiceMaker) -> None:
    jobs = make_service(Work())
    ids = [(await jobs.submit(texts("a"))).id for _ in range(3)]
    assert [job.id for job in await jobs.newest(2)] == [ids[2], ids[1]]


async def test_old_jobs_and_old_failures_are_dropped(
    make_service: ServiceMaker, state_engine: Engine, tmp_path: Path
) -> None:
    work = Work(report_of(**{"upload:a.md": "failed"}))
    jobs = make_service(work)
    old = await jobs.submit(upload(tmp_path / "data", "old", "a.md"))
    young = await jobs.submit(upload(tmp_path / "data", "young", "a.md"))
    await ended(jobs, young.id)
    await jobs.close()
    with state_engine.begin() as connection:
        owner = connection.scalar(select(JOBS.c.owner).where(JOBS.c.id == old.id))
        eight_days_ago = (datetime.now(UTC) - timedelta(days=8)).isoformat()
        connection.execute(
            update(JOBS).where(JOBS.c.id == old.id).values(finished_at=eight_days_ago)
        )
        row = {"collection": "c", "owner": owner, "kind": "documents", "attempts": 1}
        row |= {"state": "done", "created_at": "2020", "finished_at": datetime.now(UTC).isoformat()}
        rows = [{"id": f"old_{number}", **row} for number in range(MAX_KEPT)]
        connection.execute(insert(JOBS), rows)
    after = make_service(Work())
    await ended(after, (await after.submit(texts("a"))).id)
    assert not (await after.get(old.id)).can_be_retried
    assert (await after.get(young.id)).can_be_retried
    assert kept(tmp_path / "data") == {"young": ["a.md"]}
    assert sum(after.counts().values()) == MAX_KEPT + 1


async def test_what_was_forgotten_is_not_kept_by_jobs(
    make_service: ServiceMaker, state_engine: Engine, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    work = Work(DocumentError("all of it"))
    jobs = make_service(work)
    failed = await ended(jobs, (await jobs.submit(texts("a", "b"))).id)
    other = await ended(jobs, (await jobs.submit(texts("a", collection="other"))).id)
    files = await ended(jobs, (await jobs.submit(upload(data, "x", "a.md", "c.jsonl"))).id)
    work.go.clear()
    work.began.clear()
    await jobs.submit(texts("z"))
    await work.began.wait()
    queued = await jobs.submit(texts("a"))
    await purge(state_engine, data, "default", ["api:a", "upload:c.jsonl#r1"])
    assert "Words of a." not in (payload_of(state_engine, failed.id) or "")
    assert "Words of b." in (payload_of(state_engine, failed.id) or "")
    assert "Words of a." in (payload_of(state_engine, other.id) or "")
    assert kept(data) == {"x": ["a.md"]}
    await purge(state_engine, data, "default", ["api:b", "upload:a.md"])
    assert [payload_of(state_engine, job.id) for job in (failed, files)] == [None, None]
    assert kept(data) == {}
    work.outcome = DONE
    work.go.set()
    await ended(jobs, queued.id)
    assert work.seen[-1] == texts()  # it would have brought back what was forgotten


async def test_what_a_killed_service_left_is_cleared(
    make_service: ServiceMaker, tmp_path: Path
) -> None:
    upload(tmp_path / "data", "half", "secret.md")
    make_service(Work())
    assert kept(tmp_path / "data") == {}


async def test_services_that_share_a_state_leave_each_other_their_jobs(
    make_service: ServiceMaker, tmp_path: Path
) -> None:
    work, other_work = Work(is_held=True), Work()
    jobs, other = make_service(work, "data"), make_service(other_work, "other")
    one = await jobs.submit(upload(tmp_path / "data", "x", "a.md"))
    await work.began.wait()
    waiting = await jobs.submit(texts("c"))
    two = await other.submit(texts("b"))
    await ended(other, two.id)
    assert other_work.seen == [texts("b")]
    assert (await other.cancel(waiting.id)).state == "cancelled"
    assert (await other.get(one.id)).state == "running"
    await other.cancel(one.id)  # stops it, although it runs elsewhere
    while kept(tmp_path / "data"):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await jobs.get(one.id)).state == "cancelled"
    work.outcome = DocumentError("no")
    work.go.set()
    three = await ended(jobs, (await jobs.submit(upload(tmp_path / "data", "y", "a.md"))).id)
    with pytest.raises(ConflictError, match="are kept by another service"):
        await other.retry(three.id)


async def test_a_job_of_another_version_is_failed_with_that_reason(
    make_service: ServiceMaker, state_engine: Engine
) -> None:
    work = Work(is_held=True)
    stopped = make_service(work)
    one, two = await stopped.submit(texts("a")), await stopped.submit(texts("b"))
    await work.began.wait()
    await stopped.close()
    with state_engine.begin() as connection:
        later = '{"collection": "default", "new": 1}'
        connection.execute(update(JOBS).where(JOBS.c.id == one.id).values(payload=later))
    after = make_service(Work())
    after.start()
    assert (await ended(after, two.id)).state == "done"
    unread = await after.get(one.id)
    assert (unread.state, unread.reason) == ("failed", UNREADABLE)
    assert not unread.can_be_retried


async def test_a_state_that_fails_for_a_while_stops_nothing_for_good(
    make_service: ServiceMaker, state_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(is_held=True)
    jobs = make_service(work)
    one = await jobs.submit(texts("a"))
    await work.began.wait()
    with state_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs RENAME TO away")
    work.go.set()
    while "jobs wait 5 s" not in caplog.text:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    with state_engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO jobs")
    two = await jobs.submit(texts("b"))
    assert (await ended(jobs, one.id)).state == "done"
    assert (await ended(jobs, two.id)).state == "done"
    assert work.seen == [texts("a"), texts("a"), texts("b")]


def test_an_assignment_holds_whatever_a_text_may_hold() -> None:
    text = TextIn(
        id="a", text="half \ud800 of a sign \x00 ü", metadata={"n": 1, "x": 0.5, "b": True}
    )
    sent = Assignment(collection="c", documents=(text,))
    assert sent.to_json().isascii()
    assert Assignment.from_json(sent.to_json()) == sent
