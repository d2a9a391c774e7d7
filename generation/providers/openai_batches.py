"""A BatchEndpoint over the OpenAI protocol: a file of calls goes up, files of answers come down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from generation.providers.batch import BatchAnswer, BatchProgress, BatchResult, json_lines, part
from generation.providers.openai_chat import (
    FINISH,
    OPENAI_URL,
    messages_of,
    open_client,
    provider_error,
)
from generation.providers.server import ModelServer
from generation.providers.usage import believable, openai_usage
from rag.calls import CallEnd, ModelCall
from rag.errors import (
    ConflictError,
    NotFoundError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)

_PROTOCOL = "OpenAI batch"
_ENDED = {"completed", "failed", "expired", "cancelled"}
_NOT_DONE = {"batch_expired", "batch_cancelled"}


class OpenAIBatches:
    """Batches for one model. Made once."""

    def __init__(
        self,
        model: str,
        api_key: str,
        *,
        base_url: str = OPENAI_URL,
        provider: str = "openai",
        timeout_s: float = 60.0,
        temperature: float | None = None,
    ) -> None:
        """`timeout_s` is how long the server may be silent. A `temperature` is sent only where one
        is given: a model that takes none says so when the batch has ended. Raises
        MissingExtraError and SettingsError.
        """
        self.provider = provider
        self.model = model
        self._server = ModelServer(base_url, api_key, timeout_s)
        self._options = {} if temperature is None else {"temperature": temperature}
        self._client = open_client(base_url, api_key, timeout_s, self._server)

    async def submit(self, calls: Mapping[str, ModelCall]) -> str:
        """See `BatchEndpoint`."""
        lines = [json.dumps(self._line(call_id, call)) for call_id, call in calls.items()]
        content = ("\n".join(lines) + "\n").encode()
        with self._mapping():
            file = await self._client.files.with_raw_response.create(
                file=("batch.jsonl", content, "application/jsonl"), purpose="batch"
            )
            batch = await self._client.batches.with_raw_response.create(
                completion_window="24h",
                endpoint="/v1/chat/completions",
                input_file_id=self._read(file.text, "id")["id"],
            )
            return str(self._read(batch.text, "id")["id"])

    async def progress(self, batch_id: str) -> BatchProgress:
        """See `BatchEndpoint`."""
        return _progress_of(await self._batch(batch_id))

    async def results(
        self, batch_id: str, calls: Mapping[str, ModelCall]
    ) -> dict[str, BatchResult]:
        """See `BatchEndpoint`."""
        batch = await self._batch(batch_id)
        progress = _progress_of(batch)
        if not progress.has_ended:
            raise ConflictError(
                f"batch {batch_id} still runs, {progress.answered} of {progress.total} calls are "
                "answered: ask again later"
            )
        results: dict[str, BatchResult] = {}
        for name in ("output_file_id", "error_file_id"):
            for line in await self._file(batch.get(name)):
                call_id = part(line, "custom_id")
                if call_id in calls:
                    results[call_id] = self._result(line, calls[call_id])
        refused = self._refused(batch)
        missing = refused or ProviderReplyError(
            f"{self._server.address} has no result of this call in batch {batch_id}: send it again"
        )
        return {call_id: results.get(call_id, missing) for call_id in calls}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _line(self, call_id: str, call: ModelCall) -> dict[str, Any]:
        return {
            "custom_id": call_id,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": self.model,
                "messages": messages_of(call.prompt),
                "max_completion_tokens": call.max_output_tokens,
                **self._options,
            },
        }

    async def _batch(self, batch_id: str) -> dict[str, Any]:
        import openai

        with self._mapping():
            try:
                reply = await self._client.batches.with_raw_response.retrieve(batch_id)
            except openai.NotFoundError as error:
                if not isinstance(error.body, dict):
                    raise
                raise NotFoundError(
                    f"{self._server.address} has no batch {batch_id!r}: "
                    "use the id and the API key that it was sent with"
                ) from None
            return self._read(reply.text, "status")

    async def _file(self, file_id: str | None) -> list[object]:
        if not file_id:
            return []
        with self._mapping():
            return json_lines((await self._client.files.content(file_id)).text)

    def _result(self, line: object, call: ModelCall) -> BatchResult:
        if error := part(line, "error"):
            told = f"{part(error, 'code')}: {part(error, 'message')}"
            if part(error, "code") in _NOT_DONE:
                return ProviderUnavailableError(
                    f"{self._server.address} did not come to this call ({told}): send it again",
                    was_taken=False,
                )
            return self._server.status_error(500, told, {}, self.model)
        status, body = part(line, "response", "status_code"), part(line, "response", "body")
        if isinstance(status, int) and status >= 400:
            told = part(body, "error", "message") or json.dumps(body)
            return self._server.status_error(status, str(told), {}, self.model)
        return self._answer(body, call)

    def _answer(self, body: object, call: ModelCall) -> BatchResult:
        choices = part(body, "choices")
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = part(choice, "message")
        if not isinstance(message, dict):
            return self._server.another_protocol(_PROTOCOL, json.dumps(body))
        text = str(message.get("content") or "")
        is_refused = bool(message.get("refusal"))
        finish = FINISH.get(str(part(choice, "finish_reason")), "stop")
        report = part(body, "usage")
        usage = openai_usage(report)
        end = CallEnd(
            "refused" if is_refused else finish,
            usage and believable(usage, call, text_was_written=bool(text)),
            json.dumps(report) if report else "",
            str(part(body, "model") or self.model),
        )
        return BatchAnswer(text, end)

    def _refused(self, batch: Mapping[str, Any]) -> ProviderRefusedError | None:
        """Why no call of the batch was taken, where that is so."""
        if batch["status"] != "failed":
            return None
        errors = part(batch, "errors", "data")
        told = [str(part(error, "message")) for error in errors or []]
        return ProviderRefusedError(
            f"{self._server.address} does not take this batch for {self.model!r} "
            f"({'; '.join(told[:3]) or 'it does not say why'}): mend the model or the calls"
        )

    def _read(self, text: str, needed: str) -> dict[str, Any]:
        """A JSON object with a text under the name `needed`."""
        value = json.loads(text)
        if not isinstance(part(value, needed), str):
            raise self._server.another_protocol(_PROTOCOL, text)
        return dict(value)

    @contextmanager
    def _mapping(self) -> Iterator[None]:
        """Turns the client's errors into ours; theirs may tell the key, so they are not kept."""
        import httpx2
        import openai

        foreign = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError, httpx2.InvalidURL)
        try:
            yield
        except (*foreign, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise provider_error(error, self._server, self.model, has_begun=False) from None


def _progress_of(batch: Mapping[str, Any]) -> BatchProgress:
    counts = [part(batch, "request_counts", name) or 0 for name in ("total", "completed", "failed")]
    return BatchProgress(batch["status"] in _ENDED, *counts)
