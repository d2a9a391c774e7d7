"""A small server of the Anthropic messages protocol in the test's own process, told what to answer.

What it is not told, it answers with words up to the most that was asked for.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from openai_server import DELAY_S, Page, Reply
from streaming_server import Answering, Asked, StreamingServer, serving


@dataclass(frozen=True)
class Message:
    """A streamed answer. `start_usage` comes with its first event, `end_usage` with its last.

    `then` is an error that is told after the pieces. `finish` None ends the stream without one.
    """

    pieces: Sequence[str] = ("The ", "tower.")
    start_usage: Any = None
    end_usage: Any = None
    finish: str | None = "end_turn"
    thinks: str | None = None
    delay_s: float = 0.0
    breaks_after: int | None = None
    hangs_after: int | None = None
    then: Mapping[str, Any] | None = None

    async def send(self, asked: Asked, out: Answering) -> None:
        await out.begin_events()
        message = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
        await _tell(
            out,
            "message_start",
            message=message | {"model": asked.body["model"], "usage": self.start_usage},
        )
        await _tell(out, "ping")
        if self.thinks is not None:
            thought = {"type": "thinking_delta", "thinking": self.thinks}
            await _tell(out, "content_block_delta", index=0, delta=thought)
        await _tell(out, "content_block_start", index=0, content_block={"type": "text", "text": ""})
        for number, piece in enumerate(self.pieces):
            await self._perhaps_stop(number, out)
            delta = {"type": "text_delta", "text": piece}
            await _tell(out, "content_block_delta", index=0, delta=delta)
            await asyncio.sleep(self.delay_s)
        await self._perhaps_stop(len(self.pieces), out)
        if self.then is not None:
            await _tell(out, "error", error=self.then)
        if self.finish is not None:
            await _tell(out, "content_block_stop", index=0)
            told = {"usage": self.end_usage} if self.end_usage is not None else {}
            await _tell(out, "message_delta", delta={"stop_reason": self.finish}, **told)
            await _tell(out, "message_stop")
        await out.end_events()

    async def _perhaps_stop(self, number: int, out: Answering) -> None:
        if number == self.hangs_after:
            await asyncio.Event().wait()
        if number == self.breaks_after:
            await asyncio.sleep(0.01)  # else what was sent may be lost with the connection
            out.cut()
            raise ConnectionAbortedError


@dataclass
class AnthropicServer:
    """`replies` are given in turn, and after them words."""

    http: StreamingServer
    models: list[str] = field(default_factory=lambda: ["claude"])
    api_key: str = "sk-ant-secret"
    replies: deque[Reply] = field(default_factory=deque)

    @property
    def messages(self) -> list[Asked]:
        """The calls of the model that were asked for."""
        return [asked for asked in self.http.asked if asked.path == "/v1/messages"]

    async def answer(self, asked: Asked, out: Answering) -> None:
        await self._reply(asked).send(asked, out)

    def _reply(self, asked: Asked) -> Reply:
        keys = {asked.headers.get("x-api-key"), asked.headers.get("authorization")}
        if not keys & {self.api_key, f"Bearer {self.api_key}"}:
            return error_page(401, "authentication_error", f"invalid x-api-key: {keys}")
        if asked.path == "/v1/models":
            return Page(200, json.dumps({"data": [{"id": name} for name in self.models]}))
        if asked.path != "/v1/messages":
            return error_page(404, "not_found_error", "Not Found")
        if self.replies:
            return self.replies.popleft()
        if asked.body["model"] not in self.models:
            return error_page(404, "not_found_error", f"model: {asked.body['model']}")
        return _words(asked)


@asynccontextmanager
async def running_anthropic_server() -> AsyncIterator[AnthropicServer]:
    made: list[AnthropicServer] = []

    async def answer(asked: Asked, out: Answering) -> None:
        await made[0].answer(asked, out)

    async with serving(answer) as http:
        made.append(AnthropicServer(http))
        yield made[0]


def error_page(
    status: int, kind: str, message: str, headers: Mapping[str, str] | None = None
) -> Page:
    body = {"type": "error", "error": {"type": kind, "message": message}}
    return Page(status, json.dumps(body), headers=headers or {})


def _words(asked: Asked) -> Message:
    count = asked.body["max_tokens"]
    read = len(json.dumps(asked.body["messages"]).split())
    return Message(
        pieces=[f"word{number} " for number in range(count)],
        start_usage={"input_tokens": read, "output_tokens": 1},
        end_usage={"output_tokens": count},
        finish="max_tokens",
        delay_s=DELAY_S,
    )


async def _tell(out: Answering, kind: str, **told: Any) -> None:
    await out.event({"type": kind} | told, kind)
