"""What a reader finds in a file, and how its text is cleaned, whatever the format."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from rag.types import Scalar


@dataclass(frozen=True, slots=True)
class Content:
    """The text of one file, cleaned. `title` is None where the content itself names none.

    `page_starts` is as in `Document`.
    """

    text: str
    title: str | None = None
    page_starts: tuple[int, ...] = ()
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


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
