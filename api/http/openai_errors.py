"""Errors in the shape that clients of OpenAI read, for the routes that speak its protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.http.problems import TOLD, TYPE_PREFIX, problem_response, told_of
from rag.errors import NotFoundError, QuestionError

PATHS = ("/v1/chat/", "/v1/models")
"""Below which the protocol is spoken."""

_STATUS: Mapping[int, int] = {422: 400, 402: 429}
"""Where the protocol has another status for a problem than we have."""
_TYPES: Mapping[str, str] = {
    "key_refused": "authentication_error",
    "access": "permission_error",
    "rate_limit": "requests",
    "budget": "insufficient_quota",
}
_CODES: Mapping[str, str] = {
    "unknown_model": "model_not_found",
    "budget": "insufficient_quota",
    "key_refused": "invalid_api_key",
    "rate_limit": "rate_limit_exceeded",
}


class UnknownModelError(NotFoundError):
    """No model, which is a collection, has that name."""

    def __init__(self, model: str) -> None:
        super().__init__(
            f"there is no model {model[:60]!a}: a model is a collection that holds documents, and "
            "GET /v1/models lists them"
        )


class OpenAIRoute(APIRoute):
    """A route whose errors have the shape `{"error": {message, type, param, code}}`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route with that around it."""
        answer = super().get_route_handler()

        async def answer_or_tell(request: Request) -> Response:
            try:
                return await answer(request)
            except TOLD as error:
                return openai_response(request, error)

        return answer_or_tell


def openai_response(request: Request, error: Exception) -> Response:
    """One of the errors in TOLD, as clients of OpenAI read it."""
    problem, headers = told_of(request, error)
    status = _STATUS.get(problem["status"], problem["status"])
    is_ours = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = problem["type"].removeprefix(TYPE_PREFIX).replace("-", "_")
    told = {
        "message": problem["detail"],
        "type": _TYPES.get(code, "server_error" if is_ours else "invalid_request_error"),
        "param": _param(problem, error),
        "code": _CODES.get(code, code),
    }
    # Official clients try all of 5xx and 429 again, unless they are told that it is no use.
    should_retry = "true" if problem["retryable"] else "false"
    # ASCII, since a message may repeat what no encoding can hold.
    return Response(
        json.dumps({"error": told}),
        status,
        {**headers, "x-should-retry": should_retry},
        media_type="application/json",
    )


def refused(request: Request, error: Exception) -> Response:
    """One of the errors in TOLD, in the shape of the path that was asked."""
    if request.scope["path"].startswith(PATHS):
        return openai_response(request, error)
    return problem_response(*told_of(request, error))


def _param(problem: Mapping[str, Any], error: Exception) -> str | None:
    """The field of the request that is to blame, if one is."""
    if isinstance(error, UnknownModelError):
        return "model"
    if isinstance(error, QuestionError):
        return "messages"
    return next((one["field"] for one in problem.get("errors", ()) if one["field"]), None)
