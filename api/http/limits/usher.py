"""Brings questions to their places: the last layer before the routes, and one before the gate.

What comes when there is no place is refused before anything of it is parsed. The body is received
first, so that whoever sends it slowly holds no place; nor does whoever is slow to read. Where there
is no hope, a question is turned away before anybody looks at its key. Who comes back sooner than he
was told waits until then: to refuse him again and again would leave no time for the others.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access.gate import foreign_page
from api.http.limits.admission import ClientLeftError
from api.http.limits.places import COME_BACK_S, RETRY_AFTER_S, Places
from api.http.openai_errors import refused
from api.http.problems import TOLD
from rag.aside import PLACE, standing_aside
from rag.errors import OverloadedError

PATHS = frozenset({"/v1/answers", "/v1/chat/completions", "/v1/search", "/v1/context"})
"""Where a question is worked on."""
SMALL_BODY = 65_536


def is_question(scope: Scope) -> bool:
    """Whether a request takes a place."""
    return scope["type"] == "http" and scope["path"] in PATHS and scope["method"] == "POST"


class Comebacks:
    """Who was told to come back, by address and port, and when they will be heard again.

    At different moments, lest those who were refused together come back together.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._until: OrderedDict[object, float] = OrderedDict()

    def note(self, scope: Scope) -> None:
        """This one is told to come back later."""
        client = scope.get("client")
        self._until.pop(client, None)
        later_s = random.uniform(RETRY_AFTER_S, 2 * COME_BACK_S - RETRY_AFTER_S)  # noqa: S311
        self._until[client] = self._now() + later_s

    async def wait(self, scope: Scope) -> None:
        """Until this one is heard again, where it was told to come back."""
        now = self._now()
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
        await asyncio.sleep(max(0.0, self._until.get(scope.get("client"), now) - now))


class Barrier:
    """The layer before the gate. It lets through what a web page of another origin asks, which
    could not read what it is told here.
    """

    def __init__(self, app: ASGIApp, *, places: Places, comebacks: Comebacks) -> None:
        self._app = app
        self._places = places
        self._comebacks = comebacks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on, or turn it away."""
        if self._places.is_crowded and is_question(scope):
            await self._comebacks.wait(scope)
        if self._places.are_hopeless and is_question(scope):
            request = Request(scope)
            if foreign_page(request.headers) is None:
                self._comebacks.note(scope)
                response = refused(request, self._places.turn_away())
                length = request.headers.get("content-length", "")
                if not length.isdecimal() or int(length) > SMALL_BODY:
                    response.headers["Connection"] = "close"  # nobody will read the body
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Usher:
    """The layer around the routes, with the places that it gives away."""

    def __init__(self, app: ASGIApp, *, places: Places, comebacks: Comebacks) -> None:
        self._app = app
        self._places = places
        self._comebacks = comebacks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Give one question a place, or tell that there is none."""
        if not is_question(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await _received(receive)
            place = await self._places.enter()
        except TOLD as error:
            if isinstance(error, OverloadedError):
                self._comebacks.note(scope)
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
