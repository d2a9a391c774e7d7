"""A server of both batch protocols on the loopback interface; a test says how a batch ends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route


@dataclass
class BatchServer:
    """`batches` are as they are told to the client; `sent` are the calls in each.

    `failing` is what every request gets instead, where it is set. `keys` are those that came.
    """

    url: str = ""
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    sent: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    failing: Response | None = None
    keys: set[str] = field(default_factory=set)

    def end_openai(
        self,
        batch_id: str,
        status: str = "completed",
        output: Sequence[object] = (),
        errors: Sequence[object] = (),
        refused: Sequence[str] = (),
    ) -> None:
        """The batch ended so, with these lines in its two files, or refused for these reasons."""
        batch = self.batches[batch_id]
        batch["status"] = status
        batch["request_counts"] |= {"completed": len(output), "failed": len(errors)}
        for name, lines in (("output", output), ("error", errors)):
            if lines:
                batch[f"{name}_file_id"] = self._file(_jsonl(lines))
        if refused:
            batch["errors"] = {"object": "list", "data": [{"message": told} for told in refused]}

    def end_anthropic(self, batch_id: str, *lines: dict[str, Any]) -> None:
        """The batch ended with these results."""
        counts = dict.fromkeys(("processing", "succeeded", "errored", "canceled", "expired"), 0)
        for line in lines:
            counts[line["result"]["type"]] += 1
        self.batches[batch_id] |= {"processing_status": "ended", "request_counts": counts}
        self.results[batch_id] = _jsonl(lines)

    def _file(self, text: str) -> str:
        file_id = f"file-{len(self.files)}"
        self.files[file_id] = text
        return file_id

    async def _upload(self, request: Request) -> Response:
        async with request.form() as form:
            assert form["purpose"] == "batch"
            file = form["file"]
            assert isinstance(file, UploadFile)
            text = (await file.read()).decode()
        return JSONResponse({"id": self._file(text), "object": "file"})

    async def _download(self, request: Request) -> Response:
        return PlainTextResponse(self.files[request.path_params["id"]])

    async def _create_openai(self, request: Request) -> Response:
        asked = await request.json()
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        batch = {**asked, "object": "batch", "status": "validating", "request_counts": counts}
        return self._begin(batch, lines)

    async def _create_anthropic(self, request: Request) -> Response:
        lines = (await request.json())["requests"]
        counts = {"processing": len(lines), "succeeded": 0, "errored": 0}
        batch = {"type": "message_batch", "processing_status": "in_progress"}
        return self._begin(batch | {"request_counts": counts}, lines)

    def _begin(self, batch: dict[str, Any], lines: list[dict[str, Any]]) -> Response:
        batch_id = batch["id"] = f"batch_{len(self.batches)}"
        self.batches[batch_id], self.sent[batch_id] = batch, lines
        return JSONResponse(batch)

    async def _retrieve(self, request: Request) -> Response:
        batch = self.batches.get(request.path_params["id"])
        if batch is None:
            return JSONResponse({"error": {"message": "No batch found"}}, 404)
        return JSONResponse(batch)

    async def _results(self, request: Request) -> Response:
        return PlainTextResponse(self.results[request.path_params["id"]])

    def app(self) -> Starlette:
        def route(path: str, answer: Any, method: str = "GET") -> Route:
            async def endpoint(request: Request) -> Response:
                self.keys |= {request.headers.get(name, "") for name in _KEY_HEADERS}
                return self.failing or await answer(request)

            return Route(path, endpoint, methods=[method])

        return Starlette(
            routes=[
                route("/v1/files", self._upload, "POST"),
                route("/v1/files/{id}/content", self._download),
                route("/v1/batches", self._create_openai, "POST"),
                route("/v1/batches/{id}", self._retrieve),
                route("/v1/messages/batches", self._create_anthropic, "POST"),
                route("/v1/messages/batches/{id}", self._retrieve),
                route("/v1/messages/batches/{id}/results", self._results),
            ]
        )


_KEY_HEADERS = ("authorization", "x-api-key")


@asynccontextmanager
async def batch_server() -> AsyncIterator[BatchServer]:
    """Runs one."""
    server = BatchServer()
    config = uvicorn.Config(server.app(), log_level="critical", lifespan="off", ws="none")
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        task = asyncio.create_task(running.serve(sockets=[listening]))
        try:
            yield server
        finally:
            running.should_exit = True
            await task


def _jsonl(lines: Sequence[object]) -> str:
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
