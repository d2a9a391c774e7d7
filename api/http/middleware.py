"""What happens to every request before and after its route, as one plain ASGI layer.

Gives it an id, refuses foreign names and bodies that are too large, adds security headers, turns
the unexpected into a problem document, writes one log line, and counts. Never logs a query, a body,
a header, or an id of people.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection
from http import HTTPMethod, HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.access.rights import OF_PEOPLE
from api.http.limits.admission import ClientLeftError
from api.http.limits.bodies import BodyLimits
from api.http.metrics import Metrics
from api.http.openai_errors import refused
from api.http.problems import internal_problem, problem_response
from api.http.request_ids import REQUEST_ID_HEADER, request_id

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
CLIENT_LEFT = 499
"""The status in logs and metrics, after nginx, of a request whose client left."""
LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]")
METHODS = frozenset(method.value for method in HTTPMethod)

_log = logging.getLogger(__name__)


class Doorkeeper:
    """The layer; `allowed_hosts` are names, besides this machine's, that callers may use."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str],
        body_limits: BodyLimits,
        metrics: Metrics,
    ) -> None:
        self._app = app
        self._allowed_hosts = frozenset({*LOOPBACK_HOSTS, *map(str.lower, allowed_hosts)})
        self._body_limits = body_limits
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with request_id(Headers(scope=scope).get(REQUEST_ID_HEADER)) as given:
            await self._tell(scope, receive, _Sender(send, given))

    async def _tell(self, scope: Scope, receive: Receive, sender: _Sender) -> None:
        """Serve the request, log it and count it."""
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, sender)
        except ClientLeftError:
            sender.status = CLIENT_LEFT
        except Exception:
            _log.exception("unexpected error in %s %s", scope["method"], _shown(scope))
            if sender.status is None:
                await problem_response(internal_problem())(scope, receive, sender)
        finally:
            status = sender.status or CLIENT_LEFT
            ms = (time.perf_counter() - started) * 1000
            _log.info("%s %s %d %.1f ms", scope["method"], _shown(scope), status, ms)
            self._metrics.count_request(_route(scope), _method(scope), status)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            limited = self._body_limits.around(receive, scope["path"], headers)
        except HTTPException as error:
            response = refused(Request(scope), error)
            response.headers["Connection"] = "close"  # the body was not read
            await response(scope, receive, send)
            return
        await self._app(scope, limited, send)

    def _check_host(self, headers: Headers) -> None:
        """No foreign web page may call by another name for this address."""
        host = headers.get("host", "")
        if re.sub(r":\d+$", "", host).lower() not in self._allowed_hosts:
            raise HTTPException(
                HTTPStatus.MISDIRECTED_REQUEST,
                f"the host {host[:100]!r} is not one of this service: "
                "add it to the setting server.allowed_hosts",
            )


class _Sender:
    """Adds the security headers and the request's id, and remembers the status that was sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._request_id = request_id
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            headers[REQUEST_ID_HEADER] = self._request_id
        await self._send(message)


def _route(scope: Scope) -> str:
    """The pattern of its route; of what the gate refused, the one that it found."""
    found: str | None = getattr(scope.get("route"), "path", None)
    return found or scope.get("state", {}).get("path") or "unmatched"


def _method(scope: Scope) -> str:
    """The method; whatever callers make up counts as one."""
    method: str = scope["method"]
    return method if method in METHODS else "other"


def _shown(scope: Scope) -> str:
    """The path in one line, whatever it holds; its pattern, where it names people."""
    route = _route(scope)
    path: str = route if route in OF_PEOPLE else scope["path"]
    return path.encode("unicode_escape").decode("ascii")[:300]
