"""What readers find in a file, and how its text is cleaned, whatever the format."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rag.errors import DocumentError
from rag.sources import FailedPart
from rag.types import Scalar


@dataclass(frozen=True, slots=True)
class Content:
    """The text of one document, cleaned. `title` is None where the content itself names none.

    `page_starts` is as in `Document`. A file that holds several documents gives each a `part`,
    which stands behind `#` in its source; `document_id` is the id that the content gives itself.
    `dated` is when it was last edited, in ISO 8601 and UTC, empty where it does not say.
    """

    text: str
    title: str | None = None
    page_starts: tuple[int, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    part: str = ""
    dated: str = ""
    document_id: str | None = None


@dataclass(frozen=True, slots=True)
class Enclosed:
    """A file within a file, to be read by its own format. `unpack` may raise DocumentError."""

    name: str
    unpack: Callable[[], bytes]


Found = Content | Enclosed | FailedPart
"""What a reader yields: documents, files within the file, and parts that cannot be read."""


@contextmanager
def as_document_errors(source: str, kind: str, mend: str) -> Iterator[None]:
    """Turn whatever a parser raises into one DocumentError: `source` is damaged or no `kind`.

    A damaged file shows as whatever the parser happens to meet, RecursionError among others. Only
    MemoryError passes, which says nothing of the file.
    """
    try:
        yield
    except (DocumentError, MemoryError):
        raise
    except Exception as error:
        raise DocumentError(
            f"{source} is damaged or no {kind} ({type(error).__name__}): {mend}"
        ) from error


def iso_date(text: str) -> str:
    """A date in ISO 8601, in UTC and to the second; empty where `text` is none."""
    try:
        when = datetime.fromisoformat(text.strip())
        aware = when if when.tzinfo else when.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError):
        return ""


def clean_text(text: str) -> str:
    """`text` in NFC, with `\\n` newlines, without control characters or white space at line ends.

    Also gone: byte-order marks, zero-width spaces and soft hyphens, which nobody sees and which
    part words that a search should find; and blank lines at both ends.
    """
    text = _NEWLINE.sub("\n", text)
    text = _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)
    text = _NO_BREAK_SPACE.sub(" ", _INVISIBLE.sub("", text))
    text = unicodedata.normalize("NFC", text)
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


_NEWLINE = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u2060\ufeff\ufffe\uffff]"
)
_NO_BREAK_SPACE = re.compile("[\u00a0\u202f]")
_SURROGATE = re.compile("[\ud800-\udfff]")
