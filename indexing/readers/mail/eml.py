"""E-mail as it is sent (.eml): the text of the mail, and what is attached to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from indexing.readers.content import Enclosed, Found, as_document_errors, clean_text, iso_date
from indexing.readers.limits import ReadLimits
from indexing.readers.mail.letter import letter
from indexing.readers.text import decode
from indexing.readers.web.html import read_page
from rag.errors import DocumentError

if TYPE_CHECKING:
    from email.message import EmailMessage, MIMEPart

_SHOWN = ("From", "To", "Cc", "Date")
_KNOWN = (*_SHOWN, "Subject", "Message-ID", "Received", "Return-Path")
_ENCRYPTED = ("multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")


def read_eml(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Found]:
    """The mail, titled by its subject, and its attachments.

    Raises DocumentError when it is no mail or is encrypted.
    """
    from email import message_from_bytes
    from email.policy import default

    with as_document_errors(source, "e-mail", "export it from the mail program again"):
        mail = message_from_bytes(raw, policy=default)
        if not any(name in mail for name in _KNOWN):
            raise DocumentError(f"{source} is no e-mail: it has none of the lines From, To, Date")
        if mail.get_content_type() in _ENCRYPTED and "signed" not in str(mail.get("Content-Type")):
            raise DocumentError(f"{source} is encrypted: export it decrypted")
        files = _attachments(mail)
        lines = {name: _header(mail, name) for name in _SHOWN}
        body = _body(mail, source)
        found = letter(_header(mail, "Subject"), lines, body, list(files), _date(lines["Date"]))
    yield found
    for name, part in files.items():
        yield Enclosed(name, partial(_unpack, part, f"{source}#{name}"))


def _header(mail: EmailMessage, name: str) -> str:
    from email.errors import MessageError

    try:
        return clean_text(str(mail.get(name, "")))
    except (ValueError, IndexError, TypeError, AttributeError, MessageError):
        return ""  # the parser of headers fails on some that are broken


def _date(told: str) -> str:
    from email.utils import parsedate_to_datetime

    try:
        return iso_date(parsedate_to_datetime(told).isoformat())
    except (ValueError, OverflowError):
        return ""


def _body(mail: EmailMessage, source: str) -> str:
    """The plain text of the mail, else its page as text."""
    part = mail.get_body(("plain",))
    if part is not None and (text := clean_text(decode(_payload(part), source, _charset(part)))):
        return text
    part = mail.get_body(("html",))
    if part is not None:
        return read_page(_payload(part), source).text
    # Its kind is written wrongly, and so the parser does not know where its text is.
    raw = b"" if mail.is_multipart() else _payload(mail)
    return decode(raw, source) if raw.strip() else ""


def _payload(part: MIMEPart) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _charset(part: MIMEPart) -> str | None:
    return part.get_content_charset()


def _attachments(mail: EmailMessage) -> dict[str, MIMEPart]:
    """What is attached, by a name of its own."""
    found: dict[str, MIMEPart] = {}
    for number, part in enumerate(mail.iter_attachments() if mail.is_multipart() else (), 1):
        is_mail = part.get_content_type() == "message/rfc822"
        told = clean_text(part.get_filename() or "").replace("\n", " ").strip()
        name = told or f"attachment {number}{'.eml' if is_mail else ''}"
        if is_mail and not name.lower().endswith(".eml"):
            name += ".eml"
        found[f"{number} {name}" if name in found else name] = part
    return found


def _unpack(part: MIMEPart, source: str) -> bytes:
    with as_document_errors(source, "attachment", "export the mail again"):
        if part.get_content_type() == "message/rfc822":
            inner = part.get_payload()
            if isinstance(inner, list) and not isinstance(inner[0], str):
                return inner[0].as_bytes()
        return _payload(part)
