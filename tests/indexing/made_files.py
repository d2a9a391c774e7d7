"""Files of every format, made here, and how the tests of the readers read them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from indexing.readers.by_extension import read_file
from indexing.readers.limits import ReadLimits
from rag.errors import DocumentError
from rag.sources import ReadResult
from rag.types import Document


def read(path: Path, source: str | None = None, limits: ReadLimits | None = None) -> ReadResult:
    return read_file(path, "help", source or path.name, limits or ReadLimits())


def document(path: Path, source: str | None = None) -> Document:
    result = read(path, source)
    assert result.failed == []
    (only,) = result.documents
    return only


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def failure(path: Path, limits: ReadLimits | None = None) -> str:
    """The reason why a file cannot be read: one line, with its name and what to do."""
    with pytest.raises(DocumentError) as caught:
        read(path, limits=limits)
    message = str(caught.value)
    assert path.name in message
    assert ": " in message
    assert "\n" not in message
    return message


def pdf(*pages: Sequence[str], title: str | None = None, password: str | None = None) -> bytes:
    """Lines of text on pages."""
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    encryption = StandardEncryption(password, "owner") if password else None
    canvas = Canvas(buffer, encrypt=encryption)
    if title:
        canvas.setTitle(title)
    for lines in pages:
        canvas.rect(100, 100, 200, 200)
        for row, line in enumerate(lines):
            canvas.drawString(72, 750 - 14 * row, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def pdf_table(
    *rows: Sequence[str], repeat_header: bool = True, bold_columns: Sequence[int] = ()
) -> bytes:
    """A table that goes over as many pages as it needs."""
    from reportlab.platypus import SimpleDocTemplate, Table

    buffer = io.BytesIO()
    style = [("FONT", (n, 0), (n, -1), "Helvetica-Bold") for n in bold_columns]
    table = Table([list(row) for row in rows], repeatRows=int(repeat_header), style=style)
    SimpleDocTemplate(buffer).build([table])
    return buffer.getvalue()


def docx(title: str = "", *, rows: int = 2) -> bytes:
    import docx

    made = docx.Document()
    made.core_properties.title = title
    made.add_heading("Warranty", level=1)
    made.add_paragraph("Two years on every part.")
    made.add_heading("Limits", level=2)
    made.add_paragraph("Batteries", style="List Bullet")
    table = made.add_table(rows=rows, cols=2)
    for cell, text in zip((c for r in table.rows for c in r.cells), "ABCD" * rows, strict=False):
        cell.text = text
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


SMALL_DOCX = {
    "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/'
    'content-types"><Override PartName="/word/document.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/'
    'relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/'
    '2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
    "word/document.xml": '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/'
    '2006/main"><w:body><w:p><w:r><w:t>Two years.</w:t></w:r></w:p></w:body></w:document>',
}
"""The parts of the least that is a Word document; zip them."""


def xlsx(sheets: Mapping[str, Sequence[Sequence[object]]]) -> bytes:
    import xlsxwriter

    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"})
    for name, rows in sheets.items():
        sheet = workbook.add_worksheet(name)
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    workbook.close()
    return buffer.getvalue()


def pptx() -> bytes:
    from pptx import Presentation
    from pptx.util import Inches

    made = Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text = "Roadmap"
    frame = first.placeholders[1].text_frame
    frame.text = "Ship the widget"
    below = frame.add_paragraph()
    below.text, below.level = "In May", 1
    first.notes_slide.notes_text_frame.text = "Do not promise June."
    second = made.slides.add_slide(made.slide_layouts[6])
    cells = second.shapes.add_table(2, 2, *map(Inches, (1, 1, 4, 1))).table
    for (row, column), text in {(0, 0): "Plan", (0, 1): "Price", (1, 0): "Pro"}.items():
        cells.cell(row, column).text = text
    cells.cell(1, 1).text = "$5"
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return buffer.getvalue()


def epub(chapters: Mapping[str, str], spine: Sequence[str] | None = None) -> bytes:
    items = "".join(
        f'<item id="{name}" href="text/{name}.xhtml" media-type="application/xhtml+xml"/>'
        for name in chapters
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in spine or chapters)
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf" xmlns:dc="http://purl.org/dc/elements/1.1/">'
        f"<metadata><dc:title>The Handbook</dc:title></metadata><manifest>{items}"
        '<item id="nav" href="nav.xhtml" properties="nav" media-type="application/xhtml+xml"/>'
        f'</manifest><spine><itemref idref="nav"/>{order}</spine></package>'
    )
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="OEBPS/book.opf"/></rootfiles></container>'
    )
    pages = {
        f"OEBPS/text/{name}.xhtml": f"<html><head><title>x</title></head><body>{body}</body></html>"
        for name, body in chapters.items()
    }
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "OEBPS/book.opf": package,
            "OEBPS/nav.xhtml": "<html><body><a>Contents</a></body></html>",
            **pages,
        }
    )


def eml(*attachments: tuple[str, bytes], html: str = "", text: str = "Please pay back.") -> bytes:
    from email.message import EmailMessage

    mail = EmailMessage()
    mail["Subject"] = "Refund für order 7"
    mail["From"] = "Ada <ada@acme.test>"
    mail["To"] = "help@acme.test"
    mail["Date"] = "Fri, 31 May 2024 10:15:00 +0200"
    if text:
        mail.set_content(text)
    if html:
        (mail.add_alternative if text else mail.set_content)(html, subtype="html")
    for name, content in attachments:
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()
