"""Files that only hold others: ZIP archives, and mailboxes that hold many mails in one file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath

from indexing.readers.content import Enclosed, Found, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.packages import open_package, unpack
from rag.errors import DocumentError
from rag.sources import FailedPart


def read_zip(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Found]:
    """The files in the archive, by name; hidden ones and what macOS adds left out.

    Raises DocumentError when the archive is damaged, encrypted, or unpacks to too much.
    """
    with open_package(raw, source, limits) as package:
        sizes = {member.filename: member.file_size for member in package.infolist()}
        for name in sorted(sizes):
            parts = PurePosixPath(name).parts
            if name.endswith("/") or any(part[:1] == "." or part == "__MACOSX" for part in parts):
                continue
            shown = clean_text(name).replace("\n", " ")
            if sizes[name] > limits.max_file_bytes:
                yield FailedPart(
                    f"{source}#{shown}",
                    f"{source}#{shown} has {sizes[name]} bytes, the limit is "
                    f"{limits.max_file_bytes}: split it or raise ingestion.max_file_bytes",
                )
            else:
                yield Enclosed(shown, partial(unpack, package, name, f"{source}#{shown}"))


def read_mbox(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Found]:
    """The mails in the mailbox, by the id of each, or its number from 1 where it has none.

    Raises DocumentError when there are none, or too many.
    """
    bounds = [match.span() for match in _MAIL.finditer(raw)]
    if not bounds or bounds[0][0] > 0:
        raise DocumentError(f"{source} is no mailbox: its first line must begin with `From `")
    if len(bounds) > limits.max_members:
        raise DocumentError(
            f"{source} holds {len(bounds)} mails, the limit is {limits.max_members}: split it"
        )
    ends = [start for start, _ in bounds[1:]] + [len(raw)]
    for number, ((_, start), end) in enumerate(zip(bounds, ends, strict=True), 1):
        found = _MESSAGE_ID.search(raw, start, min(end, start + _HEADER_BYTES))
        name = found[1].decode("ascii", "replace") if found else str(number)
        yield Enclosed(f"{name}.eml", partial(_unquoted, raw[start:end]))


_MAIL = re.compile(rb"(?:\A|\r?\n)From [^\r\n]*\d\d:\d\d[^\r\n]*\r?\n")
_MESSAGE_ID = re.compile(rb"^message-id:\s*<([\x21-\x7e]{1,200}?)>", re.IGNORECASE | re.MULTILINE)
_HEADER_BYTES = 20_000
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def _unquoted(mail: bytes) -> bytes:
    return _QUOTED.sub(rb"\1", mail)
