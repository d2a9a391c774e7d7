"""A LanguageModel over the OpenAI chat protocol: OpenAI, vLLM, llama.cpp, Ollama and their like.

Reads the stream as plain JSON, so that it is judged here and not taken for what it claims to be.
Retries, deadlines and costs are the business of the wrappers.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from generation.providers.server import (
    CONNECT_TIMEOUT_S,
    ModelServer,
    connection_limits,
    without_refused,
)
from generation.providers.usage import believable, openai_usage
from rag.calls import CallEnd, Finish, ModelCall, ModelEvent, Prompt, TextDelta
from rag.errors import MissingExtraError, ProviderError

if TYPE_CHECKING:
    import openai

OPENAI_URL = "https://api.openai.com/v1"
FINISH: dict[str, Finish] = {"length": "length", "content_filter": "refused"}

_PROTOCOL = "OpenAI chat"
_NO_KEY = "none"
"""Sent where no key is set: without one, the client would take one from the environment."""
_NO_LOGPROB = 1e6
"""Nothing is as improbable as a number beyond it, or as what is no number."""
_BROKEN = {"abort", "error"}
"""Ways to finish in which a server, as vLLM, says that it did not."""


def open_client(
    base_url: str, api_key: str | None, timeout_s: float, server: ModelServer
) -> openai.AsyncOpenAI:
    """The client for `server`, without the environment's key and account.

    Raises MissingExtraError.
    """
    try:
        import openai
    except ImportError:
        raise MissingExtraError(
            "openai, which the local and premium tiers need,", "pip install 'thrifty-rag[llm]'"
        ) from None
    client = openai.AsyncOpenAI(
        base_url=base_url,
        api_key=api_key or _NO_KEY,
        max_retries=0,
        timeout=openai.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
        http_client=openai.DefaultAsyncHttpxClient(
            trust_env=not server.is_local, limits=connection_limits()
        ),
    )
    client.organization = client.project = None
    return client


def messages_of(prompt: Prompt) -> list[dict[str, str]]:
    """A prompt as the protocol writes it."""
    return [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": prompt.user},
    ]


class OpenAIChatModel:
    """One model on one server. Made once and used by many calls at a time."""

    def __init__(
        self,
        base_url: str,
        model: str | None,
        api_key: str | None,
        *,
        provider: str = "openai",
        timeout_s: float = 60.0,
        wants_logprobs: bool = True,
        output_limit_name: str | None = None,
    ) -> None:
        """`base_url` mostly ends in /v1. Without `model`, the server's first is taken when asked.

        `timeout_s` is how long the server may be silent. `output_limit_name` is what the protocol's
        dialect calls the most tokens to write; None goes by the provider. Optional parts that a
        model does not support are left out after it said so. Raises MissingExtraError and
        SettingsError.
        """
        self._server = ModelServer(base_url, api_key, timeout_s)
        self._client = open_client(base_url, api_key, timeout_s, self._server)
        self._provider = provider
        self._named = model
        self._found: str | None = None
        self._output_limit_name = output_limit_name or (
            "max_completion_tokens" if provider == "openai" else "max_tokens"
        )
        self._options: dict[str, Any] = {
            "temperature": 0,
            "stream_options": {"include_usage": True},
        }
        if wants_logprobs:
            self._options["logprobs"] = True

    @property
    def provider(self) -> str:
        """As given."""
        return self._provider

    @property
    def model(self) -> str:
        """As given, or the server's first once it was asked; empty before."""
        return self._named or self._found or ""

    async def models(self) -> list[str]:
        """The names of the models that the server has. Raises ProviderError."""
        with self._mapping():
            listed = await self._client.get("/models", cast_to=object)
        return self._server.model_names(listed, _PROTOCOL)

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        """See `LanguageModel`. Raises ProviderError."""
        reading = _Reading(self._server)
        model = self.model or await self._find_model()
        with self._mapping(reading):
            async with await self._open(call, model) as chunks:
                async for chunk in chunks:
                    piece = reading.take(chunk)
                    if piece is not None:
                        yield piece
                content_type = chunks.response.headers.get("content-type", "nothing")
        yield reading.end(call, model, content_type)

    async def close(self) -> None:
        """Close the connections; calls that still run fail."""
        await self._client.close()

    async def _find_model(self) -> str:
        names = await self.models()
        if not names:
            raise self._server.no_models()
        self._found = names[0]
        return names[0]

    async def _open(self, call: ModelCall, model: str) -> openai.AsyncStream[object]:
        """The stream of the answer, once the server has taken the call.

        An option that the server refuses by name is left out; the refusal costs nothing.
        """
        import openai

        options, limit_name = self._options, self._output_limit_name
        while True:
            try:
                stream = await self._client.post(
                    "/chat/completions",
                    body=_body(call, model) | options | {limit_name: call.max_output_tokens},
                    cast_to=object,
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
            except openai.NotFoundError as error:
                if "model" not in _told(error).lower():
                    raise
                self._found = None  # the server may have come back with another
                raise self._server.unknown_model(model, await self._names_if_told()) from None
            except _option_errors() as error:
                told = _told(error)
                fewer = without_refused(options, told)
                if limit_name == "max_tokens" and "max_completion_tokens" in told:
                    limit_name = "max_completion_tokens"
                elif fewer is not None:
                    options = fewer
                else:
                    raise
            else:
                self._options, self._output_limit_name = options, limit_name
                return stream

    async def _names_if_told(self) -> list[str]:
        try:
            return await self.models()
        except ProviderError:
            return []

    @contextmanager
    def _mapping(self, reading: _Reading | None = None) -> Iterator[None]:
        """Turns the client's errors into ours; theirs may tell the key, so they are not kept."""
        import httpx2
        import openai

        foreign = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError)
        try:
            yield
        except (*foreign, ValueError, RecursionError) as error:  # the last two of broken JSON
            has_begun = reading is not None and reading.has_begun
            raise provider_error(error, self._server, self.model, has_begun=has_begun) from None


def _option_errors() -> tuple[type[openai.APIStatusError], ...]:
    import openai

    return openai.BadRequestError, openai.PermissionDeniedError, openai.UnprocessableEntityError


def _body(call: ModelCall, model: str) -> dict[str, Any]:
    return {
        "model": model,
        "messages": messages_of(call.prompt),
        "stream": True,
    }


def provider_error(
    error: Exception, server: ModelServer, model: str, *, has_begun: bool
) -> ProviderError:
    """What a foreign error means; `has_begun` says that a part of the answer had come."""
    import httpx2
    import openai

    if isinstance(error, openai.NotFoundError):  # of the path: a model's was told before
        return server.another_protocol(_PROTOCOL, f"404 {_told(error)}")
    if isinstance(error, openai.APIStatusError):
        status = 402 if error.code == "insufficient_quota" else error.status_code
        return server.status_error(status, _told(error), error.response.headers, model)
    if isinstance(error, openai.APIConnectionError | httpx2.RequestError | httpx2.StreamError):
        cause = error.__cause__ or error
        return server.connection_error(
            was_reached=not isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout),
            was_in_time=not isinstance(error, openai.APITimeoutError | httpx2.TimeoutException),
            has_begun=has_begun,
        )
    if type(error) is openai.APIError:  # told within a stream
        code = error.code or ""
        status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
        is_broken = has_begun and status >= 500
        told = error.message
        return server.broke_off(told) if is_broken else server.status_error(status, told, {}, model)
    what = error.doc if isinstance(error, json.JSONDecodeError) else str(error)
    return server.another_protocol(_PROTOCOL, what or type(error).__name__)


def _told(error: openai.APIStatusError) -> str:
    """The server's own words, whichever of the known shapes they come in."""
    told = error.body
    for name in ("error", "message", "detail"):
        if isinstance(told, dict) and told.get(name):
            told = told[name]
    return told if isinstance(told, str) else error.message


class _Reading:
    """What was read of one stream so far."""

    def __init__(self, server: ModelServer) -> None:
        self.has_begun = False
        self._server = server
        self._has_text = False
        self._logprobs: list[float] = []
        self._finish: str | None = None
        self._is_refused = False
        self._report: object = None
        self._model = ""

    def take(self, chunk: object) -> TextDelta | None:
        """Remember what stands in a chunk; the text in it, if any."""
        if not isinstance(chunk, dict) or not isinstance(chunk.get("choices"), list):
            raise self._server.another_protocol(_PROTOCOL, json.dumps(chunk))
        self.has_begun = True
        self._report = chunk.get("usage") or self._report
        self._model = str(chunk.get("model") or self._model)
        for choice in chunk["choices"]:
            if isinstance(choice, dict):
                return self._take_choice(choice)
        return None

    def _take_choice(self, choice: dict[str, Any]) -> TextDelta | None:
        if isinstance(choice.get("finish_reason"), str):
            self._finish = choice["finish_reason"]
        self._logprobs += _logprobs_of(choice)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return None
        self._is_refused |= bool(delta.get("refusal"))
        text = delta.get("content")
        if not isinstance(text, str) or not text:
            return None
        self._has_text = True
        logprobs, self._logprobs = tuple(self._logprobs), []
        return TextDelta(text, logprobs)

    def end(self, call: ModelCall, model: str, content_type: str) -> CallEnd:
        """The end of the call; raises ProviderError where the answer was not all there."""
        if not self.has_begun and not content_type.startswith("text/event-stream"):
            raise self._server.another_protocol(_PROTOCOL, content_type)
        if self._finish is None or self._finish in _BROKEN:
            raise self._server.broke_off(self._finish or "")
        finish = "refused" if self._is_refused else FINISH.get(self._finish, "stop")
        usage = openai_usage(self._report)
        return CallEnd(
            finish,
            usage and believable(usage, call, text_was_written=self._has_text),
            json.dumps(self._report) if self._report else "",
            self._model or model,
        )


def _logprobs_of(choice: dict[str, Any]) -> list[float]:
    logprobs = choice.get("logprobs")
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not isinstance(entries, list):
        return []
    told = [entry.get("logprob") for entry in entries if isinstance(entry, dict)]
    return [float(x) for x in told if isinstance(x, int | float) and abs(x) < _NO_LOGPROB]
