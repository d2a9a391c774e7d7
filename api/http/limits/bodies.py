"""Limits of the body of a request: how long it may be, and how slowly it may come."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive

from api.http.limits.patience import Patience
from api.setting_groups.server import ServerSettings

LARGE = ("/v1/documents", "/v1/batches")
"""The paths to which `server.max_question_bytes` does not apply."""


class BodyLimits:
    """What holds for every body, by the settings of the service."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._patience = Patience(settings.client_timeout_s, settings.min_bytes_per_s)

    def around(self, receive: Receive, path: str, headers: Headers) -> Receive:
        """`receive`, with the limits of this path.

        Raises HTTPException, now for a declared length and later for what comes.
        """
        names = ["max_body_bytes"] if path in LARGE else ["max_body_bytes", "max_question_bytes"]
        limit, setting = min((getattr(self._settings, name), name) for name in names)
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            raise _too_large(limit, setting)
        received, waited_s, is_whole = 0, 0.0, False

        async def limited() -> Message:
            nonlocal received, waited_s, is_whole
            if is_whole:  # all that can come now is that the client leaves
                return await receive()
            started = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._patience.seconds_for(received) - waited_s):
                    message = await receive()
            except TimeoutError:
                raise self._too_slow(received) from None
            waited_s += asyncio.get_running_loop().time() - started
            received += len(message.get("body", b""))
            is_whole = not message.get("more_body", False)
            if received > limit:
                raise _too_large(limit, setting)
            return message

        return limited

    def _too_slow(self, received: int) -> HTTPException:
        return HTTPException(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the body stopped at {received:,} bytes; the service waits "
            f"{self._patience.seconds:g} s and a second for each {self._patience.bytes_per_s:,} "
            "bytes: send it faster, or raise the setting server.client_timeout_s",
            {"Connection": "close"},
        )


def _too_large(limit: int, setting: str) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than the limit of {limit:,} bytes: send less at once, "
        f"or raise the setting server.{setting}",
        {"Connection": "close"},
    )
