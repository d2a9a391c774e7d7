"""A LanguageModel over the Anthropic messages protocol.

Reads the stream as plain JSON, so that it is judged here and not taken for what it claims to be.
Retries, deadlines and costs are the business of the wrappers.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from generation.providers.server import (
    CONNECT_TIMEOUT_S,
    ModelServer,
    connection_limits,
    without_refused,
)
from generation.providers.usage import anthropic_usage, believable
from rag.calls import CallEnd, Finish, ModelCall, ModelEvent, TextDelta
from rag.errors import MissingExtraError, ProviderError

if TYPE_CHECKING:
    import anthropic

ANTHROPIC_URL = "https://api.anthropic.com"

FINISH: dict[str, Finish] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refused",
}
STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Of the kinds of errors: those told within a stream come with status 200."""

_PROTOCOL = "Anthropic messages"


def without_version(base_url: str) -> str:
    """An address as the client wants it: people write it with /v1, as OpenAI's."""
    return base_url.rstrip("/").removesuffix("/v1")


def open_client(
    base_url: str, api_key: str, timeout_s: float, server: ModelServer
) -> anthropic.AsyncAnthropic:
    """The client for `server`. Raises MissingExtraError."""
    try:
        import anthropic
    except ImportError:
        raise MissingExtraError(
            "anthropic, which a premium tier of that provider needs,",
            "pip install 'thrifty-rag[llm]'",
        ) from None
    return anthropic.AsyncAnthropic(
        base_url=base_url,
        api_key=api_key,
        max_retries=0,
        timeout=anthropic.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        http_client=anthropic.DefaultAsyncHttpxClient(
            trust_env=not server.is_local, limits=connection_limits()
        ),
    )


class AnthropicModel:
    """One model of one provider. Made once and used by many calls at a time."""

    def __init__(
        self,
        base_url: str,
        model: str,
        api_key: str,
        *,
        provider: str = "anthropic",
        timeout_s: float = 60.0,
    ) -> None:
        """`timeout_s` is how long the server may be silent. Newer models refuse a temperature: it
        is left out after one did. Raises MissingExtraError and SettingsError.
        """
        base_url = without_version(base_url)
        self._server = ModelServer(base_url, api_key, timeout_s)
        self._client = open_client(base_url, api_key, timeout_s, self._server)
        self._provider = provider
        self._model = model
        self._options: dict[str, Any] = {"temperature": 0}

    @property
    def provider(self) -> str:
        """As given."""
        return self._provider

    @property
    def model(self) -> str:
        """As given."""
        return self._model

    async def models(self) -> list[str]:
        """The names of the models that the server has. Raises ProviderError."""
        with self._mapping():
            listed = await self._client.get("/v1/models", cast_to=object)
        return self._server.model_names(listed, _PROTOCOL)

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """See `LanguageModel`. Raises ProviderError."""
        reading = _Reading(self._server)
        with self._mapping(reading):
            async with await self._open(call) as events:
                async for event in events:
                    piece = reading.take(event)
                    if piece is not None:
                        yield piece
                content_type = events.response.headers.get("content-type", "nothing")
        yield reading.end(call, self._model, content_type)

    async def close(self) -> None:
        """Close the connections; calls that still run fail."""
        await self._client.close()

    async def _open(self, call: ModelCall) -> anthropic.AsyncStream[object]:
        """The stream of the answer, once the server has taken the call.

        An option that the server refuses by name is left out; the refusal costs nothing.
        """
        import anthropic

        options = self._options
        while True:
            try:
                stream = await self._client.post(
                    "/v1/messages",
                    body=_body(call, self._model) | options,
                    cast_to=object,
                    stream=True,
                    stream_cls=anthropic.AsyncStream[object],
                )
            except anthropic.NotFoundError as error:
                if "model" not in _told(error).lower():
                    raise
                names = await self._names_if_told()
                raise self._server.unknown_model(self._model, names) from None
            except anthropic.BadRequestError as error:
                fewer = without_refused(options, _told(error))
                if fewer is None:
                    raise
                options = fewer
            else:
                self._options = options
                return stream

    async def _names_if_told(self) -> list[str]:
        try:
            return await self.models()
        except ProviderError:
            return []

    @contextmanager
    def _mapping(self, reading: _Reading | None = None) -> Iterator[None]:
        """Turns the client's errors into ours; theirs may tell the key, so they are not kept."""
        import anthropic
        import httpx2

        foreign = (anthropic.AnthropicError, httpx2.HTTPError, httpx2.StreamError)
        try:
            yield
        except (*foreign, ValueError, RecursionError) as error:  # the last two of broken JSON
            has_begun = reading is not None and reading.has_begun
            raise provider_error(error, self._server, self._model, has_begun=has_begun) from None


def provider_error(
    error: Exception, server: ModelServer, model: str, *, has_begun: bool
) -> ProviderError:
    """What a foreign error means; `has_begun` says that a part of the answer had come."""
    import anthropic
    import httpx2

    if isinstance(error, anthropic.NotFoundError):  # of the path: a model's was told before
        return server.another_protocol(_PROTOCOL, f"404 {_told(error)}")
    if isinstance(error, anthropic.APIStatusError):
        status = STATUS.get(error.type or "", max(error.status_code, 400))
        if has_begun and status == 500:
            return server.broke_off(_told(error))
        return server.status_error(status, _told(error), error.response.headers, model)
    if isinstance(error, anthropic.APIConnectionError | httpx2.RequestError | httpx2.StreamError):
        cause = error.__cause__ or error
        return server.connection_error(
            was_reached=not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout),
            was_in_time=not isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException),
            has_begun=has_begun,
        )
    what = error.doc if isinstance(error, json.JSONDecodeError) else str(error)
    return server.another_protocol(_PROTOCOL, what or type(error).__name__)


def _body(call: ModelCall, model: str) -> dict[str, Any]:
    """The system part is marked for the provider's cache: it is the same for every question."""
    system = {"type": "text", "text": call.prompt.system, "cache_control": {"type": "ephemeral"}}
    return {
        "model": model,
        "max_tokens": call.max_output_tokens,
        "system": [system],
        "messages": [{"role": "user", "content": call.prompt.user}],
        "stream": True,
    }


def _told(error: anthropic.APIStatusError) -> str:
    return error.api_message or error.message


class _Reading:
    """What was read of one stream so far."""

    def __init__(self, server: ModelServer) -> None:
        self.has_begun = False
        self._server = server
        self._has_text = False
        self._finish: str | None = None
        self._report: dict[str, Any] = {}
        self._model = ""

    def take(self, event: object) -> TextDelta | None:
        """Remember what stands in an event; the text in it, if any."""
        match event:
            case {"type": "message_start", "message": {"model": str(model)} as message}:
                self.has_begun = True
                self._model = model
                self._add_usage(message.get("usage"))
            case {"type": "content_block_delta", "delta": {"text": str(text)}} if text:
                self._has_text = True
                return TextDelta(text)
            case {"type": "message_delta", "delta": dict(delta), **more}:
                if isinstance(delta.get("stop_reason"), str):
                    self._finish = delta["stop_reason"]
                self._add_usage(more.get("usage"))
            case {"type": str()}:
                pass  # what this protocol may tell besides, now or later
            case _:
                raise self._server.another_protocol(_PROTOCOL, json.dumps(event))
        return None

    def _add_usage(self, told: object) -> None:
        """The numbers are sums so far: later ones stand for earlier ones."""
        if isinstance(told, dict):
            self._report |= {name: value for name, value in told.items() if value is not None}

    def end(self, call: ModelCall, model: str, content_type: str) -> CallEnd:
        """The end of the call; raises ProviderError where the answer was not all there."""
        if not self.has_begun and not content_type.startswith("text/event-stream"):
            raise self._server.another_protocol(_PROTOCOL, content_type)
        if self._finish is None:
            raise self._server.broke_off()
        usage = anthropic_usage(self._report) if self._report else None
        return CallEnd(
            FINISH.get(self._finish, "stop"),
            usage and believable(usage, call, text_was_written=self._has_text),
            json.dumps(self._report) if self._report else "",
            self._model or model,
        )
