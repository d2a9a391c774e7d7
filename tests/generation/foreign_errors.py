"""Makes any error of the clients of model servers, for tests that prove that each is mapped."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Any

import httpx2


def all_of(kind: type[Exception]) -> Iterator[type[Exception]]:
    """The class and all below it."""
    yield kind
    for below in kind.__subclasses__():
        yield from all_of(below)


def foreign_error(kind: type[Exception], told: str) -> Exception:
    """An error of the class that tells `told`, made as the client makes it."""
    request = httpx2.Request("POST", "http://127.0.0.1:1/v1")
    status = getattr(kind, "status_code", 500)
    status = status if isinstance(status, int) else 500
    body = {"error": {"message": told}}
    response = httpx2.Response(status, request=request, text=json.dumps(body))
    known: dict[str, Any] = {
        "request": request,
        "response": response,
        "body": body,
        "completion": type("Completion", (), {"usage": None})(),
        "unsent_messages": [],
    }
    if kind.__init__ is Exception.__init__:
        return kind(told)
    wanted = list(inspect.signature(kind.__init__).parameters.values())[1:]
    needed = [x for x in wanted if x.name in known or x.default is x.empty]
    return kind(
        *(known.get(x.name, told) for x in needed if x.kind is x.POSITIONAL_OR_KEYWORD),
        **{x.name: known.get(x.name, told) for x in needed if x.kind is x.KEYWORD_ONLY},
    )
