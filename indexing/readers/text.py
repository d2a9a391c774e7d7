"""Plain text: finds the encoding and cleans; the text stays as it is."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

from indexing.readers.content import Content, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.titles import first_heading
from rag.errors import DocumentError


def read_text(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Content]:
    """The text of `raw`, whatever its encoding; its title is its first `# ` heading."""
    text = clean_text(decode(raw, source))
    yield Content(text, first_heading(text))


def decode(raw: bytes, source: str, declared: str | None = None) -> str:
    """The characters of `raw`: by its byte-order mark, as UTF-8, as `declared`, or by detection.

    Raises DocumentError when none of them fits, as with a binary file.
    """
    for encoding in (_by_mark(raw), None if _holds_nul(raw) else "utf-8", declared):
        if encoding is not None:
            try:
                return raw.decode(encoding)
            except (UnicodeError, LookupError):
                continue
    if declared is not None and (text := _but_for_some(raw, declared)) is not None:
        return text
    return _detect(raw, source)


def _but_for_some(raw: bytes, declared: str) -> str | None:
    """The text in the encoding that it says it is in, with marks for a few bytes that are not."""
    try:
        text = raw.decode(declared, "replace")
    except (UnicodeError, LookupError):
        return None
    return text if text.count("\N{REPLACEMENT CHARACTER}") * _GOOD_PER_BAD <= len(text) else None


_GOOD_PER_BAD = 100


_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16.
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# The encodings that files without UTF-8 have in practice. Rarer ones would only be mistaken for
# these: with all of Python's, a short French text is taken for Urdu.
_ENCODINGS = [
    "big5", "cp1250", "cp1251", "cp1252", "cp1253", "cp932", "cp949", "euc_jp", "gb18030",
    "utf_16_be", "utf_16_le",
]  # fmt: skip


def _by_mark(raw: bytes) -> str | None:
    return next((encoding for mark, encoding in _MARKS if raw.startswith(mark)), None)


def _holds_nul(raw: bytes) -> bool:
    # UTF-16 without a mark is valid UTF-8 as long as it is English: its NULs give it away.
    return raw.count(0) * 10 > len(raw)


def _detect(raw: bytes, source: str) -> str:
    from charset_normalizer import from_bytes

    guesses = list(from_bytes(raw, cp_isolation=_ENCODINGS, enable_fallback=False))
    if not guesses:
        raise DocumentError(
            f"{source} is in no encoding of text that can be told, or is a binary file: "
            "save it as UTF-8 text"
        )
    # Central European and Western text are often told apart by nothing: the commoner one wins.
    best = min(guesses, key=lambda g: (g.chaos, -g.coherence, g.encoding != "cp1252"))
    return str(best)
