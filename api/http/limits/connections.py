"""Connections that wait for nobody for ever: neither for a head, nor for one who does not read.

What stands around the application cannot see these, as they come before a request is whole or after
an answer was handed over. uvicorn by itself waits for both without an end, and takes a head of any
length. Slow bodies are the doorkeeper's.
"""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from typing import Any, cast

from starlette.exceptions import HTTPException
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.limits.patience import Patience
from api.http.problems import MEDIA_TYPE, http_problem
from api.http.request_ids import request_id

MAX_HEAD_BYTES = 65_536
LOOK_EVERY_S = 1.0
IDLE_S = 75
"""How long a connection is kept for a next request: longer than proxies keep theirs to a service,
which is 60 s by default. If the service closed it first, a question could fall into the closing."""

_log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """One connection; it looks at itself every `LOOK_EVERY_S`."""

    def __init__(self, *, patience: Patience, **options: Any) -> None:
        super().__init__(**options)
        self._patience = patience
        self._has_head = False
        self._head_bytes = 0
        self._waited_s = 0.0
        self._unread = _Unread(patience)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a head."""
        super().connection_made(cast(asyncio.Transport, transport))
        self._look_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Look no more."""
        self._next_look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece of a request; refuse a head that is too long."""
        if not self._has_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > MAX_HEAD_BYTES and not self._has_head:
            self._refuse(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"the head of the request is longer than {MAX_HEAD_BYTES:,} bytes: send a shorter "
                "address, or fewer headers",
            )

    def on_headers_complete(self) -> None:
        """The head is there, and the request is served."""
        self._has_head = True
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """Begin to wait for the next head, and for the rest of a body that nobody wanted."""
        self._waited_s = 0.0
        super().on_response_complete()

    def on_message_complete(self) -> None:
        """The request is whole; the next bytes are those of another head."""
        super().on_message_complete()
        self._has_head, self._head_bytes = False, 0

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, "this is no request of HTTP/1.1: mend it")

    def _look_soon(self) -> None:
        self._next_look = self.loop.call_later(LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        self._look_soon()
        if self._unread.is_too_slow(self.transport.get_write_buffer_size()):
            _log.info("a client that does not read is cut off, with %d bytes", self._unread.left)
            self.transport.abort()
        elif not (self.transport.is_closing() or self._serves() or self._is_idle()):
            self._waited_s += LOOK_EVERY_S
            if self._waited_s > self._patience.seconds:
                self._give_up()

    def _serves(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _is_idle(self) -> bool:
        """Whether it is between two requests; uvicorn counts the time."""
        return self.cycle is not None and not self._has_head and self._head_bytes == 0

    def _give_up(self) -> None:
        """End the wait for a head, with a word to who has begun one."""
        if self._head_bytes == 0 or self._has_head:
            self.transport.abort()
            return
        self._refuse(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the head of the request took longer than {self._patience.seconds:g} s: send it "
            "faster, or raise the setting server.client_timeout_s",
        )

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Tell why, by hand, since there is no request yet; and close."""
        if self.transport.is_closing():
            return
        if self._serves() and self.cycle.response_started:  # of the request before
            self.transport.abort()
            return
        with request_id(None) as given:
            body = json.dumps(http_problem(HTTPException(status, detail))).encode()
            _log.info("refused with %d before there was a request, as %s", status, given)
        head = (
            STATUS_LINE[status],
            f"content-type: {MEDIA_TYPE}\r\n".encode(),
            f"content-length: {len(body)}\r\n".encode(),
            b"connection: close\r\n\r\n",
        )
        self.transport.write(b"".join((*head, body)))
        self.transport.close()


class _Unread:
    """What lies ready for a client that it does not read; `left` is how many bytes."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self.left = 0
        self._waited_s = 0.0
        self._read_bytes = 0

    def is_too_slow(self, left: int) -> bool:
        """Whether the client reads too slowly, of whom `left` bytes are waited for now."""
        if left == 0:
            self._waited_s, self._read_bytes = 0.0, 0
        else:
            self._waited_s += LOOK_EVERY_S
            self._read_bytes += max(0, self.left - left)
        self.left = left
        return self._waited_s > self._patience.seconds_for(self._read_bytes)
