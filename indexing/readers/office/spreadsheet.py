"""Excel, both formats: every sheet a section, every row with the names of its columns.

Formulas are read as their values, dates as 2024-05-31. Lines above a table are kept as text, empty
rows and columns dropped, and cells that were merged down a column are filled in.
"""

from __future__ import annotations

import datetime
import io
import re
import struct
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from indexing.readers.content import Content, as_document_errors, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.office.properties import Properties, read_properties
from indexing.readers.packages import open_package, refuse_entities
from indexing.readers.tabular.tables import cell_text, is_header, is_number, table_text
from indexing.readers.titles import told_title
from rag.errors import DocumentError

_SHEET = re.compile(r"xl/worksheets/[^/]+\.xml", re.IGNORECASE)
_ROW = re.compile(rb"<(?:\w+:)?row\b[^>]*?\sr=\"(\d{1,9})\"")
_COLUMN = re.compile(rb"\sr=\"([A-Z]{1,3})\d")
_SCAN_BYTES = 1 << 20
_OVERLAP_BYTES = 100
# In the head of a file of streams ([MS-CFB], section 2.2): the sizes of its sectors, and how many
# hold the directory, the table of sectors, the table of small ones and the table of tables.
_SECTOR_SHIFT_AT = 30
_SECTOR_COUNTS_AT = (40, 44, 64, 72)

_Merged = Sequence[tuple[tuple[int, int], tuple[int, int]]]


def read_spreadsheet(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Content]:
    """The sheets; the title is the one in the properties, if any.

    Raises DocumentError when it is not a workbook, is locked, or holds too much.
    """
    mend = "open it in a spreadsheet program and save it again as .xlsx"
    told = Properties("", "")
    with as_document_errors(source, "workbook", mend):
        if raw.startswith(b"PK"):
            with open_package(raw, source, limits) as package:
                refuse_entities(package, source)
                told = read_properties(package, source)
                for name in filter(_SHEET.fullmatch, package.namelist()):
                    with package.open(name) as sheet:
                        _refuse_wide_sheet(sheet, f"{source}, {name}", limits)
        else:
            _refuse_broken_streams(raw)
        sections = list(_sections(raw, source, limits))
    text = clean_text("\n\n".join(sections))
    yield Content(text, told_title(told.title), dated=told.modified)


def _refuse_wide_sheet(sheet: Any, source: str, limits: ReadLimits) -> None:
    """Raise DocumentError for a sheet of too many cells.

    The parser makes room for the whole rectangle from the first cell to the last, and ends the
    process where there is none: two cells in opposite corners are 17 thousand million.
    """
    rows, letters, tail = 0, {b"A"}, b""
    while read := sheet.read(_SCAN_BYTES):
        piece = tail + read
        rows = max([rows, *map(int, _ROW.findall(piece))])
        letters.update(_COLUMN.findall(piece))
        tail = read[-_OVERLAP_BYTES:]
    columns = max(_column_number(name) for name in letters)
    if rows * columns > limits.max_cells:
        raise DocumentError(
            f"{source} has {rows} rows of {columns} columns, the limit is {limits.max_cells} "
            "cells: delete what stands far out, or split it"
        )


def _refuse_broken_streams(raw: bytes) -> None:
    """Raise ValueError for an old workbook whose streams would be larger than the file.

    The parser makes room for what the file says of them, and ends the process where there is none.
    """
    import olefile

    shift, mini_shift = struct.unpack_from("<HH", raw, _SECTOR_SHIFT_AT)
    counts = [struct.unpack_from("<I", raw, at)[0] for at in _SECTOR_COUNTS_AT]
    if shift not in (9, 12) or mini_shift != 6 or any(n << shift > len(raw) for n in counts):
        raise ValueError("sectors outside of the file")
    with olefile.OleFileIO(io.BytesIO(raw)) as package:
        if any(entry and entry.size > len(raw) for entry in package.direntries):
            raise ValueError("a stream larger than the file")


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _sections(raw: bytes, source: str, limits: ReadLimits) -> Iterator[str]:
    rows_left = limits.max_rows
    for name, cells in _sheets(raw, source):
        rows_left -= len(cells)
        if rows_left < 0:
            raise DocumentError(
                f"{source} has more than {limits.max_rows} rows, the limit: split it"
            )
        parts = list(_tables(cells))
        if parts:
            yield "\n\n".join([f"## {cell_text(name)}", *parts])


def _sheets(raw: bytes, source: str) -> Iterator[tuple[str, list[list[str]]]]:
    """The name of each sheet and its cells."""
    import python_calamine

    try:
        with python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(raw)) as workbook:
            for metadata in workbook.sheets_metadata:
                if metadata.typ == python_calamine.SheetTypeEnum.WorkSheet:
                    sheet = workbook.get_sheet_by_name(metadata.name)
                    cells = [[_shown(cell) for cell in row] for row in sheet.to_python()]
                    _fill_merged(cells, sheet.merged_cell_ranges or (), sheet.start or (0, 0))
                    yield metadata.name, cells
    except python_calamine.PasswordError as error:
        raise DocumentError(f"{source} is locked by a password: save it without one") from error
    except BaseException as error:
        # A panic in the parser is no Exception to Python.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError("the parser gave up") from error


def _shown(cell: object) -> str:
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else f"{cell:.15g}"
    if isinstance(cell, datetime.datetime):
        is_day = cell.time() == datetime.time()
        return cell.date().isoformat() if is_day else cell.isoformat(" ", "minutes")
    if isinstance(cell, datetime.time):
        return cell.isoformat("minutes" if not cell.second else "seconds")
    return cell_text(clean_text(str(cell)))


def _fill_merged(cells: list[list[str]], merged: _Merged, origin: tuple[int, int]) -> None:
    """Repeat what stands in cells that were merged down; across, it is a title above several."""
    for (top, left), (bottom, _right) in merged:
        row, column = top - origin[0], left - origin[1]
        if 0 <= row < len(cells) and 0 <= column < len(cells[row]):
            for below in cells[row + 1 : bottom - origin[0] + 1]:
                below[column] = below[column] or cells[row][column]


def _tables(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """The tables of a sheet, which empty rows part, and the lines between them."""
    header: Sequence[str] | None = None
    for is_empty, group in groupby(cells, key=lambda row: not any(row)):
        rows = list(group)
        if is_empty:
            continue
        is_list = len(rows) > 1 and all(sum(map(bool, row)) == 1 for row in rows)
        while rows and not is_list and sum(map(bool, rows[0])) == 1:
            yield next(filter(None, rows.pop(0)))
            header = None  # a title: another table begins
        if not rows:
            continue
        if header is None or is_list or not _goes_on(header, rows):
            header = rows.pop(0) if len(rows) > 1 and is_header(rows[0]) else None
        yield table_text(header, rows)


def _goes_on(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Whether rows below an empty one belong to the table above it, under its header."""
    if any(cell and not name for row in rows for cell, name in zip(row, header, strict=True)):
        return False
    is_new_header = len(rows) > 1 and is_header(rows[0]) and any(map(is_number, rows[1]))
    return not is_new_header
