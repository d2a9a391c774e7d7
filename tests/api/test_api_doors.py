"""One contract for both doors, and every way in which the service can fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_fakes import BASE_URL, TEXTS, FakeApplication, client_of, ingest

from api.doors.door import Door, LocalDoor
from api.doors.through_service import RemoteDoor, ServiceGoneError
from api.models.inputs import AnswerIn, DocumentsIn
from api.models.pins import PinCitationIn, PinIn
from indexing.ingesting.report import Progress
from rag.errors import (
    InputError,
    NotFoundError,
    OverloadedError,
    RagError,
    ServiceError,
)

TOKEN = {"Authorization": "Bearer secret"}


@pytest.fixture(params=["local", "remote"])
async def door(request: pytest.FixtureRequest, application: FakeApplication) -> AsyncIterator[Door]:
    await ingest(application, **TEXTS)
    if request.param == "local":
        yield LocalDoor(application)  # type: ignore[arg-type]
        return
    async with client_of(application, headers=TOKEN) as client:
        yield RemoteDoor(client)
        app = client._transport.app  # type: ignore[attr-defined]
        await app.state.service.jobs.close()


def paths_in(folder: Path, **more: Any) -> DocumentsIn:
    return DocumentsIn(collection="default", paths=[str(folder)], **more)


def ignore(_: Progress) -> None:
    pass


async def test_ask(door: Door) -> None:
    answer = await door.ask(AnswerIn(question="refunds", collection="default"))
    assert answer.citations[0].document_id == "refunds"


@pytest.mark.parametrize(
    ("asked", "kind", "words"),
    [
        (AnswerIn(question=" "), InputError, "the question is empty: write one"),
        (AnswerIn(question="x", collection="no"), NotFoundError, "no collection 'no'"),
    ],
)
async def test_errors_are_the_same(
    door: Door, asked: AnswerIn, kind: type[RagError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        await door.ask(asked)


async def test_documents(door: Door) -> None:
    found = await door.documents(None)
    assert [one.document_id for one in found] == ["refunds", "shipping"]
    assert found == await door.documents("default")
    with pytest.raises(NotFoundError, match="no collection 'no': there are default"):
        await door.documents("no")


async def test_forget(door: Door) -> None:
    with pytest.raises(NotFoundError, match="no document 'no'"):
        await door.forget("default", ["refunds", "no"])
    assert len(await door.documents(None)) == 2  # nothing is deleted when one is unknown
    proofs = await door.forget("default", ["shipping", "refunds"])
    assert [(one.document_id, one.documents_after) for one in proofs] == [
        ("shipping", 1),
        ("refunds", 0),
    ]


async def test_pins(door: Door) -> None:
    cited = PinCitationIn(marker=1, document_id="refunds", quote="Refunds take 14 days.")
    made = await door.pin(PinIn(question="How long?", answer="14 days [1].", citations=(cited,)))
    assert await door.pins(None) == await door.pins("default") == [made]
    assert await door.pins("other") == []
    with pytest.raises(InputError, match="the answer has no marker"):
        await door.pin(PinIn(answer_id=made.id, answer="14 days."))
    assert await door.remove_pin(made.id) == made
    with pytest.raises(NotFoundError, match="there is no pinned answer"):
        await door.remove_pin(made.id)


async def test_ingest_with_progress(door: Door, tmp_path: Path) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("# Good\n\nText.")
    (folder / "empty.md").touch()
    plan = await door.ingest(paths_in(folder, dry_run=True), ignore)
    assert plan.counts["added"] == 1
    report = await door.ingest(paths_in(folder), ignore)
    assert (report.counts["added"], report.counts["failed"]) == (1, 1)
    (failed,) = (item for item in report.items if item.outcome == "failed")
    assert "is empty" in (failed.reason or "")
    (folder / "good.md").unlink()
    synced = await door.ingest(paths_in(folder, sync=True), ignore)
    assert synced.counts["removed"] == 1


async def test_ingest_a_missing_path(door: Door, tmp_path: Path) -> None:
    with pytest.raises(RagError, match="does not exist"):
        await door.ingest(paths_in(tmp_path / "nope"), ignore)


def door_to(
    *responses: httpx.Response | Exception, **options: float
) -> tuple[RemoteDoor, list[httpx.Request]]:
    """A door to a service that answers so, one after the other."""
    left, seen = list(responses), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        response = left.pop(0)
        if isinstance(response, Exception):
            raise response
        return response

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url=BASE_URL)
    return RemoteDoor(client, **options), seen


def job(state: str, **more: Any) -> httpx.Response:
    fields = {
        "id": "job_1", "state": state, "collection": "default", "created_at": "",
        "started_at": None, "finished_at": None, "progress": None, "report": None, "reason": None,
        "attempts": 1, "can_be_retried": False,
    }  # fmt: skip
    return httpx.Response(202, json=fields | more)


async def test_progress_comes_through_the_service(tmp_path: Path) -> None:
    progress = {
        "files_done": 1, "files_total": 2, "documents": 3, "chunks": 4, "chunks_embedded": 5
    }  # fmt: skip
    report = {
        "collection": "default", "counts": {}, "items": [], "chunks": 4, "chunks_embedded": 5,
        "seconds": 1.0,
    }  # fmt: skip
    door, _ = door_to(job("queued"), job("running", progress=progress), job("done", report=report))
    seen: list[Progress] = []
    assert (await door.ingest(paths_in(tmp_path), seen.append)).chunks == 4
    assert seen == [Progress(1, 2, 3, 4, 5)]


@pytest.mark.parametrize(
    ("state", "reason", "kind", "words"),
    [
        ("failed", "/x does not exist", ServiceError, "/x does not exist"),
        ("cancelled", None, ServiceError, "the job was cancelled"),
    ],
)
async def test_a_job_that_does_not_end_well(
    tmp_path: Path, state: str, reason: str | None, kind: type[RagError], words: str
) -> None:
    door, _ = door_to(job("queued"), job(state, reason=reason))
    with pytest.raises(kind, match=words) as caught:
        await door.ingest(paths_in(tmp_path), ignore)
    assert type(caught.value) is kind


async def test_a_service_that_comes_back_is_asked_for_the_same_job(tmp_path: Path) -> None:
    report = {
        "collection": "default", "counts": {}, "items": [], "chunks": 4, "chunks_embedded": 5,
        "seconds": 1.0,
    }  # fmt: skip
    gone = httpx.ConnectError("refused")
    door, seen = door_to(job("running"), gone, httpx.ReadError("reset"), job("done", report=report))
    assert (await door.ingest(paths_in(tmp_path), ignore)).chunks == 4
    assert {request.url.path for request in seen[1:]} == {"/v1/jobs/job_1"}


async def test_a_service_that_stays_away_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    door, _ = door_to(job("running"), httpx.ConnectError("refused"), return_within_s=0)
    with pytest.raises(ServiceError, match="job_1 goes on when it starts again, as GET") as caught:
        await door.ingest(paths_in(tmp_path), ignore)
    assert not isinstance(caught.value, ServiceGoneError)  # which would be tried again


async def test_an_overloaded_service_is_waited_for() -> None:
    full = httpx.Response(503, headers={"Retry-After": "0"}, json={"detail": "full"})
    door, seen = door_to(full, full, httpx.Response(200, json={"documents": []}))
    assert await door.documents(None) == []
    assert len(seen) == 3
    door, _ = door_to(*[full] * 30)
    with pytest.raises(OverloadedError, match="full"):
        await door.documents(None)


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (httpx.ConnectError("refused"), ServiceGoneError, "went away"),
        (httpx.ReadError("reset"), ServiceGoneError, "went away"),
        (httpx.RemoteProtocolError("closed"), ServiceGoneError, "went away"),
        (httpx.ConnectTimeout("slow"), ServiceGoneError, "cannot be reached"),
        (httpx.ReadTimeout("slow"), ServiceError, "took more than 300 s"),
        (httpx.Response(500, text="<html>"), ServiceError, "status 500: see its log"),
        (httpx.Response(500, json={"detail": "broken"}), ServiceError, "broken"),
        (httpx.Response(404, json={"detail": "none"}), NotFoundError, "none"),
        (httpx.Response(422, json={"detail": "bad"}), InputError, "bad"),
        (httpx.Response(200, json={"other": 1}), ServiceError, "of another version: restart"),
        (httpx.Response(200, text="hello"), ServiceError, "of another version: restart"),
    ],
)
async def test_every_failure_of_the_service_is_an_error_of_ours(
    answer: httpx.Response | Exception, kind: type[RagError], words: str
) -> None:
    door, _ = door_to(answer)
    with pytest.raises(kind, match=words) as caught:
        await door.documents(None)
    assert type(caught.value) is kind


async def test_a_service_that_stops_while_it_deletes() -> None:
    found = httpx.Response(200, json={})
    door, _ = door_to(found, httpx.ReadError("reset"))
    with pytest.raises(ServiceError, match="see `rag documents`") as caught:
        await door.forget("default", ["a"])
    assert not isinstance(caught.value, ServiceGoneError)  # which would be tried again


async def test_a_stopped_command_stops_its_job(tmp_path: Path) -> None:
    door, seen = door_to(job("running"), *[job("running")] * 100)
    task = asyncio.create_task(door.ingest(paths_in(tmp_path), ignore))
    while not seen:  # noqa: ASYNC110
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (seen[-1].method, seen[-1].url.path) == ("DELETE", "/v1/jobs/job_1")
