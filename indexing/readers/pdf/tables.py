"""Tables in a PDF, found by how their cells line up: a PDF marks none.

A page is read in the order in which it was written. Rows whose parts stand apart from each other,
and below each other from row to row, are a table; lines of prose, also in two columns, are not.
What looks like the names of the columns is told with every row of a long table.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import mean, median
from typing import Any

from indexing.readers.content import clean_text
from indexing.readers.tabular.tables import cell_text, is_header, is_number, table_text

_GAP_HEIGHTS = 1.1  # two cells are further apart than this, in heights of their line
_MIN_GAP = 6.0  # points
_SAME_PLACE = 6.0  # points by which columns may differ from page to page
_MAX_PROSE_CHARS = 40  # cells that are longer on average are lines of prose side by side
_MIN_FILLED = 0.3
_MAX_COLUMNS = 40
_FONT_NAME_BYTES = 100
_MAX_STEPS = 2.5  # rows further apart than this, in the least distance of two, are two tables
_ENUMERATOR = re.compile(
    r"\s*(?:\(?(?:\d{1,3}(?:\.\d{1,3})*|[a-zA-Z]|[ivxIVX]{1,5})[.)]?|\.\d{1,3}|[•·▪◦–—*-])\s*"
)


@dataclass(frozen=True, slots=True)
class _Char:
    index: int
    left: float
    right: float
    bottom: float
    top: float
    text: str


@dataclass(slots=True)
class _Cell:
    left: float
    right: float
    text: str
    font: str


@dataclass(slots=True)
class _Line:
    """A line of a page. `text` is as PDFium gives it; `cells` are its parts that stand apart."""

    text: str = ""
    bottom: float = 0.0
    top: float = 0.0
    cells: list[_Cell] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Table:
    """A table on a page: where its columns begin, their names if it tells them, and its rows."""

    lefts: tuple[float, ...]
    header: tuple[str, ...] | None
    rows: tuple[tuple[str, ...], ...]

    def continued_from(self, earlier: Table | None) -> Table:
        """The table, under the header of `earlier` if it goes on from there and has none."""
        if earlier is None or self.header or not earlier.header:
            return self
        if len(self.lefts) != len(earlier.lefts):
            return self
        apart = (abs(a - b) for a, b in zip(self.lefts, earlier.lefts, strict=True))
        return self if max(apart) > _SAME_PLACE else Table(self.lefts, earlier.header, self.rows)

    def text(self) -> str:
        """The table as text."""
        return clean_text(table_text(self.header, self.rows))


def page_blocks(text_page: Any) -> list[str | Table]:
    """What is on a page of PDFium, in order: text as it gives it, and tables."""
    if not _may_hold_table(text_page):
        return [text_page.get_text_bounded()]
    return list(_blocks(_in_sight_order(_lines(text_page))))


def _may_hold_table(text_page: Any) -> bool:
    """Whether two lines have parts that stand apart; most pages have none, and are done fast."""
    found = 0
    before = None
    for number in range(text_page.count_rects()):
        left, bottom, right, top = text_page.get_rect(number)
        if before is not None:
            apart = left - before[2] > _MIN_GAP
            beside = min(top, before[3]) - max(bottom, before[1]) > (top - bottom) / 2
            found += apart and beside
            if found > 1:
                return True
        before = (left, bottom, right, top)
    return False


def _lines(text_page: Any) -> list[_Line]:
    import pypdfium2.raw as pdfium

    box = [ctypes.c_double() for _ in range(4)]
    where = [ctypes.byref(side) for side in box]
    lines = [_Line()]
    chars: list[_Char] = []
    for index in range(pdfium.FPDFText_CountChars(text_page)):
        character = chr(pdfium.FPDFText_GetUnicode(text_page, index))
        lines[-1].text += character
        if character == "\n":
            _finish(lines[-1], chars, text_page)
            lines.append(_Line())
            chars = []
        elif not character.isspace() and pdfium.FPDFText_GetCharBox(text_page, index, *where):
            left, right, bottom, top = (side.value for side in box)
            chars.append(_Char(index, left, right, bottom, top, character))
        elif chars:
            chars.append(replace(chars[-1], text=" "))
    _finish(lines[-1], chars, text_page)
    return lines


def _finish(line: _Line, chars: Sequence[_Char], text_page: Any) -> None:
    """Tell where a line stands, and cut it into cells."""
    if not chars:
        return
    line.bottom, line.top = min(c.bottom for c in chars), max(c.top for c in chars)
    gap = max(_MIN_GAP, _GAP_HEIGHTS * (line.top - line.bottom))
    for char in chars:
        last = line.cells[-1] if line.cells else None
        if last is None or char.left - last.right > gap or char.right < last.left:
            font = _font(text_page, char.index)
            line.cells.append(_Cell(char.left, char.right, char.text, font))
        else:
            last.right = max(last.right, char.right)
            last.text += char.text


def _font(text_page: Any, index: int) -> str:
    import pypdfium2.raw as pdfium

    name, flags = ctypes.create_string_buffer(_FONT_NAME_BYTES), ctypes.c_int()
    pdfium.FPDFText_GetFontInfo(text_page, index, name, _FONT_NAME_BYTES, ctypes.byref(flags))
    return name.value.decode("utf-8", "replace")


def _in_sight_order(lines: list[_Line]) -> list[_Line]:
    """The lines from top to bottom where the page was plainly written in another order.

    That is so where a line stands above one that was written before it in the same column. Pages
    on which prose stands beside prose stay as they are.
    """
    placed = [line for line in lines if line.cells]
    lowest: _Line | None = None
    is_mixed = False
    for line in placed:
        is_above = lowest is not None and line.bottom > lowest.top and _overlap(line, lowest)
        is_mixed = is_mixed or is_above
        if lowest is None or line.bottom < lowest.bottom:
            lowest = line
    if not is_mixed:
        return lines
    rows: list[_Line] = []
    for line in sorted(placed, key=lambda line: -line.top):
        above = rows[-1] if rows else None
        shared = min(line.top, above.top) - max(line.bottom, above.bottom) if above else 0.0
        if above is None or shared < (line.top - line.bottom) / 2:
            rows.append(line)
        elif max(len(line.text), len(above.text)) > _MAX_PROSE_CHARS:
            return lines
        else:
            rows[-1] = _side_by_side(above, line)
    return rows


def _overlap(one: _Line, other: _Line) -> bool:
    return min(one.cells[-1].right, other.cells[-1].right) > max(
        one.cells[0].left, other.cells[0].left
    )


def _side_by_side(one: _Line, other: _Line) -> _Line:
    first, second = sorted((one, other), key=lambda line: line.cells[0].left)
    return _Line(
        text=f"{first.text.rstrip()} {second.text}",
        bottom=min(one.bottom, other.bottom),
        top=max(one.top, other.top),
        cells=sorted([*one.cells, *other.cells], key=lambda cell: cell.left),
    )


def _blocks(lines: Sequence[_Line]) -> Iterator[str | Table]:
    prose: list[str] = []
    position = 0
    while position < len(lines):
        end = position
        while end < len(lines) and _belongs(lines, position, end):
            end += 1
        table = _table(lines[position:end]) if end - position > 1 else None
        if table is None:
            end = max(end, position + 1)
            prose.extend(line.text for line in lines[position:end])
        else:
            yield "".join(prose)
            prose = []
            yield table
        position = end
    yield "".join(prose)


def _belongs(lines: Sequence[_Line], first: int, number: int) -> bool:
    """Whether a line may be of the table that begins at `first`: it has cells, or goes on in one.

    What goes on in a cell stands close below it, and never in the first column.
    """
    line = lines[number]
    if not 1 <= len(line.cells) <= _MAX_COLUMNS or (number == first and len(line.cells) == 1):
        return False
    if number == first:
        return True
    above, cell = lines[number - 1], line.cells[0]
    if len(line.cells) > 1:
        steps = [a.bottom - b.bottom for a, b in pairwise(lines[first : number + 1])]
        is_total = len(line.cells) == 2 and len(above.cells) > 3 and cell.text.rstrip()[-1:] == ":"
        return 0 < steps[-1] <= _MAX_STEPS * min(steps) and not is_total
    height = line.top - line.bottom
    is_close = 0 < above.bottom - line.top < height
    begins_below = any(abs(cell.left - other.left) < _MIN_GAP for other in above.cells[1:])
    return is_close and begins_below and above.cells[0].right < cell.left


def _table(lines: Sequence[_Line]) -> Table | None:
    """The table in lines that have cells; None when it is none."""
    whole = [line for line in lines if len(line.cells) > 1]
    columns = _columns(whole)
    texts = [cell.text for line in whole for cell in line.cells]
    if len(columns) < 2 or (len(whole) < 3 and len(columns) < 3) or len(whole) < 2:
        return None
    if mean(map(len, texts)) > _MAX_PROSE_CHARS or median(map(len, texts)) > _MAX_PROSE_CHARS:
        return None
    if len(columns) == 2 and mean(len(line.cells[-1].text) for line in whole) > _MAX_PROSE_CHARS:
        return None
    if all(len(line.cells) == 2 and _ENUMERATOR.fullmatch(line.cells[0].text) for line in whole):
        return None
    if len(texts) < _MIN_FILLED * len(whole) * len(columns):
        return None
    rows: list[list[str]] = []
    for line in lines:
        cells = [""] * len(columns)
        for cell in line.cells:
            column = _column(columns, cell)
            cells[column] = f"{cells[column]} {_clean(cell.text)}".strip()
        if len(line.cells) == 1 and rows:
            rows[-1] = [f"{a} {b}".strip() for a, b in zip(rows[-1], cells, strict=True)]
        else:
            rows.append(cells)
    is_uniform = len({cell.font for cell in whole[0].cells}) == 1
    header = tuple(rows.pop(0)) if is_uniform and _names_columns(rows) else None
    lefts = tuple(left for left, _ in columns)
    return Table(lefts, header, tuple(map(tuple, rows)))


def _clean(text: str) -> str:
    return cell_text(clean_text(text.replace("\ufffe", "-").replace("\x02", "-")))


def _columns(lines: Sequence[_Line]) -> list[tuple[float, float]]:
    """From where to where each column goes: the stretches that cells cover together.

    Where a cell that spans several would make them one, only the lines with the most cells count.
    """
    most = max((len(line.cells) for line in lines), default=0)
    columns = _covered(lines)
    return columns if len(columns) >= most else _covered([x for x in lines if len(x.cells) == most])


def _covered(lines: Sequence[_Line]) -> list[tuple[float, float]]:
    columns: list[tuple[float, float]] = []
    for left, right in sorted((cell.left, cell.right) for line in lines for cell in line.cells):
        if columns and left <= columns[-1][1]:
            columns[-1] = (columns[-1][0], max(right, columns[-1][1]))
        else:
            columns.append((left, right))
    return columns


def _column(columns: Sequence[tuple[float, float]], cell: _Cell) -> int:
    """The column in which most of a cell stands, else the nearest."""
    shared = [min(cell.right, right) - max(cell.left, left) for left, right in columns]
    return shared.index(max(shared))


def _names_columns(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row names the columns: half of those behind the first hold numbers below.

    A form, whose labels and values take turns, would be made nonsense of: where there is but one
    row to go by, it must be three in four.
    """
    if len(rows) < 2 or not is_header(rows[0]):
        return False
    told = [column for column, name in enumerate(rows[0]) if name and column]
    numeric = 0
    for column in told:
        cells = [row[column] for row in rows[1:] if row[column]]
        numeric += bool(cells) and sum(map(is_number, cells)) * 2 >= len(cells)
    return numeric >= len(told) * (3 / 4 if len(rows) == 2 else 1 / 2)
