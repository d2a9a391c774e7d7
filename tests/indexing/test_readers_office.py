"""The readers of office files."""

from __future__ import annotations

import datetime
import io
import zipfile
from pathlib import Path

import pytest
from fakes import FindData
from made_files import SMALL_DOCX, document, docx, failure, pptx, read, written, xlsx, zipped

from indexing.readers.limits import ReadLimits


def test_docx(tmp_path: Path) -> None:
    found = document(written(tmp_path, "w.docx", docx()))
    assert found.title == "Warranty"
    assert found.text == (
        "# Warranty\n\nTwo years on every part.\n\n## Limits\n\n- Batteries\n\n"
        "| A | B |\n| --- | --- |\n| C | D |"
    )
    assert document(written(tmp_path, "t.docx", docx("Terms & more"))).title == "Terms & more"
    assert document(written(tmp_path, "u.docx", docx("Untitled.docx"))).title == "Warranty"


def test_docx_that_is_damaged(tmp_path: Path) -> None:
    whole = docx()
    assert "damaged" in failure(written(tmp_path, "cut.docx", whole[: len(whole) // 2]))
    types = '<Types><Override ContentType="x.wordprocessingml.document.main+xml"/></Types>'
    broken = zipped({"[Content_Types].xml": types, "word/document.xml": "<w:document"})
    assert "no Word document" in failure(written(tmp_path, "broken.docx", broken))


@pytest.mark.parametrize("name", ["bomb.docx", "bomb.xlsx", "bomb.pptx", "bomb.epub", "bomb.zip"])
def test_packages_that_unpack_to_too_much(tmp_path: Path, name: str) -> None:
    bomb = written(tmp_path, name, zipped({f"{n}.txt": b"\0" * 10_000_000 for n in range(51)}))
    assert "510000000 bytes, the limit is 500000000" in failure(bomb)
    assert "zip bomb" in failure(bomb, ReadLimits(max_unpacked_bytes=600_000_000))


def test_docx_that_declares_entities(tmp_path: Path) -> None:
    entities = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>'
    document = f"<?xml version='1.0'?>{entities}<w:document xmlns:w='w'>&b;</w:document>"
    types = '<Types><Override ContentType="x.wordprocessingml.document.main+xml"/></Types>'
    path = written(
        tmp_path, "a.docx", zipped({"[Content_Types].xml": types, "word/document.xml": document})
    )
    assert "declares XML entities in word/document.xml" in failure(path)


def test_docx_equations_and_what_stands_on_every_page(tmp_path: Path) -> None:
    import docx as python_docx
    from docx.oxml import parse_xml

    made = python_docx.Document()
    made.sections[0].header.paragraphs[0].text = "ACME, internal"
    made.sections[0].footer.paragraphs[0].text = "7"
    paragraph = made.add_paragraph("The angle is ")
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    paragraph._p.append(
        parse_xml(
            f'<m:oMath xmlns:m="{math}"><m:func><m:fName><m:r><m:t>sin</m:t></m:r></m:fName>'
            "<m:e><m:r><m:t>x</m:t></m:r></m:e></m:func><m:r><m:t>=</m:t></m:r>"
            "<m:f><m:num><m:r><m:t>a+b</m:t></m:r></m:num><m:den><m:sSup><m:e><m:r><m:t>c</m:t>"
            "</m:r></m:e><m:sup><m:r><m:t>2</m:t></m:r></m:sup></m:sSup></m:den></m:f>"
            "<m:rad><m:deg/><m:e><m:r><m:t>y</m:t></m:r></m:e></m:rad></m:oMath>"
        )
    )
    buffer = io.BytesIO()
    made.save(buffer)
    found = document(written(tmp_path, "a.docx", buffer.getvalue()))
    assert found.text == "The angle is sin x = (a+b)/(c^2)√(y)\n\nACME, internal"


def test_docx_equation_nested_deep(tmp_path: Path) -> None:
    math = "http://schemas.openxmlformats.org/officeDocument/2006/math"
    deep = "<m:d><m:e>" * 120 + "<m:r><m:t>x</m:t></m:r>" + "</m:e></m:d>" * 120
    document_part = SMALL_DOCX["word/document.xml"].replace(
        "<w:r>", f'<m:oMath xmlns:m="{math}">{deep}</m:oMath><w:r>', 1
    )
    made = zipped({**SMALL_DOCX, "word/document.xml": document_part})
    assert document(written(tmp_path, "a.docx", made)).text.endswith("Two years.")


def test_docx_long_table_names_its_columns_in_every_row(tmp_path: Path) -> None:
    import docx as python_docx

    made = python_docx.Document()
    table = made.add_table(rows=41, cols=3)
    for number, row in enumerate(table.rows):
        told = ("Plan", "Price", "Seats") if number == 0 else (f"P{number}", f"${number}", "5")
        for cell, text in zip(row.cells, told, strict=True):
            cell.text = text
    buffer = io.BytesIO()
    made.save(buffer)
    lines = document(written(tmp_path, "a.docx", buffer.getvalue())).text.split("\n")
    assert lines[0] == "| Plan: P1 | Price: $1 | Seats: 5 |"
    assert lines[39] == "| Plan: P40 | Price: $40 | Seats: 5 |"


def test_pptx(tmp_path: Path) -> None:
    found = document(written(tmp_path, "a.pptx", pptx()))
    first = "## Roadmap\n\n- Ship the widget\n  - In May\n\nNotes: Do not promise June."
    second = "## Slide 2\n\n| Plan | Price |\n| --- | --- |\n| Pro | $5 |"
    assert found.text == f"{first}\n\n{second}"
    assert found.page_starts == (0, len(first) + 2)
    assert found.title == "Roadmap"


def test_xlsx_values_dates_and_several_tables(tmp_path: Path) -> None:
    import xlsxwriter

    buffer = io.BytesIO()
    workbook = xlsxwriter.Workbook(buffer, {"default_date_format": "yyyy-mm-dd"})
    sheet = workbook.add_worksheet("Sales 2024")
    sheet.merge_range("B2:D2", "All regions", workbook.add_format())
    sheet.write_row("B3", ["Region", "Sold", "Since"])
    sheet.merge_range("B4:B5", "North", workbook.add_format())
    sheet.write_formula("C4", "=1+1", None, 2)
    sheet.write("C5", 1234.5)
    sheet.write_datetime("D4", datetime.datetime(2024, 5, 31, tzinfo=None))
    sheet.write_row("B7", ["South", 3])
    sheet.write_row("B10", ["Contact: sales@acme.test"])
    sheet.write_row("B12", ["Plan", "Seats", "Price", "Notes"])
    sheet.write_row("B13", ["Pro", 5, 9.9, "a | b\nc"])
    workbook.add_worksheet("Empty")
    workbook.set_properties({"title": "Sales of the year"})
    workbook.close()
    found = document(written(tmp_path, "sales.xlsx", buffer.getvalue()))
    assert found.title == "Sales of the year"
    assert found.text == (
        "## Sales 2024\n\nAll regions\n\n"
        "| Region | Sold | Since |\n| --- | --- | --- |\n"
        "| North | 2 | 2024-05-31 |\n| North | 1234.5 |  |\n\n"
        "| Region | Sold |\n| --- | --- |\n| South | 3 |\n\n"
        "Contact: sales@acme.test\n\n"
        "| Plan | Seats | Price | Notes |\n| --- | --- | --- | --- |\n"
        "| Pro | 5 | 9.9 | a \\| b c |"
    )


def test_xlsx_long_table_names_its_columns_in_every_row(tmp_path: Path) -> None:
    rows = [["Plan", "Price", "Note"], *([f"P{n}", n, "" if n % 2 else "x"] for n in range(5000))]
    text = document(written(tmp_path, "a.xlsx", xlsx({"Plans": rows}))).text
    lines = text.split("\n")
    assert lines[:2] == ["## Plans", ""]
    assert lines[2501] == "| Plan: P2499 | Price: 2499 |"
    assert lines[-2] == "| Plan: P4998 | Price: 4998 | Note: x |"


def test_xlsx_without_names_of_columns(tmp_path: Path) -> None:
    text = document(written(tmp_path, "a.xlsx", xlsx({"S": [["a", 1], ["b", 2]]}))).text
    assert text == "## S\n\n| a | 1 |\n| b | 2 |"


def test_xlsx_limits(tmp_path: Path) -> None:
    path = written(tmp_path, "a.xlsx", xlsx({"S": [["n"], *([n] for n in range(10))]}))
    assert "more than 10 rows" in failure(path, ReadLimits(max_rows=10))
    assert read(path, limits=ReadLimits(max_rows=11)).documents
    import xlsxwriter

    workbook = xlsxwriter.Workbook(tmp_path / "far.xlsx")
    sheet = workbook.add_worksheet()
    sheet.write("A1", "first")
    sheet.write("XFD1048576", "last")
    workbook.close()
    message = failure(tmp_path / "far.xlsx")
    assert "1048576 rows of 16384 columns, the limit is 10000000 cells" in message


def test_office_files_that_are_locked(tmp_path: Path, find_data: FindData) -> None:
    locked = zipfile.ZipInfo("word/document.xml")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr(locked, "x" * 100)
    raw = bytearray(buffer.getvalue())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + at] |= 1  # the bit that says that a member is encrypted
    assert "password" in failure(written(tmp_path, "a.docx", bytes(raw)))
    assert "password" in failure(written(tmp_path, "a.zip", bytes(raw)))
    # What locks an office file is a file of streams, named as the stream that holds all of it.
    message = (find_data("files_office") / "test_outlook_msg.msg").read_bytes()
    name = "__properties_version1.0".encode("utf-16-le").ljust(64, b"\0") + b"\x30\0"
    other = "EncryptedPackage".encode("utf-16-le").ljust(64, b"\0") + b"\x22\0"
    assert name in message
    path = written(tmp_path, "b.xlsx", message.replace(name, other))
    assert "is really an office file that is locked by a password" in failure(path)
