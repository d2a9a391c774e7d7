"""The door that leads through a running service, and the choice between it and this process.

A command does not know which it is given. It waits for another command to finish, goes through a
service that holds the data folder, and takes over when that service goes away in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from api.doors.door import Door, LocalDoor
from api.doors.lock import DataLock, Holder
from api.keys.key import COMMAND_LINE
from api.models.answers import AnswerOut, ContextOut, SearchOut
from api.models.batches import BatchIn, BatchOut, BatchStateOut
from api.models.costs import CostsIn, CostsOut
from api.models.documents import (
    DocumentOut,
    DocumentsOut,
    DocumentTextOut,
    ForgetOut,
    JobOut,
    ReportOut,
)
from api.models.inputs import KEY_HEADER, AnswerIn, ContextIn, DocumentsIn, SearchIn
from api.models.output import Output
from api.models.pins import PinIn, PinOut, PinsOut
from api.settings import Settings
from indexing.ingesting.report import OnProgress, Progress
from rag.errors import InputError, NotFoundError, OverloadedError, RagError, ServiceError

if TYPE_CHECKING:
    from api.build import Application  # which imports every engine

T = TypeVar("T")
M = TypeVar("M", bound=Output)
Build = Callable[[Settings], "Application"]
Note = Callable[[str], None]

POLL_S = 0.2
UNREACHABLE_AFTER_S = 30.0
RETURN_WITHIN_S = 20.0
MAX_OVERLOAD_WAITS = 30
MAX_TRIES = 3
TIMEOUT = httpx.Timeout(300.0, connect=5.0)


class ServiceGoneError(ServiceError):
    """The service went away before it answered; the same call may be made again elsewhere."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Who works on the data: this process, as `own`, or a `service`; the other is None."""

    own: Holder | None = None
    service: Holder | None = None


class RemoteDoor:
    """Works through the service that `client` is bound to, with the token of its data folder.

    A service that goes away during an ingestion is waited for as long as `return_within_s` says.
    """

    def __init__(
        self, client: httpx.AsyncClient, *, return_within_s: float = RETURN_WITHIN_S
    ) -> None:
        self._client = client
        self._return_within_s = return_within_s

    async def ask(self, asked: AnswerIn) -> AnswerOut:
        """The answer to a question."""
        body = asked.model_dump(mode="json", exclude_none=True)
        return _parse(AnswerOut, await self._call("POST", "/v1/answers", json=body))

    async def search(self, asked: SearchIn) -> SearchOut:
        """The chunks that may answer a question, best first."""
        body = asked.model_dump(mode="json", exclude_none=True)
        return _parse(SearchOut, await self._call("POST", "/v1/search", json=body))

    async def context(self, asked: ContextIn) -> ContextOut:
        """The compressed context of a question alone."""
        body = asked.model_dump(mode="json", exclude_none=True)
        return _parse(ContextOut, await self._call("POST", "/v1/context", json=body))

    async def ingest(self, asked: DocumentsIn, on_progress: OnProgress) -> ReportOut:
        """Ingest the paths, and wait until that is done; a command that is stopped stops it.

        The job outlives its service, which is waited for a little while when it goes away.
        """
        body = asked.model_dump(mode="json", exclude_none=True)
        return await self._report_of(
            await self._call("POST", "/v1/documents", json=body), on_progress
        )

    async def ingest_file(
        self, name: str, content: bytes, collection: str, on_progress: OnProgress
    ) -> ReportOut:
        """Ingest a file that is not on disk, as an upload, and wait until that is done."""
        upload = {"files": (name, content, "application/octet-stream")}
        sent = await self._call(
            "POST", "/v1/documents", data={"collection": collection}, files=upload
        )
        return await self._report_of(sent, on_progress)

    async def _report_of(self, accepted: httpx.Response, on_progress: OnProgress) -> ReportOut:
        """Wait for the job that a service has promised to do."""
        job = _parse(JobOut, accepted)
        try:
            while job.state in ("queued", "running"):
                await asyncio.sleep(POLL_S)
                job = await self._job(job.id)
                if job.progress is not None:
                    on_progress(Progress(**job.progress.model_dump()))
        except asyncio.CancelledError:
            await self._call("DELETE", f"/v1/jobs/{job.id}")
            raise
        if job.report is not None:
            return job.report
        raise ServiceError(job.reason or f"the job was {job.state}")

    async def _job(self, job_id: str) -> JobOut:
        """A job as it stands, from a service that may be starting again."""
        deadline = time.monotonic() + self._return_within_s
        while True:
            try:
                return _parse(JobOut, await self._call("GET", f"/v1/jobs/{job_id}"))
            except ServiceGoneError:
                if time.monotonic() >= deadline:
                    raise ServiceError(
                        f"the service went away for more than {self._return_within_s:g} s: "
                        f"{job_id} goes on when it starts again, as GET /v1/jobs/{job_id} shows"
                    ) from None
            await asyncio.sleep(POLL_S)

    async def documents(self, collection: str | None) -> list[DocumentOut]:
        """The documents of a collection, or (None) of all."""
        params = {} if collection is None else {"collection": collection}
        return _parse(DocumentsOut, await self._call("GET", "/v1/documents", params)).documents

    async def document(self, collection: str, document_id: str) -> DocumentTextOut:
        """One document, with its text."""
        path = f"/v1/documents/{quote(document_id, safe='')}"
        return _parse(DocumentTextOut, await self._call("GET", path, {"collection": collection}))

    async def forget(self, collection: str, document_ids: Sequence[str]) -> list[ForgetOut]:
        """Delete documents, with proof; nothing is deleted when one of them is unknown."""
        params = {"collection": collection}
        paths = [f"/v1/documents/{quote(name, safe='')}" for name in dict.fromkeys(document_ids)]
        for path in paths:
            await self._call("GET", path, params)
        reports = []
        for path in paths:
            try:
                reports.append(_parse(ForgetOut, await self._call("DELETE", path, params)))
            except ServiceGoneError:
                raise ServiceError(
                    "the service stopped while it was deleting: see `rag documents` for what is "
                    "left, and forget that"
                ) from None
        return reports

    async def costs(self, asked: CostsIn) -> CostsOut:
        """What was spent and saved, and how full the budgets are."""
        params = asked.model_dump(mode="json", exclude_none=True)
        return _parse(CostsOut, await self._call("GET", "/v1/costs", params))

    async def pins(self, collection: str | None) -> list[PinOut]:
        """The answers that people pinned in a collection, or (None) in all."""
        params = {} if collection is None else {"collection": collection}
        return _parse(PinsOut, await self._call("GET", "/v1/pins", params)).pins

    async def pin(self, asked: PinIn) -> PinOut:
        """Pin an answer that a person approved."""
        body = asked.model_dump(mode="json", exclude_defaults=True)
        return _parse(PinOut, await self._call("POST", "/v1/pins", json=body))

    async def remove_pin(self, pin_id: str) -> PinOut:
        """Delete a pinned answer; gives what it was."""
        path = f"/v1/pins/{quote(pin_id, safe='')}"
        return _parse(PinOut, await self._call("DELETE", path))

    async def submit_batch(self, asked: BatchIn) -> BatchOut:
        """Take questions that can wait; the same ones again are the batch that is there."""
        body = asked.model_dump(mode="json", exclude_none=True)
        return _parse(BatchOut, await self._call("POST", "/v1/batches", json=body))

    async def batch(self, batch_id: str) -> BatchStateOut:
        """How far a batch is, with its answers once it has ended."""
        path = f"/v1/batches/{quote(batch_id, safe='')}"
        return _parse(BatchStateOut, await self._call("GET", path))

    async def _call(
        self, method: str, path: str, params: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """A good response; waits while the service is overloaded. Raises RagError otherwise."""
        for _ in range(MAX_OVERLOAD_WAITS):
            try:
                response = await self._client.request(method, path, params=params, **body)
            except httpx.TimeoutException as error:
                if isinstance(error, httpx.ConnectTimeout):
                    raise ServiceGoneError("the service cannot be reached") from error
                raise ServiceError(
                    f"the service took more than {TIMEOUT.read:g} s: see its log"
                ) from error
            except httpx.HTTPError as error:
                raise ServiceGoneError(f"the service went away ({error})") from error
            if response.is_success:
                return response
            if response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(float(response.headers.get("Retry-After", "1")))
        raise _error_of(response)


async def use_door(
    settings: Settings, build: Build, work: Callable[[Door], Awaitable[T]], note: Note
) -> T:
    """What `work` makes of a door: into this process, or through the service that holds the data.

    `note` is told, in a line, what a person is waiting for. When a service goes away in between,
    the work is done again.
    """
    lock = DataLock(settings.data_dir)
    for _ in range(MAX_TRIES):
        turn = await take_or_find(lock, settings, note)
        try:
            if turn.service is None:
                return await _work_here(settings, build, work)
            async with connect(turn.service) as client:
                return await work(RemoteDoor(client))
        except ServiceGoneError as error:
            note(f"{error}; trying again")
        finally:
            if turn.own is not None:
                lock.release()
    raise ServiceError(f"the service went away {MAX_TRIES} times: try again when it runs steadily")


def connect(service: Holder) -> httpx.AsyncClient:
    """A client of the service that holds a data folder; no proxy comes between."""
    headers = {"Authorization": f"Bearer {service.token}", KEY_HEADER: COMMAND_LINE}
    return httpx.AsyncClient(
        base_url=service.url or "", headers=headers, timeout=TIMEOUT, trust_env=False
    )


async def _work_here(settings: Settings, build: Build, work: Callable[[Door], Awaitable[T]]) -> T:
    application = build(settings)
    try:
        await application.ingestion.mend()
        return await work(LocalDoor(application))
    finally:
        await application.close()


async def take_or_find(lock: DataLock, settings: Settings, note: Note) -> Turn:
    """This process as the holder of the folder, or the service that holds it and answers.

    Waits for a command that holds it. Raises ServiceError when a service holds it and is silent.
    """
    noted = False
    silent_since: float | None = None
    while (own := lock.try_acquire()) is None:
        holder = lock.holder()
        if holder is not None and holder.url is not None:
            if await _answers(holder):
                return Turn(service=holder)
            silent_since = silent_since or time.monotonic()
            if time.monotonic() - silent_since > UNREACHABLE_AFTER_S:
                raise ServiceError(
                    f"process {holder.pid} holds {settings.data_dir} and says that it serves at "
                    f"{holder.url}, but does not answer: stop it"
                )
        elif holder is not None and not noted:
            noted = True
            note(f"waiting for process {holder.pid}, which is using {settings.data_dir}")
        await asyncio.sleep(POLL_S)
    return Turn(own=own)


async def _answers(service: Holder) -> bool:
    async with connect(service) as client:
        try:
            return (await client.get("/health")).is_success
        except httpx.HTTPError:
            return False


def _parse(model: type[M], response: httpx.Response) -> M:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        raise ServiceError(
            f"the service at {response.url.host} answers in the format of another version: "
            "restart it"
        ) from error


def _error_of(response: httpx.Response) -> RagError:
    """The error that a problem document tells of."""
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the service answered with status {response.status_code}: see its log"
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        return OverloadedError(detail)
    if response.status_code == HTTPStatus.NOT_FOUND:
        return NotFoundError(detail)
    return InputError(detail) if response.is_client_error else ServiceError(detail)
