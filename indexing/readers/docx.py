"""Word: the document's own text, lists and tables as Markdown.

Images are never opened, linked files never followed. Equations, headers and footers are lost.
"""

from __future__ import annotations

import html
import io
import re
import zipfile

from indexing.readers.content import Content, clean_text
from indexing.readers.html import html_to_markdown
from indexing.readers.titles import first_heading, told_title
from rag.errors import DocumentError

MAX_UNPACKED_BYTES = 500_000_000
"""A .docx is a ZIP file; one that unpacks to more than this is taken for an attack."""


def read_docx(raw: bytes, source: str) -> Content:
    """The document; its title is the one in its properties, else its first heading.

    Raises DocumentError when it is not a Word document or unpacks to too much.
    """
    import mammoth

    try:
        told = _open_package(raw, source)
        converted = mammoth.convert_to_html(
            io.BytesIO(raw),
            style_map="p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh",
            convert_image=mammoth.images.img_element(lambda _image: {"src": ""}),
        )
        text = html_to_markdown(converted.value)
    except DocumentError:
        raise
    except Exception as error:
        # A damaged package shows as whatever the parsers below happen to meet.
        raise DocumentError(
            f"{source} is damaged or no Word document ({type(error).__name__}): "
            "open it in a word processor and save it again as .docx"
        ) from error
    return Content(text, told_title(told) or first_heading(text))


_TITLE = re.compile(rb"<dc:title[^>]*>([^<]*)</dc:title>")


def _open_package(raw: bytes, source: str) -> str:
    """The title in the properties, empty without one; refuses what unpacks to too much."""
    with zipfile.ZipFile(io.BytesIO(raw)) as package:
        unpacked = sum(member.file_size for member in package.infolist())
        if unpacked > MAX_UNPACKED_BYTES:
            raise DocumentError(
                f"{source} unpacks to {unpacked} bytes, the limit is {MAX_UNPACKED_BYTES}: split it"
            )
        if "docProps/core.xml" not in package.namelist():
            return ""
        found = _TITLE.search(package.read("docProps/core.xml"))
    return clean_text(html.unescape(found[1].decode("utf-8", "replace"))) if found else ""
