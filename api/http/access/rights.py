"""Which key a route asks for: the one table, and the way from a request to its row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.routing import compile_path

from api.keys.key import Scope

_ALL: tuple[Scope, ...] = ("ask", "publish", "ingest", "admin")
_VISIT: tuple[Scope, ...] = ("ask", "publish", "admin")
_ASK: tuple[Scope, ...] = ("ask", "admin")
_READ: tuple[Scope, ...] = ("ask", "ingest", "admin")
_INGEST: tuple[Scope, ...] = ("ingest", "admin")
_ADMIN: tuple[Scope, ...] = ("admin",)

STATIC = "/static"
RIGHTS: Mapping[tuple[str, str], tuple[Scope, ...] | None] = {
    ("GET", "/"): None,
    ("GET", "/dashboard"): None,
    ("GET", "/widget.js"): None,
    ("GET", "/health"): None,
    ("GET", "/ready"): None,
    ("GET", "/openapi.json"): _ALL,
    ("POST", "/v1/answers"): _VISIT,
    ("POST", "/v1/feedback"): _VISIT,
    ("POST", "/v1/handoffs"): _VISIT,
    ("GET", "/v1/documents/{document_id:path}"): (*_READ, "publish"),
    ("DELETE", "/v1/conversations/{conversation_id:path}"): _ASK,
    ("POST", "/v1/search"): _ASK,
    ("POST", "/v1/context"): _ASK,
    ("POST", "/v1/batches"): _ASK,
    ("GET", "/v1/batches/{batch_id}"): _ASK,
    ("POST", "/v1/chat/completions"): _ASK,
    ("GET", "/v1/models"): _ASK,
    ("GET", "/v1/models/{model}"): _ASK,
    ("GET", "/v1/documents"): _READ,
    ("POST", "/v1/documents"): _INGEST,
    ("DELETE", "/v1/documents/{document_id:path}"): _INGEST,
    ("GET", "/v1/jobs"): _INGEST,
    ("GET", "/v1/jobs/{job_id}"): _INGEST,
    ("DELETE", "/v1/jobs/{job_id}"): _INGEST,
    ("POST", "/v1/jobs/{job_id}/retry"): _INGEST,
    ("DELETE", "/v1/visitors/{visitor}"): _ADMIN,
    ("GET", "/v1/audit"): _ADMIN,
    ("GET", "/v1/costs"): _ADMIN,
    ("GET", "/v1/dashboard"): _ADMIN,
    ("DELETE", "/v1/questions"): _ADMIN,
    ("POST", "/v1/pins"): _ADMIN,
    ("GET", "/v1/pins"): _ADMIN,
    ("DELETE", "/v1/pins/{pin_id}"): _ADMIN,
    ("GET", "/metrics"): _ADMIN,
}
"""By method and path, the scopes of which a key needs one; None where it needs no key."""

OPERATORS = frozenset({"/metrics"})
"""What tells of all tenants at once: for the operator's admin keys alone."""

OF_PEOPLE = frozenset({"/v1/conversations/{conversation_id:path}", "/v1/visitors/{visitor}"})
"""Where the path names a person or what they said: no log repeats it."""

QUESTIONS = frozenset({"/v1/answers", "/v1/chat/completions"})
"""What counts as a question of a visitor's day."""

_PATTERNS: list[tuple[re.Pattern[str], str, str]] = [
    (compile_path(path)[0], method, path) for method, path in RIGHTS
]


@dataclass(frozen=True, slots=True)
class Right:
    """What a request is about: the path of its route, and the scopes that open it.

    None are the scopes where no key is needed. The path is empty where there is no such route, and
    there is nothing behind to keep.
    """

    path: str
    scopes: tuple[Scope, ...] | None

    @property
    def is_administration(self) -> bool:
        """Whether no scope but admin opens it."""
        return self.scopes == _ADMIN


def right_of(method: str, path: str) -> Right:
    """The row of a request."""
    for pattern, own, route in _PATTERNS:
        if own == ("GET" if method == "HEAD" else method) and pattern.match(path):
            return Right(route, RIGHTS[own, route])
    return Right("", None)
