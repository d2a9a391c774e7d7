"""When a document was last edited, as it says itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from rag.types import Document

_FIELDS = ("updated", "lastmod", "date")


def with_date(document: Document, otherwise: str) -> Document:
    """`document` with the date in its metadata, `updated`, `lastmod` or `date`, else `otherwise`.

    A date that a reader has given already stays.
    """
    if document.dated:
        return document
    told = (_from_iso(document.metadata.get(name)) for name in _FIELDS)
    return replace(document, dated=next(filter(None, told), otherwise))


def from_seconds(seconds: float) -> str:
    """A time in seconds since 1970, in ISO 8601 and UTC; empty where it is out of range."""
    try:
        return _iso(datetime.fromtimestamp(seconds, UTC))
    except (OverflowError, OSError, ValueError):
        return ""


def from_header(header: str) -> str:
    """A date as HTTP has it, in ISO 8601 and UTC; empty where it is none."""
    try:
        return _iso(parsedate_to_datetime(header))
    except (ValueError, OverflowError):
        return ""


def _from_iso(value: object) -> str:
    try:
        return _iso(datetime.fromisoformat(value.strip())) if isinstance(value, str) else ""
    except (ValueError, OverflowError):
        return ""


def _iso(when: datetime) -> str:
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return aware.astimezone(UTC).isoformat(timespec="seconds")
