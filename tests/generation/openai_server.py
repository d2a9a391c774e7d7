"""A small OpenAI-compatible server in the test's own process, told what to answer.

What it is not told, it answers as vLLM does: words up to the most that was asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from streaming_server import Answering, Asked, StreamingServer, serving

LOGPROB = -0.25
DELAY_S = 0.002
"""Between two words that nobody told it to write."""


class Reply(Protocol):
    async def send(self, asked: Asked, out: Answering) -> None: ...


@dataclass(frozen=True)
class Stream:
    """A streamed answer. None for `usage` reports none; `breaks_after` and `hangs_after` pieces."""

    pieces: Sequence[str] = ("The ", "tower.")
    usage: Any = None
    finish: str | None = "stop"
    logprobs: bool = True
    refusal: str | None = None
    delay_s: float = 0.0
    breaks_after: int | None = None
    hangs_after: int | None = None
    then: object = None
    """An event that is sent after the pieces, whatever it is."""
    done: bool = True

    async def send(self, asked: Asked, out: Answering) -> None:
        await out.begin_events()
        wants_logprobs = self.logprobs and bool(asked.body.get("logprobs"))
        await out.event(chunk(asked, {"role": "assistant", "content": ""}))
        for number, piece in enumerate(self.pieces):
            await self._perhaps_stop(number, out)
            logprobs = {"content": [{"token": piece, "logprob": LOGPROB}]}
            told = {"logprobs": logprobs if wants_logprobs else None}
            await out.event(chunk(asked, {"content": piece}, **told))
            await asyncio.sleep(self.delay_s)
        await self._perhaps_stop(len(self.pieces), out)
        if self.then is not None:
            await out.event(self.then)
        if self.refusal is not None:
            await out.event(chunk(asked, {"refusal": self.refusal}))
        if self.finish is not None:
            await out.event(chunk(asked, {}, finish_reason=self.finish))
        if self.usage is not None and "stream_options" in asked.body:
            await out.event(chunk(asked) | {"choices": [], "usage": self.usage})
        if self.done:
            await out.event("[DONE]")
        await out.end_events()

    async def _perhaps_stop(self, number: int, out: Answering) -> None:
        if number == self.hangs_after:
            await asyncio.Event().wait()
        if number == self.breaks_after:
            await asyncio.sleep(0.01)  # else what was sent may be lost with the connection
            out.cut()
            raise ConnectionAbortedError


@dataclass(frozen=True)
class Page:
    """An answer that is not streamed."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def send(self, asked: Asked, out: Answering) -> None:
        await out.page(self.status, self.body.encode(), self.content_type, self.headers)


@dataclass(frozen=True)
class Silence:
    """Nothing at all, with the connection open."""

    async def send(self, asked: Asked, out: Answering) -> None:
        await asyncio.Event().wait()


@dataclass
class OpenAIServer:
    """`replies` are given in turn, and after them words. No key is asked for unless one is set."""

    http: StreamingServer
    models: list[str] = field(default_factory=lambda: ["small"])
    api_key: str | None = None
    replies: deque[Reply] = field(default_factory=deque)

    @property
    def base_url(self) -> str:
        return f"{self.http.url}/v1"

    @property
    def chats(self) -> list[Asked]:
        """The calls of the model that were asked for."""
        return [asked for asked in self.http.asked if asked.path == "/v1/chat/completions"]

    async def answer(self, asked: Asked, out: Answering) -> None:
        reply = self._reply(asked)
        await reply.send(asked, out)

    def _reply(self, asked: Asked) -> Reply:
        if self.api_key and asked.headers.get("authorization") != f"Bearer {self.api_key}":
            return error_page(401, f"Incorrect API key: {asked.headers.get('authorization')}")
        if asked.path == "/v1/models":
            return Page(
                200, json.dumps({"object": "list", "data": [{"id": x} for x in self.models]})
            )
        if asked.path != "/v1/chat/completions":
            return Page(404, '{"detail":"Not Found"}')
        if self.replies:
            return self.replies.popleft()
        if asked.body["model"] not in self.models:
            name = asked.body["model"]
            return error_page(404, f"The model `{name}` does not exist.", type="NotFoundError")
        return _words(asked)


@asynccontextmanager
async def running_openai_server(**settings: Any) -> AsyncIterator[OpenAIServer]:
    made: list[OpenAIServer] = []

    async def answer(asked: Asked, out: Answering) -> None:
        await made[0].answer(asked, out)

    async with serving(answer) as http:
        made.append(OpenAIServer(http, **settings))
        yield made[0]


def error_page(
    status: int, message: str, headers: Mapping[str, str] | None = None, **told: Any
) -> Page:
    """An error as OpenAI and vLLM tell it."""
    body = {"error": {"message": message, "type": None, "param": None, "code": status} | told}
    return Page(status, json.dumps(body), headers=headers or {})


def chunk(asked: Asked, delta: dict[str, Any] | None = None, **choice: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": asked.body["model"],
        "choices": [{"index": 0, "delta": delta or {}, "finish_reason": None} | choice],
    }
    return made


def usage(read: int, written: int, **more: Any) -> dict[str, Any]:
    """As vLLM reports it: with nulls for details that it does not have."""
    total = {"prompt_tokens": read, "total_tokens": read + written, "completion_tokens": written}
    return total | {"prompt_tokens_details": None} | more


def _words(asked: Asked) -> Stream:
    count = asked.body.get("max_tokens") or asked.body["max_completion_tokens"]
    read = sum(len(message["content"].split()) for message in asked.body["messages"])
    pieces = [f"word{number} " for number in range(count)]
    return Stream(pieces, usage(read, count), finish="length", delay_s=DELAY_S)
