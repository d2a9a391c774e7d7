"""What a page is: from the type that its server states to the extension of a file like it."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from email.message import Message
from urllib.parse import unquote, urlsplit

from indexing.readers.recognition import SUPPORTED_EXTENSIONS
from rag.errors import DocumentError

_OFFICE = "application/vnd.openxmlformats-officedocument."
_EXTENSIONS: Mapping[str, str] = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/x-markdown": ".md",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/tab-separated-values": ".tsv",
    "text/xml": ".xml",
    "application/xml": ".xml",
    "application/rss+xml": ".xml",
    "application/atom+xml": ".xml",
    "application/json": ".json",
    "application/jsonl": ".jsonl",
    "application/x-ndjson": ".jsonl",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "application/zip": ".zip",
    "application/mbox": ".mbox",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.ms-outlook": ".msg",
    "message/rfc822": ".eml",
    _OFFICE + "wordprocessingml.document": ".docx",
    _OFFICE + "presentationml.presentation": ".pptx",
    _OFFICE + "spreadsheetml.sheet": ".xlsx",
}
_SUFFIXES = {"+json": ".json", "+xml": ".xml"}
# Stated by servers that do not know: then the ending of the address is believed.
_VAGUE = {"", "application/octet-stream", "binary/octet-stream", "text/plain"}
_IN_CHARSETS = {".html", ".txt", ".md", ".csv", ".tsv"}
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def extension_for(content_type: str, url: str) -> str:
    """The extension of a page by the header that states its type, e.g. `text/html; charset=…`.

    Raises DocumentError for a type that cannot be read.
    """
    stated = _parsed(content_type).get_content_type() if content_type.strip() else ""
    ending = _ending(url)
    if stated in _VAGUE and ending in SUPPORTED_EXTENSIONS:
        return ending
    known = _EXTENSIONS.get(stated) or next(
        (extension for suffix, extension in _SUFFIXES.items() if stated.endswith(suffix)), None
    )
    if stated.startswith("image/") or (known is None and stated not in _VAGUE):
        raise DocumentError(
            f"{url} is of the type {stated}, which cannot be read: name a page, or a document of "
            f"one of the formats {' '.join(SUPPORTED_EXTENSIONS)}"
        )
    return known or ending


def in_utf8(body: bytes, content_type: str, extension: str) -> bytes:
    """`body` in UTF-8 where the header names another encoding and it fits; else as it is.

    A byte-order mark goes before the header; XML and JSON name their encoding themselves.
    """
    charset = _parsed(content_type).get_content_charset()
    if charset is None or extension not in _IN_CHARSETS or body.startswith(_MARKS):
        return body
    try:
        return body.decode(charset).encode()
    except (LookupError, UnicodeError):  # the header is wrong: the reader finds out itself
        return body


def _parsed(content_type: str) -> Message:
    message = Message()
    message["Content-Type"] = content_type
    return message


def _ending(url: str) -> str:
    name = unquote(urlsplit(url).path).rpartition("/")[2]
    return "." + name.rpartition(".")[2].lower() if "." in name else ""
