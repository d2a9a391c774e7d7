"""Errors as problem documents (RFC 9457): the one table from error class to status.

Nothing of an unexpected error leaves the service but the word that one happened, and the id of the
request under which the log tells more.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from api.http.access.caller import Caller
from api.http.request_ids import current_request_id
from api.models.inputs import validation_lines
from rag import errors

STATUS: Mapping[type[errors.RagError], HTTPStatus] = {
    errors.RagError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.InputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.QuestionError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.RangeError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.FilterError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ConflictError: HTTPStatus.CONFLICT,
    errors.NotFoundError: HTTPStatus.NOT_FOUND,
    errors.AccessError: HTTPStatus.FORBIDDEN,
    errors.KeyRefusedError: HTTPStatus.UNAUTHORIZED,
    errors.DocumentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.GoneError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SettingsError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.MissingExtraError: HTTPStatus.NOT_IMPLEMENTED,
    errors.ModelError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StoreError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StoreMismatchError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StoreLockedError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StateError: HTTPStatus.INTERNAL_SERVER_ERROR,
    errors.StateUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderError: HTTPStatus.BAD_GATEWAY,
    errors.ProviderRefusedError: HTTPStatus.BAD_GATEWAY,
    errors.ProviderUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderBusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ProviderReplyError: HTTPStatus.BAD_GATEWAY,
    errors.BudgetError: HTTPStatus.PAYMENT_REQUIRED,
    errors.ServiceError: HTTPStatus.BAD_GATEWAY,
    errors.RateLimitError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.OverloadedError: HTTPStatus.SERVICE_UNAVAILABLE,
}
TITLES: Mapping[int, str] = {  # our own, since Python's change from version to version
    400: "Bad request",
    401: "Not authorized",
    402: "Over the budget",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported content type",
    421: "Unknown host",
    422: "Cannot be processed",
    429: "Too many requests",
    431: "Head too large",
    500: "Internal error",
    501: "Not installed",
    502: "Bad gateway",
    503: "Too busy",
}
TYPE_PREFIX = "urn:thrifty-rag:problem:"
INSTANCE_PREFIX = "urn:thrifty-rag:request:"
UNREADABLE = "the body is not valid JSON in UTF-8: mend it"
UNPARSED_BY_FASTAPI = "There was an error parsing the body"
MEDIA_TYPE = "application/problem+json"
TOLD = (errors.RagError, HTTPException, RequestValidationError)
"""The errors of which a caller is told."""


def status_of(error: errors.RagError) -> HTTPStatus:
    """The status of an error: that of its class, else of the nearest class above it."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def problem_of(error: errors.RagError) -> dict[str, Any]:
    """The problem document of one of our own errors."""
    return _problem(_kind(type(error)), status_of(error), str(error), retryable=error.retryable)


def problem_told(request: Request, error: errors.RagError) -> dict[str, Any]:
    """The same, with the names of collections as the caller of this request calls them."""
    problem = problem_of(error)
    caller: Caller | None = getattr(request.state, "caller", None)
    detail = problem["detail"]
    return problem | {"detail": detail if caller is None else caller.reach.told(detail)}


def http_problem(error: HTTPException) -> dict[str, Any]:
    """The problem document of an error that belongs to HTTP, as an unknown path."""
    status = HTTPStatus(error.status_code)
    detail = UNREADABLE if error.detail == UNPARSED_BY_FASTAPI else str(error.detail)
    return _problem(_slug(_title(status)), status, detail)


def internal_problem() -> dict[str, Any]:
    """The problem document of an unexpected error; the log has what happened."""
    return _problem(
        "internal",
        HTTPStatus.INTERNAL_SERVER_ERROR,
        f"something went wrong in the service: its log says what, under {current_request_id()}",
    )


def problem_response(
    problem: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """A problem document as a response."""
    # ASCII, since a message may repeat what no encoding can hold.
    return Response(json.dumps(problem), problem["status"], headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Let every error that a route raises become a problem document."""
    for kind in TOLD:
        app.add_exception_handler(kind, _on_error)


def told_of(request: Request, error: Exception) -> tuple[dict[str, Any], Mapping[str, str]]:
    """What a caller is told of one of the errors in TOLD: a problem document, and headers."""
    if isinstance(error, errors.RagError):
        return problem_told(request, error), _headers(error)
    if isinstance(error, HTTPException):
        return _http_problem_at(request, error), _http_headers(request, error)
    assert isinstance(error, RequestValidationError)
    return _validation_problem(request, error), {}


async def _on_error(request: Request, error: Exception) -> Response:
    return problem_response(*told_of(request, error))


def _headers(error: errors.RagError) -> dict[str, str]:
    if isinstance(error, errors.KeyRefusedError):
        return {"WWW-Authenticate": "Bearer"}
    after_s = error.retry_after_s
    return {} if after_s is None else {"Retry-After": str(math.ceil(after_s))}


def _http_problem_at(request: Request, error: HTTPException) -> dict[str, Any]:
    problem = http_problem(error)
    place = ascii(request.url.path[:200])
    if error.status_code == HTTPStatus.NOT_FOUND and error.detail == HTTPStatus.NOT_FOUND.phrase:
        problem["detail"] = f"nothing is at {place}: /openapi.json lists what there is"
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        problem["detail"] = f"{request.method} is not for {place}: /openapi.json lists what is"
    return problem


def _http_headers(request: Request, error: HTTPException) -> Mapping[str, str]:
    """The headers of the error; the framework's `Allow` names the methods of one route alone."""
    headers = dict(error.headers or {})
    if "Allow" in headers:
        routes = request.app.routes
        scopes = [{**request.scope, "method": method.value} for method in HTTPMethod]
        allowed = [
            scope["method"]
            for scope in scopes
            if any(route.matches(scope)[0] is Match.FULL for route in routes)
        ]
        headers["Allow"] = ", ".join(allowed)
    return headers


def _validation_problem(request: Request, error: RequestValidationError) -> dict[str, Any]:
    found = error.errors()
    first = found[0]
    if first["type"] == "json_invalid":
        detail = f"the body is not valid JSON ({first['ctx']['error']}): mend it"
        return _problem("invalid-json", HTTPStatus.BAD_REQUEST, detail)
    if tuple(first["loc"]) == ("body",) and isinstance(first.get("input"), bytes):
        sent = request.headers.get("content-type") or "none"
        detail = f"the content type is {sent[:100]!r}: send application/json"
        return _problem("content-type", HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    return invalid_problem(validation_lines(found))


def invalid_problem(lines: list[tuple[str, str]]) -> dict[str, Any]:
    """The problem document of fields that do not fit; `lines` are fields and messages."""
    said = [f"{field}: {message}" if field else message for field, message in lines]
    detail = said[0] + (f" (and {len(said) - 1} more)" if len(said) > 1 else "")
    problem = _problem("invalid", HTTPStatus.UNPROCESSABLE_ENTITY, detail)
    return {**problem, "errors": [{"field": field, "message": text} for field, text in lines[:20]]}


def _problem(
    kind: str, status: HTTPStatus, detail: str, *, retryable: bool = False
) -> dict[str, Any]:
    problem = {
        "type": TYPE_PREFIX + kind,
        "title": _title(status),
        "status": status.value,
        "detail": detail,
        "retryable": retryable,
    }
    request_id = current_request_id()
    return problem | {"instance": INSTANCE_PREFIX + request_id} if request_id else problem


def _title(status: HTTPStatus) -> str:
    return TITLES.get(status, status.phrase)


def _kind(error_class: type[errors.RagError]) -> str:
    return _slug(re.sub(r"(?<!^)(?=[A-Z])", "-", error_class.__name__.removesuffix("Error")))


def _slug(words: str) -> str:
    return re.sub(r"[^a-z]+", "-", words.lower()).strip("-")
