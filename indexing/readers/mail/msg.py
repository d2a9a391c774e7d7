"""E-mail as Outlook keeps it (.msg): a file of streams, one for each property ([MS-OXMSG])."""

from __future__ import annotations

import datetime
import io
import struct
from collections.abc import Iterator
from functools import partial
from typing import Any

from indexing.readers.content import Enclosed, Found, as_document_errors, clean_text, iso_date
from indexing.readers.limits import ReadLimits
from indexing.readers.mail.letter import letter
from indexing.readers.text import decode
from indexing.readers.web.html import read_page
from rag.errors import DocumentError

_SUBJECT, _BODY, _HTML = "0037", "1000", "1013"
_SENDER_NAME, _SENDER_ADDRESSES = "0C1A", ("5D01", "0C1F")
_TO, _CC = "0E04", "0E03"
_SENT = (0x0039, 0x0E06)  # when it was sent, else delivered
_ATTACHMENT = "__attach_version1.0_"
_LONG_NAME, _SHORT_NAME, _DATA = "3707", "3704", "3701"
_PROPERTIES = "__properties_version1.0"
_PROPERTIES_HEADER_BYTES = 32
_EPOCH = datetime.datetime(1601, 1, 1, tzinfo=datetime.UTC)


def read_msg(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Found]:
    """The mail, titled by its subject, and its attachments.

    Raises DocumentError when it is no message of Outlook.
    """
    import olefile

    mend = "open it in Outlook and save it again, or as .eml"
    with as_document_errors(source, "Outlook message", mend):
        with olefile.OleFileIO(io.BytesIO(raw)) as message:
            sender, address = _text(message, _SENDER_NAME, source), ""
            for tag in _SENDER_ADDRESSES:
                address = address or _text(message, tag, source)
            same = not address or address == sender or "@" not in address
            lines = {
                "From": (sender or address) if same else f"{sender} <{address}>".strip(),
                "To": _text(message, _TO, source),
                "Cc": _text(message, _CC, source),
                "Date": _sent(message),
            }
            subject = _text(message, _SUBJECT, source)
            body = _text(message, _BODY, source) or _page(message, source)
            files = _attachments(message, source)
        if not subject and not body and not any(lines.values()):
            raise DocumentError(f"{source} holds no subject and no text: {mend}")
        found = letter(subject, lines, body, list(files), iso_date(lines["Date"]))
    yield found
    for name, data in files.items():
        yield Enclosed(name, partial(bytes, data))


def _text(message: Any, tag: str, source: str, folder: tuple[str, ...] = ()) -> str:
    """A property that is text, in UTF-16 or in the encoding of who wrote it; empty without it."""
    wide, narrow = [*folder, f"__substg1.0_{tag}001F"], [*folder, f"__substg1.0_{tag}001E"]
    if message.exists(wide):
        return clean_text(message.openstream(wide).read().decode("utf-16-le", "replace")).strip()
    if message.exists(narrow):
        raw = message.openstream(narrow).read().rstrip(b"\0")
        return clean_text(decode(raw, source, "cp1252")).strip() if raw.strip() else ""
    return ""


def _page(message: Any, source: str) -> str:
    name = f"__substg1.0_{_HTML}0102"
    if message.exists(name):
        raw = message.openstream(name).read().strip(b"\0")
        return read_page(raw, source).text if raw.strip() else ""
    return _text(message, _HTML, source)


def _sent(message: Any) -> str:
    """When the mail was sent; empty where it does not say."""
    if not message.exists(_PROPERTIES):
        return ""
    raw = message.openstream(_PROPERTIES).read()[_PROPERTIES_HEADER_BYTES:]
    times = {
        tag: value
        for kind, tag, _flags, value in struct.iter_unpack("<HHIQ", raw[: len(raw) // 16 * 16])
        if kind == 0x0040 and tag in _SENT
    }
    ticks = next((times[tag] for tag in _SENT if tag in times), None)
    if ticks is None or ticks > 2**60:
        return ""
    sent = _EPOCH + datetime.timedelta(microseconds=ticks // 10)
    return sent.isoformat(" ", "minutes")


def _attachments(message: Any, source: str) -> dict[str, bytes]:
    """What is attached, by a name of its own."""
    found: dict[str, bytes] = {}
    folders = sorted({e[0] for e in message.listdir() if e[0].startswith(_ATTACHMENT)})
    for number, folder in enumerate(folders, 1):
        data = [folder, f"__substg1.0_{_DATA}0102"]
        if message.exists(data):
            name = _text(message, _LONG_NAME, source, (folder,)) or _text(
                message, _SHORT_NAME, source, (folder,)
            )
            name = name.replace("\n", " ") or f"attachment {number}"
            raw = message.openstream(data).read()
            found[f"{number} {name}" if name in found else name] = raw
    return found
