"""A BatchEndpoint over the Anthropic protocol: the calls go up as one list, a file comes down.

Nothing is marked for the provider's prompt cache: what is written there costs more, and the calls
of a batch run too far apart to count on reading it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from generation.providers.anthropic_chat import (
    ANTHROPIC_URL,
    FINISH,
    STATUS,
    open_client,
    provider_error,
    without_version,
)
from generation.providers.batch import BatchAnswer, BatchProgress, BatchResult, json_lines, part
from generation.providers.server import ModelServer
from generation.providers.usage import anthropic_usage, believable
from rag.calls import CallEnd, ModelCall
from rag.errors import (
    ConflictError,
    NotFoundError,
    ProviderReplyError,
    ProviderUnavailableError,
)

_PROTOCOL = "Anthropic batch"


class AnthropicBatches:
    """Batches for one model. Made once."""

    provider = "anthropic"

    def __init__(
        self,
        model: str,
        api_key: str,
        *,
        base_url: str = ANTHROPIC_URL,
        timeout_s: float = 60.0,
        temperature: float | None = None,
    ) -> None:
        """`timeout_s` is how long the server may be silent. A `temperature` is sent only where one
        is given: a model that takes none says so when the batch has ended. Raises
        MissingExtraError and SettingsError.
        """
        self.model = model
        base_url = without_version(base_url)
        self._server = ModelServer(base_url, api_key, timeout_s)
        self._options = {} if temperature is None else {"temperature": temperature}
        self._client = open_client(base_url, api_key, timeout_s, self._server)

    async def submit(self, calls: Mapping[str, ModelCall]) -> str:
        """See `BatchEndpoint`."""
        requests = [
            {"custom_id": call_id, "params": self._params(call)} for call_id, call in calls.items()
        ]
        with self._mapping():
            batch = await self._client.post(
                "/v1/messages/batches", body={"requests": requests}, cast_to=object
            )
            return str(self._read(batch, "id")["id"])

    async def progress(self, batch_id: str) -> BatchProgress:
        """See `BatchEndpoint`."""
        return _progress_of(await self._batch(batch_id))

    async def results(
        self, batch_id: str, calls: Mapping[str, ModelCall]
    ) -> dict[str, BatchResult]:
        """See `BatchEndpoint`."""
        import httpx2

        progress = _progress_of(await self._batch(batch_id))
        if not progress.has_ended:
            raise ConflictError(f"batch {batch_id} still runs: ask again later")
        with self._mapping():
            reply = await self._client.get(f"{_path(batch_id)}/results", cast_to=httpx2.Response)
            lines = json_lines(reply.text)
        results: dict[str, BatchResult] = {}
        for line in lines:
            call_id = part(line, "custom_id")
            if call_id in calls:
                results[call_id] = self._result(part(line, "result"), calls[call_id])
        missing = ProviderReplyError(
            f"{self._server.address} has no result of this call in batch {batch_id}: send it again"
        )
        return {call_id: results.get(call_id, missing) for call_id in calls}

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _params(self, call: ModelCall) -> dict[str, Any]:
        return {
            "model": self.model,
            "max_tokens": call.max_output_tokens,
            "system": call.prompt.system,
            "messages": [{"role": "user", "content": call.prompt.user}],
            **self._options,
        }

    async def _batch(self, batch_id: str) -> dict[str, Any]:
        import anthropic

        with self._mapping():
            try:
                batch = await self._client.get(_path(batch_id), cast_to=object)
            except anthropic.NotFoundError as error:
                if not isinstance(error.body, dict):
                    raise
                raise NotFoundError(
                    f"{self._server.address} has no batch {batch_id!r}: "
                    "use the id and the API key that it was sent with"
                ) from None
            return self._read(batch, "processing_status")

    def _result(self, result: object, call: ModelCall) -> BatchResult:
        match part(result, "type"):
            case "succeeded":
                return self._answer(part(result, "message"), call)
            case "errored":
                kind = part(result, "error", "error", "type")
                told = f"{kind}: {part(result, 'error', 'error', 'message')}"
                return self._server.status_error(STATUS.get(kind, 500), told, {}, self.model)
            case "expired" | "canceled" as how:
                return ProviderUnavailableError(
                    f"{self._server.address} did not come to this call ({how}): send it again",
                    was_taken=False,
                )
        return self._server.another_protocol(_PROTOCOL, json.dumps(result))

    def _answer(self, message: object, call: ModelCall) -> BatchResult:
        blocks = part(message, "content")
        if not isinstance(blocks, list):
            return self._server.another_protocol(_PROTOCOL, json.dumps(message))
        text = "".join(
            str(part(block, "text") or "") for block in blocks if part(block, "type") == "text"
        )
        report = part(message, "usage")
        usage = anthropic_usage(report)
        end = CallEnd(
            FINISH.get(str(part(message, "stop_reason")), "stop"),
            usage and believable(usage, call, text_was_written=bool(text)),
            json.dumps(report) if report else "",
            str(part(message, "model") or self.model),
        )
        return BatchAnswer(text, end)

    def _read(self, value: object, needed: str) -> dict[str, Any]:
        """The JSON object, which has a text under the name `needed`."""
        if not isinstance(value, dict) or not isinstance(value.get(needed), str):
            raise self._server.another_protocol(_PROTOCOL, json.dumps(value))
        return value

    @contextmanager
    def _mapping(self) -> Iterator[None]:
        """Turns the client's errors into ours; theirs may tell the key, so they are not kept."""
        import anthropic
        import httpx2

        foreign = (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError)
        try:
            yield
        except (*foreign, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise provider_error(error, self._server, self.model, has_begun=False) from None


def _path(batch_id: str) -> str:
    return f"/v1/messages/batches/{quote(batch_id, safe='')}"


def _progress_of(batch: Mapping[str, Any]) -> BatchProgress:
    counts: dict[str, int] = part(batch, "request_counts") or {}
    failed = sum(counts.get(name) or 0 for name in ("errored", "canceled", "expired"))
    return BatchProgress(
        batch["processing_status"] == "ended",
        sum(count or 0 for count in counts.values()),
        counts.get("succeeded") or 0,
        failed,
    )
