"""Reads any supported file."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from indexing.identity import content_version, document_id_for
from indexing.readers.archive import read_mbox, read_zip
from indexing.readers.content import Content, Enclosed, Found, clean_text
from indexing.readers.jsonl import read_jsonl
from indexing.readers.limits import ReadLimits
from indexing.readers.mail.eml import read_eml
from indexing.readers.mail.msg import read_msg
from indexing.readers.markdown import read_markdown
from indexing.readers.office.docx import read_docx
from indexing.readers.office.pptx import read_pptx
from indexing.readers.office.spreadsheet import read_spreadsheet
from indexing.readers.pdf.pages import read_pdf
from indexing.readers.recognition import SUPPORTED_EXTENSIONS, extension_of, recognise
from indexing.readers.tabular.delimited import read_csv
from indexing.readers.tabular.json_document import read_json
from indexing.readers.text import read_text
from indexing.readers.titles import title_from_name
from indexing.readers.web.epub import read_epub
from indexing.readers.web.html import read_html
from indexing.readers.web.xml import read_xml
from indexing.wording import wording
from rag.errors import DocumentError, GoneError
from rag.sources import FailedPart, ReadResult
from rag.types import Document

__all__ = ["SUPPORTED_EXTENSIONS", "ReadLimits", "read_file"]

_READERS: Mapping[str, Callable[[bytes, str, ReadLimits], Iterable[Found]]] = {
    ".csv": read_csv,
    ".docx": read_docx,
    ".eml": read_eml,
    ".epub": read_epub,
    ".html": read_html,
    ".json": read_json,
    ".jsonl": read_jsonl,
    ".mbox": read_mbox,
    ".md": read_markdown,
    ".msg": read_msg,
    ".pdf": read_pdf,
    ".pptx": read_pptx,
    ".tsv": read_csv,
    ".txt": read_text,
    ".xls": read_spreadsheet,
    ".xlsx": read_spreadsheet,
    ".xml": read_xml,
    ".zip": read_zip,
}
_MAX_DEPTH = 2  # as a paper that is attached to a mail in an archive


def read_file(path: Path, collection: str, source: str, limits: ReadLimits) -> ReadResult:
    """The documents in a file, and the parts of it that could not be read.

    `source` is what the documents and the messages call the file; its ending tells the format,
    or that of `path` where it has none, unless the content is plainly another. Raises
    DocumentError when the file is missing, empty, too large, damaged or of an unsupported format,
    and nothing else but MemoryError.
    """
    shown = clean_text(source)
    raw = _bytes(path, shown, limits)
    extension = extension_of(source)
    if extension not in _READERS:
        extension = next((e for e in (extension_of(path.name),) if e in _READERS), extension)
    reading = _Reading(collection, limits)
    reading.read(raw, source, source, extension, depth=0)
    if not reading.documents and not reading.failed:
        raise DocumentError(
            f"{shown} holds no file of a supported format: put in some of "
            f"{' '.join(SUPPORTED_EXTENSIONS)}, or leave it out"
        )
    return ReadResult(reading.documents, reading.failed)


class _Reading:
    """One file under way, with what is found in it."""

    def __init__(self, collection: str, limits: ReadLimits) -> None:
        self.documents: list[Document] = []
        self.failed: list[FailedPart] = []
        self._collection = collection
        self._limits = limits
        self._unpacked_bytes = 0

    def read(self, raw: bytes, source: str, name: str, extension: str, depth: int) -> None:
        """Add what is in `raw`: a whole file, or one within it that is called `name` there."""
        shown = clean_text(source)
        if not raw.strip():
            raise DocumentError(f"{shown} is empty: write something into it, or leave it out")
        read = _READERS[recognise(raw, extension, shown)]
        try:
            for found in read(raw, shown, self._limits):
                if isinstance(found, Content):
                    self._add(found, source, name)
                elif isinstance(found, Enclosed):
                    self._read_enclosed(found, source, depth + 1)
                else:
                    place = source + found.source.removeprefix(shown)
                    self.failed.append(FailedPart(place, found.reason))
        except (DocumentError, MemoryError):
            raise
        except Exception as error:
            raise DocumentError(
                f"{shown} cannot be read ({type(error).__name__}): "
                "open it in the program that made it and save it again"
            ) from error

    def _add(self, content: Content, source: str, name: str) -> None:
        if not any(map(str.isalnum, content.text)):
            raise DocumentError(
                f"{clean_text(source)} is empty of text, but for markup and images: "
                "write some, or leave it out"
            )
        place = f"{source}#{content.part}" if content.part else source
        self.documents.append(
            Document(
                collection=self._collection,
                document_id=content.document_id or document_id_for(place),
                version=content_version(content.title, content.text, content.metadata),
                wording=wording(content.title, content.text, content.metadata),
                title=content.title or clean_text(title_from_name(name)),
                text=content.text,
                sources=(place,),
                page_starts=content.page_starts,
                metadata=content.metadata,
                dated=content.dated,
            )
        )

    def _read_enclosed(self, file: Enclosed, source: str, depth: int) -> None:
        """Read a file within a file; what is of no supported format is passed over."""
        extension = extension_of(file.name)
        if extension not in _READERS:
            return
        place = f"{source}#{file.name}"
        try:
            if depth > _MAX_DEPTH:
                raise DocumentError(
                    f"{clean_text(place)} lies {depth} files deep, the limit is {_MAX_DEPTH}: "
                    "unpack it first"
                )
            raw = file.unpack()
            self._unpacked_bytes += len(raw)
            if self._unpacked_bytes > self._limits.max_unpacked_bytes:
                raise DocumentError(
                    f"{clean_text(place)} makes {self._unpacked_bytes} bytes of what is unpacked, "
                    f"the limit is {self._limits.max_unpacked_bytes}: "
                    "split it or raise ingestion.max_unpacked_bytes"
                )
            self.read(raw, place, file.name, extension, depth)
        except DocumentError as error:
            self.failed.append(FailedPart(place, str(error)))


def _bytes(path: Path, source: str, limits: ReadLimits) -> bytes:
    """All of a file, if it is an ordinary one, not too large, and stays as it is meanwhile."""
    most = limits.max_file_bytes
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise DocumentError(f"{source} is no ordinary file: name a file")
        raw = b""
        if before.st_size <= most:
            with open(path, "rb", opener=_open_without_waiting) as file:
                raw = file.read(most + 1)
                after = os.fstat(file.fileno())
            if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
                raise DocumentError(f"{source} changed while it was read: read it again")
    except FileNotFoundError as error:
        raise GoneError(f"{source} cannot be opened: it does not exist (any more)") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no system can have
        reason = getattr(error, "strerror", None) or error
        raise DocumentError(
            f"{source} cannot be opened ({reason}): check its name and its permissions"
        ) from error
    if max(len(raw), before.st_size) > most:
        raise DocumentError(
            f"{source} has {max(len(raw), before.st_size)} bytes, the limit is {most}: "
            "split it or raise ingestion.max_file_bytes"
        )
    return raw


def _open_without_waiting(path: str, flags: int) -> int:
    # Should a pipe have taken the place of the file, opening it would wait for a writer.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
