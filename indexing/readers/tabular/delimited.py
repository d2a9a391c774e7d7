"""CSV and TSV: every row with the names of its columns.

Encoding, separator and the row of names are found by looking; lines before the table are kept.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice

from indexing.readers.content import Content, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.tabular.tables import cell_text, is_header, table_text
from indexing.readers.text import decode
from rag.errors import DocumentError

_SEPARATORS = ",;\t|"
_SAMPLE_LINES = 50


def read_csv(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Content]:
    """The table as one document. Raises DocumentError when it has too many rows or is no text."""
    text = decode(raw, source)
    lines = text.splitlines(keepends=True)
    csv.field_size_limit(max(limits.max_file_bytes, csv.field_size_limit()))
    rows: list[list[str]] = []
    try:
        for row in csv.reader(lines, delimiter=_separator(lines[:_SAMPLE_LINES])):
            cells = [cell_text(cell) for cell in row]
            if any(cells):
                rows.append(cells)
            if len(rows) > limits.max_rows:
                raise DocumentError(
                    f"{source} has more than {limits.max_rows} rows, the limit: split it"
                )
    except csv.Error as error:
        raise DocumentError(f"{source} is no CSV ({error}): save it as CSV again") from error
    width = max(map(len, rows), default=0)
    if width * len(rows) > limits.max_cells:
        raise DocumentError(
            f"{source} has {len(rows)} rows of up to {width} cells, the limit is "
            f"{limits.max_cells} cells: split it or raise ingestion.max_cells"
        )
    yield Content(clean_text("\n\n".join(_parts(rows, width))))


def _parts(rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    first = 0
    while width > 1 and first < len(rows) and sum(map(bool, rows[first])) == 1:
        yield next(filter(None, rows[first]))  # a title above the table
        first += 1
    table = rows[first:]
    header = table[0] if len(table) > 1 and is_header(table[0]) else None
    yield table_text(header, table[1:] if header else table)


def _separator(sample: Sequence[str]) -> str:
    """The character that cuts most lines of the sample into the same number of cells, above one."""

    def fit(separator: str) -> tuple[int, int]:
        rows = islice(csv.reader(sample, delimiter=separator), _SAMPLE_LINES)
        widths = Counter(len(row) for row in rows if any(row))
        width, lines = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
        return (lines, width) if width > 1 else (0, 0)

    return max(_SEPARATORS, key=fit)
