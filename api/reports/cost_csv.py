"""The ledger's sums as a table for spreadsheets: one header row, then a row for each sum."""

from __future__ import annotations

import csv
import io

from api.models.costs import CostsOut, SumOut

MEDIA_TYPE = "text/csv"
_BEGINS_A_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def csv_of(costs: CostsOut) -> str:
    """The rows, unknown as an empty cell. No name in them is a formula to a spreadsheet."""
    written = io.StringIO()
    fields = [name for name in SumOut.model_fields if name != "name"]
    writer = csv.writer(written)
    writer.writerow([costs.by, *fields])
    for row in costs.rows:
        writer.writerow([_as_text(row.name), *(getattr(row, name) for name in fields)])
    return written.getvalue()


def _as_text(name: str) -> str:
    """The name, after an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{name}" if name.lstrip(" ").startswith(_BEGINS_A_FORMULA) else name
