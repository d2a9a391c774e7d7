"""The id of the request that is served: on its log lines, in its problems and in its response.

Work that a request starts inherits the id; what runs by itself, as an ingestion job, has none.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

REQUEST_ID_HEADER = "X-Request-Id"
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_current: ContextVar[str] = ContextVar("request_id", default="")


def current_request_id() -> str:
    """The id of the request that this code works for; empty outside a request."""
    return _current.get()


@contextmanager
def request_id(sent: str | None) -> Iterator[str]:
    """Serves a request under the id that was sent, or under a new one where that is no id.

    An id has 1 to 100 letters, digits, dots, dashes, underscores and colons.
    """
    chosen = sent if sent is not None and _SANE.fullmatch(sent) else uuid.uuid4().hex
    token = _current.set(chosen)
    try:
        yield chosen
    finally:
        _current.reset(token)
