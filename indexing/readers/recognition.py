"""Tells what a file really is: its name says what to expect, its first bytes what it is."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from rag.errors import DocumentError

_ALIASES: Mapping[str, str] = {
    ".htm": ".html", ".xhtml": ".html", ".markdown": ".md", ".mdx": ".md", ".text": ".txt",
    ".log": ".txt", ".ndjson": ".jsonl", ".rss": ".xml", ".atom": ".xml", ".xlsm": ".xlsx",
    ".docm": ".docx", ".pptm": ".pptx",
}  # fmt: skip
_TEXTUAL = {".csv", ".eml", ".html", ".json", ".jsonl", ".mbox", ".md", ".tsv", ".txt", ".xml"}
_BINARY = {".docx", ".epub", ".msg", ".pdf", ".pptx", ".xls", ".xlsx", ".zip"}

SUPPORTED_EXTENSIONS = tuple(sorted(_TEXTUAL | _BINARY | set(_ALIASES)))
"""The endings of the files that can be read, in lower case, each with its dot."""

_HEAD_BYTES = 4096
_ZIP, _OLE, _PDF = b"PK", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-"
_FOREIGN: Mapping[bytes, str] = {
    b"\x89PNG\r\n": "a PNG image", b"\xff\xd8\xff": "a JPEG image", b"GIF8": "a GIF image",
    b"II*\0": "a TIFF image", b"MM\0*": "a TIFF image", b"\x1f\x8b\x08": "a gzip archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive", b"Rar!\x1a\x07": "a RAR archive",
    b"\xfd7zXZ\0": "an xz archive", b"BZh": "a bzip2 archive", b"(\xb5/\xfd": "a zstd archive",
    b"\x7fELF": "a program", b"MZ\x90\0": "a Windows program", b"SQLite format 3\0": "a database",
    b"{\\rtf": "an RTF document: save it as .docx", b"%!PS": "a PostScript file: save it as PDF",
    b"ID3": "an MP3 recording", b"OggS": "an Ogg recording", b"PAR1": "a Parquet table",
}  # fmt: skip
_MAY_BEGIN_A_TEXT = {b"BZh", b"ID3", b"PAR1", b"GIF8", b"OggS", b"(\xb5/\xfd", b"%!PS"}
# What the main part of an office package is called by its content types.
_PACKAGES: Mapping[bytes, str] = {
    b"wordprocessingml": ".docx", b"ms-word": ".docx", b"presentationml": ".pptx",
    b"ms-powerpoint": ".pptx", b"spreadsheetml": ".xlsx", b"ms-excel": ".xlsx",
}  # fmt: skip
_MAIN_PART = re.compile(rb'ContentType="[^"]*(' + b"|".join(_PACKAGES) + rb')[^"]*main\+xml"')
_MIMETYPES: Mapping[bytes, str] = {
    b"application/epub+zip": ".epub",
    b"application/vnd.oasis.opendocument.text": "an OpenDocument text: save it as .docx",
    b"application/vnd.oasis.opendocument.spreadsheet": "an OpenDocument sheet: save it as .xlsx",
    b"application/vnd.oasis.opendocument.presentation": "OpenDocument slides: save them as .pptx",
}
_STREAMS: Mapping[str, str] = {
    "EncryptedPackage": "an office file that is locked by a password: save it without one",
    "Workbook": ".xls", "Book": ".xls", "__properties_version1.0": ".msg",
    "WordDocument": "a Word document of before 2007: save it as .docx",
    "PowerPoint Document": "slides of before 2007: save them as .pptx",
}  # fmt: skip
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.{0,2000}?-->\s*)*(?:<!doctype\s+html|<html[\s>])",
    re.IGNORECASE | re.DOTALL,
)
_PRETTY_JSON = re.compile(rb"\s*(?:\[\s*[{\n]|\{\s*\n)")  # no row is an array, nor open at its end
_XML = re.compile(rb"\s*<\?xml\s")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def extension_of(source: str) -> str:
    """The ending of a path or URL in lower case, aliases replaced; empty without one."""
    path = unquote(urlsplit(source).path) if "://" in source else source
    suffix = PurePosixPath(path).suffix.lower()
    return _ALIASES.get(suffix, suffix)


def recognise(raw: bytes, extension: str, source: str) -> str:
    """The ending of the format in which to read `raw`, which is that of its content.

    Where the content does not tell, it is `extension`. Raises DocumentError when it is of a format
    that is not supported, and says of which.
    """
    head = raw[:_HEAD_BYTES]
    found = _binary_format(raw, head, extension)
    if found is None and extension not in _BINARY | _TEXTUAL:
        found = _markup_format(head)
        if found is None:
            named = f"the unsupported extension {extension}" if extension else "no extension"
            raise DocumentError(
                f"{source} has {named}: use one of {' '.join(SUPPORTED_EXTENSIONS)}"
            )
    if found is None and extension in _BINARY:
        found = _text_format(raw, head, extension)
    if found is None and extension != ".html":
        found = _mislabelled_markup(head, extension)
    if found is None:
        return extension
    if not found.startswith("."):
        problem, _, mend = found.partition(": ")
        mend = mend or "convert it to a supported format, or leave it out"
        raise DocumentError(f"{source} is really {problem}: {mend}")
    return found


def _binary_format(raw: bytes, head: bytes, extension: str) -> str | None:
    if head.startswith(_OLE):
        return _ole_format(raw)
    if head.startswith(_ZIP) and head[2:4] in (b"\x03\x04", b"\x05\x06", b"\x07\x08"):
        return _zip_format(raw, extension)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(_PDF):
        return ".pdf"
    return _foreign_format(raw, head, extension)


def _foreign_format(raw: bytes, head: bytes, extension: str) -> str | None:
    for signature, name in _FOREIGN.items():
        if head.startswith(signature) and (
            signature not in _MAY_BEGIN_A_TEXT or extension in _BINARY or _CONTROL.search(head)
        ):
            return name
    if head.startswith(b"RIFF") and head[8:12] in (b"WEBP", b"WAVE", b"AVI "):
        return {b"WEBP": "a WebP image", b"WAVE": "a WAV recording"}.get(head[8:12], "a video")
    if head[4:8] == b"ftyp":
        return "an MP4 video or a HEIC image"
    return "a tar archive" if raw[257:262] == b"ustar" else None


def _zip_format(raw: bytes, extension: str) -> str:
    """Which of the formats that are ZIP files inside; `extension` where the file is damaged."""
    packaged = {".docx", ".epub", ".pptx", ".xlsx"}
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as package:
            names = set(package.namelist())
            types = _first_bytes(package, "[Content_Types].xml") if names else b""
            mimetype = _first_bytes(package, "mimetype").strip()
    except Exception:  # it is for the reader of the format to say what is wrong
        return extension if extension in packaged else ".zip"
    main = _MAIN_PART.search(types)
    if main:
        return _PACKAGES[main[1]]
    if b"sheet.binary.macroEnabled.main" in types:
        return "a binary workbook (.xlsb): save it as .xlsx"
    if mimetype in _MIMETYPES:
        return _MIMETYPES[mimetype]
    if "META-INF/container.xml" in names and extension == ".epub":
        return ".epub"
    office = ("word/document.xml", ".docx"), ("ppt/presentation.xml", ".pptx"), (
        "xl/workbook.xml", ".xlsx",
    )  # fmt: skip
    return next((ending for name, ending in office if name in names), ".zip")


def _first_bytes(package: zipfile.ZipFile, name: str) -> bytes:
    if name not in package.namelist():
        return b""
    with package.open(name) as member:
        return member.read(200_000)


def _ole_format(raw: bytes) -> str | None:
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(raw)) as package:
            names = {entry[0] for entry in package.listdir()}
    except Exception:  # as above
        return None
    known = (kind for stream, kind in _STREAMS.items() if stream in names)
    return next(known, "a file of an older office program")


def _text_format(raw: bytes, head: bytes, extension: str) -> str | None:
    """The format of a text that goes by the name of a binary file; None when it is no text."""
    if _CONTROL.search(head):
        return None
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    markup = _markup_format(head)
    if markup:
        return markup
    if text.lstrip().startswith(("{", "[")) and text.rstrip().endswith(("}", "]")):
        return ".json"
    # What is exported as .xls is often text with tabs.
    return ".csv" if extension in (".xls", ".xlsx") else ".txt"


def _mislabelled_markup(head: bytes, extension: str) -> str | None:
    # A feed or other XML is no page; a page in a text file is one only where it says so at once.
    if extension == ".jsonl":
        return ".json" if _PRETTY_JSON.match(head) else None
    if extension in (".eml", ".mbox", ".json"):
        return None
    return ".html" if _HTML.match(head) else None


def _markup_format(head: bytes) -> str | None:
    if _HTML.match(head):
        return ".html"
    return ".xml" if _XML.match(head) else None
