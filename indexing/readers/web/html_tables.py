"""Tables of HTML on their way to text: what spans rows is filled in, long tables are explained."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from indexing.readers.tabular.tables import SMALL_TABLE_CHARS, cell_text, is_header, table_text

_CELL_BORDER = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[| -]*")
_MAX_FILLED = 20_000  # cells in one page; more is an attack
_MAX_SPAN = 1000
_MAX_COLSPAN = 50


def fill_rowspans(root: Any) -> None:
    """Repeat each cell of `root` that spans rows in all of them, as a reader's eye does."""
    left = _MAX_FILLED
    for cell in root.select("[colspan]"):
        cell["colspan"] = str(min(_span(cell, "colspan"), _MAX_COLSPAN))
    tables = {id(table): table for c in root.select("[rowspan]") if (table := _table_of(c))}
    for table in tables.values():
        open_cells: dict[int, tuple[int, Any]] = {}  # by column: rows to go, and what to repeat
        for row in table.find_all("tr"):
            column = 0
            for cell in [*row.find_all(["td", "th"], recursive=False), None]:
                while column in open_cells and left > 0:
                    rows, spanning = open_cells.pop(column)
                    repeated = copy.copy(spanning)
                    left -= 1
                    if cell is None:
                        row.append(repeated)
                    else:
                        cell.insert_before(repeated)
                    if rows > 1:
                        open_cells[column] = (rows - 1, spanning)
                    column += _span(spanning, "colspan")
                if cell is not None:
                    rows = _span(cell, "rowspan")
                    if rows > 1:
                        open_cells[column] = (rows - 1, cell)
                    column += _span(cell, "colspan")


def unwrap_layout(root: Any) -> None:
    """Make ordinary boxes of tables around tables: they are layout, and Markdown nests none."""
    outer = {id(found) for table in root.find_all("table") if (found := _table_of(table))}
    if outer:
        boxes = root.find_all(["table", "tbody", "thead", "tfoot", "tr", "td", "th"])
        owners = [id(box) if box.name == "table" else id(_table_of(box)) for box in boxes]
        for box, owner in zip(boxes, owners, strict=True):
            if owner in outer:
                box.name = "div"


def _table_of(element: Any) -> Any:
    return element.find_parent("table")


def explained(table: Any, markdown: str) -> str:
    """A table in Markdown; a long one whose first row names its columns in rows that name them.

    Empty for a table that says nothing.
    """
    if not any(map(str.isalnum, markdown)):
        return ""
    lines = markdown.strip().split("\n")
    if len(markdown) <= SMALL_TABLE_CHARS or len(lines) < 3:
        return markdown
    rows = [_cells(line) for line in lines if not _RULE.fullmatch(line)]
    header = rows[0]
    if not _names_columns(table, header) or any(len(row) > len(header) for row in rows):
        return markdown
    return table_text(header, rows[1:])


def _names_columns(table: Any, header: Sequence[str]) -> bool:
    first = table.find("tr")
    if first is None or not any(header):
        return False
    if first.find("td") is None or first.parent.name == "thead":
        return len(header) > 1
    # Not marked as names: tables of two columns are as often pairs of a name and a value.
    return len(header) > 2 and all(header) and is_header(header)


def _cells(line: str) -> list[str]:
    inner = line.strip().removeprefix("|").removesuffix("|")
    return [cell_text(cell.replace("\\|", "|")) for cell in _CELL_BORDER.split(inner)]


def _span(cell: Any, direction: str) -> int:
    told = str(cell.get(direction, ""))
    return min(int(told), _MAX_SPAN) if told.isdecimal() and told.isascii() and int(told) else 1
