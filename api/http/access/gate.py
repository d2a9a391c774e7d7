"""Who gets in: the layer between the doorkeeper and the routes.

Finds out who calls, whether the key opens the route, from which web page, and whether it called too
often; all before the body is read. Leaves the caller in the state of the request. Adds the headers
by which browsers let the pages of keys in (CORS).
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import HTTPException, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.audit.refusals import Refusals
from api.http.access.caller import (
    ANYBODY,
    VISITOR_HEADER,
    Caller,
    caller_on_trust,
    caller_with,
    visitor_of,
)
from api.http.access.rights import OPERATORS, QUESTIONS, Right, right_of
from api.http.openai_errors import refused
from api.http.problems import TOLD
from api.http.request_ids import REQUEST_ID_HEADER
from api.keys.key import Key
from api.keys.rates import Rates, Visit
from api.keys.records import KeyRecords
from rag.errors import AccessError, KeyRefusedError, StateError

_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": f"authorization, content-type, {VISITOR_HEADER.lower()}",
    "Access-Control-Max-Age": "600",
}


class Gate:
    """The layer. `token` is that of the command line; None: it has none.

    Where there are no keys, everybody gets in, unless the service `listens_beyond` its machine.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        records: KeyRecords,
        rates: Rates,
        refusals: Refusals,
        token: str | None,
        listens_beyond: bool,
    ) -> None:
        self._app = app
        self._records = records
        self._rates = rates
        self._refusals = refusals
        self._token = token
        self._listens_beyond = listens_beyond

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or tell why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        right = right_of(request.method, scope["path"])
        request.state.path = right.path
        page = foreign_page(request.headers)
        try:
            if page is not None:
                await asyncio.to_thread(self._check_page, page)
                send = _for_page(page, send)
                if request.method == "OPTIONS":
                    await Response(status_code=204, headers=_PREFLIGHT)(scope, receive, send)
                    return
            request.state.caller = await self._caller(request, right, page)
        except TOLD as error:
            await _refusal(request, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _caller(self, request: Request, right: Right, page: str | None) -> Caller:
        try:
            return await asyncio.to_thread(self._admit, request, right, page)
        except StateError:
            if right.scopes is None:  # to be alive takes no state
                return ANYBODY
            raise

    def _check_page(self, page: str) -> None:
        if page not in self._records.origins():
            raise HTTPException(
                HTTPStatus.FORBIDDEN,
                f"the page {page[:100]!r} may not call this service: call it from its own page, or "
                "make a publishable key with that page as --origin",
            )

    def _admit(self, request: Request, right: Right, page: str | None) -> Caller:
        token = _token_of(request.headers)
        if self._is_command_line(token):
            return caller_on_trust(request)
        if not self._asks_for_keys():
            if page is not None:  # the last key was revoked this moment
                raise _wrong_page(page)
            return caller_on_trust(request)
        key = None if token is None else self._records.find(token)
        if right.scopes is None:
            return ANYBODY if key is None else caller_with(key)
        if token is None:
            raise KeyRefusedError(
                "this service asks for a key: send one as `Authorization: Bearer rag_sk_…`; "
                "`rag keys create` makes it"
            )
        if key is None:
            raise KeyRefusedError(
                "the key is not valid: it is wrong, has expired or was revoked; `rag keys list` "
                "shows which there are"
            )
        caller = caller_with(key, visitor_of(request))
        try:
            _check_right(caller, key, right)
        except AccessError:
            if right.is_administration:
                self._refusals.note(key, f"{request.method} {right.path}")
            raise
        _check_origin(key, page, request.headers)
        self._rates.take(key, _visit(request, caller, right))
        return caller

    def _asks_for_keys(self) -> bool:
        return self._listens_beyond or self._records.are_there()

    def _is_command_line(self, token: str | None) -> bool:
        given = "" if token is None else token
        return self._token is not None and secrets.compare_digest(
            given.encode("utf-8", "surrogatepass"), self._token.encode()
        )


def foreign_page(headers: Headers) -> str | None:
    """The web page of another origin that calls; None where none does."""
    origin = headers.get("origin")
    host = headers.get("host", "").lower()
    if origin is None or re.sub("^https?://", "", origin).lower() == host:
        return None
    return origin


def _token_of(headers: Headers) -> str | None:
    kind, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None


def _check_right(caller: Caller, key: Key, right: Right) -> None:
    if right.scopes is None or not key.scopes & set(right.scopes):
        raise AccessError(
            f"the key {key.name!r} has the scopes {', '.join(sorted(key.scopes))}, and this needs "
            f"one of {', '.join(right.scopes or ())}: use another key"
        )
    if right.path in OPERATORS and not caller.is_operator:
        raise AccessError(
            f"the key {key.name!r} is of a tenant, and this tells of all: use one of the operator"
        )


def _check_origin(key: Key, page: str | None, headers: Headers) -> None:
    """A publishable key is for its own pages, and no other key is for any page of another origin.

    Browsers name the origin, but for reading from the page's own host.
    """
    if not key.is_publishable:
        if page is not None:
            raise _wrong_page(page)
        return
    origin = headers.get("origin")
    if origin is None and headers.get("sec-fetch-site") == "same-origin":
        host = headers.get("host", "").lower()
        if any(one.partition("//")[2] == host for one in key.origins):
            return
    if origin not in key.origins:
        raise _wrong_page(origin or "")


def _wrong_page(page: str) -> AccessError:
    shown = f"the page {page[:100]!r}" if page else "what is no web page"
    return AccessError(
        f"this key is not for {shown}: use it on the pages that it was made for, or make one with "
        "another --origin"
    )


def _visit(request: Request, caller: Caller, right: Right) -> Visit:
    address = request.client.host if request.client is not None else ""
    return Visit(caller.visitor, address, is_question=right.path in QUESTIONS)


def _refusal(request: Request, error: Exception) -> Response:
    """The body was not read, and may be endless: the connection ends with the answer."""
    response = refused(request, error)
    response.headers["Connection"] = "close"
    return response


def _for_page(page: str, send: Send) -> Send:
    """What tells the browser that this page may read the answer."""
    told: Mapping[str, str] = {
        "Access-Control-Allow-Origin": page,
        "Access-Control-Expose-Headers": f"Retry-After, {REQUEST_ID_HEADER}",
    }

    async def sender(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(told)
            headers.add_vary_header("Origin")
        await send(message)

    return sender
