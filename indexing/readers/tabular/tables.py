"""Tables as text: rows that say what their columns are.

A small table, which goes whole into one chunk, is a Markdown table. Of a longer one every row
names its columns, `| Name: Ada | Age: 36 |`, so that a chunk from its middle, and a row that is
quoted alone, can be understood. Such a line is a table row to whoever cuts the text: it is never
parted unless it alone is too long.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

SMALL_TABLE_CHARS = 400
_ROW_CHARS = 400  # a longer row becomes several lines, each with the name of the row

_SPACES = re.compile(r"\s+")
_NUMBER = re.compile(
    r"[-−–+(~<>≈]*\s?(?:[$€£¥]|[A-Z]{3}\s)?[-−]?\s?\.?\d[\d\s.,:/'’-]*"
    r"(?:[eE][-+]?\d+)?\s?(?:[%‰)]|[€$£¥]|[ap]\.?m\.?)*",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_MAX_LABEL_CHARS = 80


def cell_text(value: str) -> str:
    """A cell on one line."""
    return _SPACES.sub(" ", value).strip()


def is_number(cell: str) -> bool:
    """Whether a cell holds a number, an amount, a date or a time, and no word."""
    return _NUMBER.fullmatch(cell) is not None


def is_header(row: Sequence[str]) -> bool:
    """Whether a row looks like the names of columns: different short texts, most of them there.

    Numbers are none, but for a run of years.
    """
    cells = [cell for cell in row if cell]
    if len(cells) < 2 or len(cells) * 2 < len(row) or len(set(cells)) < len(cells):
        return False
    if any(len(cell) > _MAX_LABEL_CHARS or cell.endswith(":") for cell in cells):
        return False
    numbers = [cell for cell in cells if is_number(cell)]
    return not numbers or (
        len(numbers) > 1
        and len(numbers) < len(row)
        and all(map(_YEAR.fullmatch, numbers))
        and len({left < right for left, right in pairwise(numbers)}) == 1
    )


def table_text(header: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are one line each. Columns without any value are left out."""
    filled = sorted({column for row in rows for column, cell in enumerate(row) if cell})
    labels = [_at(header, column) for column in filled] if header else []
    kept = [[_at(row, column) for column in filled] for row in rows]
    kept = [cells for cells in kept if any(cells)]
    if len(filled) == 1:
        name = labels[:1] if labels and labels[0] else []
        return "\n".join([*name, *(f"- {cells[0]}" for cells in kept)])
    if labels:
        small = [_line(labels), "|" + " --- |" * len(filled), *map(_line, kept)]
        if sum(map(len, small)) <= SMALL_TABLE_CHARS:
            return "\n".join(small)
        return "\n".join(line for cells in kept for line in _told(labels, cells))
    return "\n".join(_line([cell for cell in cells if cell]) for cells in kept)


def _at(row: Sequence[str], column: int) -> str:
    return row[column].replace("|", "\\|") if column < len(row) else ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _told(labels: Sequence[str], cells: Sequence[str]) -> Iterator[str]:
    """A row that names its columns; a long one in several lines, each with its first cell."""
    told = [
        f"{label.rstrip(':')}: {cell}" if label else cell
        for label, cell in zip(labels, cells, strict=True)
        if cell
    ]
    line = told[:1]
    chars = name_chars = len(told[0])
    for part in told[1:]:
        if chars + len(part) > _ROW_CHARS and len(line) > 1:
            yield _line(line)
            line, chars = told[:1] if name_chars <= _MAX_LABEL_CHARS else [], name_chars
        line.append(part)
        chars += len(part)
    yield _line(line)
