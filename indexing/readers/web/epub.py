"""EPUB: the chapters of a book in the order of reading. Nothing but its pages is opened."""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Iterator
from urllib.parse import unquote

from indexing.readers.content import Content, as_document_errors, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.packages import open_package, parse_xml, unpack
from indexing.readers.titles import told_title
from indexing.readers.web.html import read_page
from rag.errors import DocumentError

_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_PAGES = ("application/xhtml+xml", "text/html")
# Fonts are disguised in books that are free; anything else means that a key is needed.
_FONT_DISGUISES = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")


def read_epub(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Content]:
    """The chapters, parted by a blank line; the title is that of the book.

    Raises DocumentError when it is not an EPUB, is encrypted or unpacks to too much.
    """
    mend = "open it in a reader of books, or download it again"
    with (
        as_document_errors(source, "EPUB", mend),
        open_package(raw, source, limits) as package,
    ):
        _refuse_encrypted(package, source)
        title, chapters = _spine(package, source)
        texts = [
            read_page(unpack(package, name, source), source).text
            for name in chapters
            if name in package.namelist()
        ]
    yield Content("\n\n".join(filter(None, texts)), told_title(title))


def _refuse_encrypted(package: zipfile.ZipFile, source: str) -> None:
    if _ENCRYPTION in package.namelist():
        told = unpack(package, _ENCRYPTION, source)
        methods = told.count(b"EncryptionMethod ")
        if methods > sum(told.count(name) for name in _FONT_DISGUISES):
            raise DocumentError(f"{source} is encrypted (DRM): use a copy without it")


def _spine(package: zipfile.ZipFile, source: str) -> tuple[str, list[str]]:
    """The title of the book, and the names of its pages in order."""
    container = parse_xml(unpack(package, _CONTAINER, source))
    path = str(container.xpath("string(//*[local-name()='rootfile']/@full-path)"))
    book = parse_xml(unpack(package, path, source))
    title = str(book.xpath("string(//*[local-name()='metadata']/*[local-name()='title'][1])"))
    pages = {
        item.get("id"): posixpath.normpath(
            posixpath.join(posixpath.dirname(path), unquote(item.get("href", "")))
        )
        for item in book.xpath("//*[local-name()='manifest']/*[local-name()='item']")
        if item.get("media-type") in _PAGES and "nav" not in item.get("properties", "").split()
    }
    spine = [item.get("idref") for item in book.xpath("//*[local-name()='itemref']")]
    return clean_text(title), list(dict.fromkeys(pages[name] for name in spine if name in pages))
