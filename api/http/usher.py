"""Brings questions to their places: the last layer before the routes.

What comes when there is no place is refused before anything of it is parsed. The body is received
first, so that whoever sends it slowly holds no place; nor does whoever is slow to read.
"""

from __future__ import annotations

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.admission import ClientLeftError
from api.http.openai_errors import refused
from api.http.places import Places
from api.http.problems import TOLD
from rag.aside import PLACE, standing_aside

PATHS = frozenset({"/v1/answers", "/v1/chat/completions", "/v1/search", "/v1/context"})
"""Where a question is worked on."""


class Usher:
    """The layer around the routes, with the places that it gives away."""

    def __init__(self, app: ASGIApp, *, places: Places) -> None:
        self._app = app
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give one question a place, or tell that there is none."""
        if scope["type"] != "http" or scope["path"] not in PATHS or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        try:
            body = await _received(receive)
            place = await self._places.enter()
        except TOLD as error:
            await refused(Request(scope), error)(scope, receive, send)
            return
        token = PLACE.set(place)
        try:
            await self._app(scope, _after(body, receive), _aside(send))
        finally:
            PLACE.reset(token)
            place.end()


async def _received(receive: Receive) -> Message:
    """The whole body as one message. Raises ClientLeftError."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}


def _after(body: Message, receive: Receive) -> Receive:
    """Gives what was received already, and then what comes."""
    kept = [body]

    async def next_message() -> Message:
        return kept.pop() if kept else await receive()

    return next_message


def _aside(send: Send) -> Send:
    async def sender(message: Message) -> None:
        with standing_aside():
            await send(message)

    return sender
