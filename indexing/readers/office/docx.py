"""Word: the document's own text with its equations, lists and tables as Markdown.

What stands at the head or the foot of every page is told once, at the end. Images are never
opened, linked files never followed, comments left out.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

from indexing.readers.content import Content, as_document_errors, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.office.equations import MATH, equation_text
from indexing.readers.office.properties import read_properties
from indexing.readers.packages import open_package, parse_xml, refuse_entities, unpack
from indexing.readers.titles import first_heading, told_title
from indexing.readers.web.html import html_to_markdown

if TYPE_CHECKING:
    from lxml.etree import _Element

_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_DOCUMENT = "word/document.xml"
_MARGIN = re.compile(r"word/(header|footer)\d*\.xml")
_MARGIN_CHARS = 300
_RELATION = re.compile("([=<>≤≥≈])")
_INVISIBLE = re.compile("[\u2061-\u2064]")


def read_docx(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Content]:
    """The document; its title is the one in its properties, else its first heading.

    Raises DocumentError when it is not a Word document or unpacks to too much.
    """
    import mammoth

    mend = "open it in a word processor and save it again as .docx"
    with (
        as_document_errors(source, "Word document", mend),
        open_package(raw, source, limits) as package,
    ):
        refuse_entities(package, source)
        told = read_properties(package, source)
        converted = mammoth.convert_to_html(
            _with_equations_as_text(package, raw, source),
            style_map="p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => p:fresh",
            convert_image=mammoth.images.img_element(lambda _image: {"src": ""}),
        )
        text = html_to_markdown(converted.value)
        margins = _margins(package, source, text)
    whole = "\n\n".join(filter(None, [text, margins]))
    yield Content(whole, told_title(told.title) or first_heading(text), dated=told.modified)


def _with_equations_as_text(package: zipfile.ZipFile, raw: bytes, source: str) -> io.BytesIO:
    """The package; where it holds equations, one with their text in their place."""
    if _DOCUMENT not in package.namelist():
        return io.BytesIO(raw)
    document = unpack(package, _DOCUMENT, source)
    if b"<m:oMath" not in document:
        return io.BytesIO(raw)
    from lxml import etree

    root = parse_xml(document)
    for equation in list(root.iter(f"{MATH}oMath")):
        parent = equation.getparent()
        if parent is not None:
            place = equation
            if parent.tag == f"{MATH}oMathPara" and parent.getparent() is not None:
                place = parent
                parent = parent.getparent()
            run = etree.Element(f"{_WORD}r")
            etree.SubElement(run, f"{_WORD}t").text = _spaced(equation_text(equation))
            run.tail = None
            parent.insert(parent.index(place), run)
            _remove(equation)
    rewritten = io.BytesIO()
    with zipfile.ZipFile(rewritten, "w") as target:
        for name in package.namelist():
            data = etree.tostring(root) if name == _DOCUMENT else unpack(package, name, source)
            target.writestr(name, data)
    rewritten.seek(0)
    return rewritten


def _remove(element: _Element) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


def _spaced(equation: str) -> str:
    """With room around its relations, and words apart that Word parts by signs nobody sees."""
    return " ".join(_RELATION.sub(r" \1 ", _INVISIBLE.sub(" ", equation)).split())


def _margins(package: zipfile.ZipFile, source: str, text: str) -> str:
    """The different lines at the head and the foot of the pages that the text does not hold."""
    lines: dict[str, None] = {}
    for name in sorted(filter(_MARGIN.fullmatch, set(package.namelist()))):
        for paragraph in parse_xml(unpack(package, name, source)).iter(f"{_WORD}p"):
            words = " ".join("".join(t.text or "" for t in paragraph.iter(f"{_WORD}t")).split())
            line = clean_text(words)[:_MARGIN_CHARS]
            if sum(map(str.isalpha, line)) > 3 and line not in text:
                lines.setdefault(line)
    return "\n".join(lines)
