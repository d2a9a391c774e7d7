"""The failures of a database as errors of ours: the one place where they are mapped."""

from __future__ import annotations

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, IntegrityError, NotSupportedError, ProgrammingError

from rag.errors import StateError, StateUnavailableError

_OURS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""What only a mistake in this program brings about; it stays as it is, for the log."""

_MENDS = {
    "database is locked": (
        StateUnavailableError,
        "another process keeps it locked: stop that one, or try again when it is done",
    ),
    "disk is full": (StateUnavailableError, "the disk is full: free some space, and send it again"),
    "no space left": (
        StateUnavailableError,
        "the disk is full: free some space, and send it again",
    ),
    "disk i/o error": (StateError, "the disk failed or is full: see to it, and send it again"),
    "readonly database": (StateError, "it may only be read: let this user write to its folder"),
    "unable to open": (StateError, "it cannot be opened: let this user write to its folder"),
    "not a database": (
        StateError,
        "it is no SQLite file, or a damaged one: put a backup in its place, or move it away and "
        "ingest again",
    ),
    "malformed": (
        StateError,
        "it is damaged: put a backup in its place, or move it away and ingest again",
    ),
    "no such table": (
        StateError,
        "a table is missing: put a backup in its place, or move it away and ingest again",
    ),
}


def map_failures(engine: Engine, place: str) -> None:
    """Let the failures of an engine come as StateError; `place` is what messages call it."""
    secrets = _secrets(engine.url)

    def on_failure(context: ExceptionContext) -> StateError | None:
        is_connecting = context.connection is None
        if isinstance(context.sqlalchemy_exception, _OURS) and not is_connecting:
            return None
        said = " ".join(str(context.original_exception).split())
        for secret in secrets:
            said = said.replace(secret, "***")
        for words, (kind, mend) in _MENDS.items():
            if words in said.lower():
                return kind(f"the state in {place} cannot be used: {mend}")
        if is_connecting or context.is_disconnect:
            return StateUnavailableError(
                f"the state in {place} cannot be reached ({said}): start what serves it, or "
                "correct RAG_STATE_URL"
            )
        return StateError(f"the state in {place} failed ({said}): mend that, and send it again")

    event.listen(engine, "handle_error", on_failure, retval=True)


def _secrets(url: URL) -> list[str]:
    """What a message about this URL must not repeat."""
    values = [value for name, value in url.query.items() if "pass" in name]
    return [str(value) for value in (url.password, *values) if value]
