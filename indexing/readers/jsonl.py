"""JSON Lines: every row `{id?, title?, text, metadata?}` is a document under its own id.

A bad row never loses the good ones: it is reported with the number of its line. Fields of other
names are not read.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from indexing.readers.content import Content, Found, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.text import decode
from indexing.readers.titles import first_heading, one_line
from rag.sources import FailedPart
from rag.types import Scalar

MAX_ID_CHARS = 200


def read_jsonl(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Found]:
    """The good rows and the bad ones. Of rows with the same id the first is good.

    A bad row goes by `source#id` where it has an id that no good row has, else by `source#line-N`.
    """
    lines = enumerate(_utf8(raw, source).split(b"\n"), start=1)
    rows = ((number, partial(_parse, line)) for number, line in lines if line.strip())
    return read_rows(rows, source, "line")


def read_rows(
    rows: Iterable[tuple[int, Callable[[], object]]], source: str, unit: str
) -> Iterator[Found]:
    """The documents in numbered rows, and after them the bad rows. `unit` is what is numbered.

    Each row is given as a function, for it may be found to be bad only when it is asked for.
    """
    first_numbers: dict[str, int] = {}
    bad: list[tuple[int, str | None, str]] = []
    for number, row in rows:
        row_id = None
        try:
            fields = _fields(row())
            row_id = _own_id(fields)
            content = _content(fields)
            key = row_id or _made_id(source, content)
            if key in first_numbers:
                raise _BadRowError(_repetition(row_id, f"{unit} {first_numbers[key]}"))
        except _BadRowError as error:
            bad.append((number, row_id or error.row_id, str(error)))
        else:
            first_numbers[key] = number
            yield replace(content, part=key, document_id=key)
    for number, row_id, reason in bad:
        known = row_id is not None and row_id not in first_numbers
        name = row_id if known else f"{unit}-{number}"
        yield FailedPart(f"{source}#{name}", f"{unit} {number}: {reason}")


class _BadRowError(Exception):
    """Why a row is no document; `row_id` is the id that it seems to have."""

    def __init__(self, reason: str, row_id: str | None = None) -> None:
        super().__init__(reason)
        self.row_id = row_id


# In a row that is no JSON: what was indexed under this id before is then known to be still wanted.
_ID_IN_BROKEN_ROW = re.compile(rb'"id"\s*:\s*("(?:[^"\\]|\\.){1,200}"|\d{1,200}\b)')
_GREATEST_INTEGER = 2**63 - 1


def _utf8(raw: bytes, source: str) -> bytes:
    # JSON is UTF-8, but what PowerShell redirects to a file is UTF-16 with a mark.
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return decode(raw, source).encode("utf-8", "replace")
    return raw.removeprefix(codecs.BOM_UTF8)


def _parse(line: bytes) -> object:
    try:
        return json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        reason = f"byte {error.start + 1} is not UTF-8: save the file as UTF-8"
        raise _BadRowError(reason, _id_in_broken(line)) from error
    except json.JSONDecodeError as error:
        reason = f"not JSON at character {error.pos + 1} ({error.msg}): mend the row"
        raise _BadRowError(reason, _id_in_broken(line)) from error
    except (ValueError, RecursionError) as error:
        reason = "not JSON that can be read: a number is too long, or it is too deep"
        raise _BadRowError(reason, _id_in_broken(line)) from error


def _id_in_broken(line: bytes) -> str | None:
    found = _ID_IN_BROKEN_ROW.search(line)
    try:
        return None if found is None else _own_id({"id": json.loads(found[1])})
    except (ValueError, _BadRowError):
        return None


def _fields(fields: object) -> Mapping[str, object]:
    if not isinstance(fields, dict):
        raise _BadRowError(f'{_shown(fields)} is no object: write {{"text": …}}')
    return fields


def _own_id(fields: Mapping[str, object]) -> str | None:
    given = fields.get("id")
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise _BadRowError(f"id is {_shown(given)}: give a string or a whole number")
    row_id = clean_text(str(given)).strip()
    if not row_id or "\n" in row_id or len(row_id) > MAX_ID_CHARS:
        raise _BadRowError(
            f"id is {_shown(given)}: give one line of 1 to {MAX_ID_CHARS} characters"
        )
    return row_id


def _content(fields: Mapping[str, object]) -> Content:
    text, title = fields.get("text"), fields.get("title")
    cleaned = clean_text(text) if isinstance(text, str) else ""
    if not cleaned.strip():
        found = f"is {_shown(text)}" if "text" in fields else "is missing"
        raise _BadRowError(f"text {found}: give a string that is not empty")
    if title is not None and not isinstance(title, str):
        raise _BadRowError(f"title is {_shown(title)}: give a string")
    told = one_line(clean_text(title)) if title else None
    return Content(cleaned, told or first_heading(cleaned), metadata=_metadata(fields))


def _metadata(fields: Mapping[str, object]) -> dict[str, Scalar]:
    given = fields.get("metadata")
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise _BadRowError(f"metadata is {_shown(given)}: give an object")
    metadata: dict[str, Scalar] = {}
    for key, told in given.items():
        # No store keeps so great a number exactly.
        value = str(told) if isinstance(told, int) and abs(told) > _GREATEST_INTEGER else told
        if isinstance(value, float) and not math.isfinite(value):
            raise _BadRowError(f"metadata.{key} is {value}: give a finite number")
        if isinstance(value, str | int | float):
            metadata[clean_text(key)] = clean_text(value) if isinstance(value, str) else value
        elif value is not None:
            raise _BadRowError(
                f"metadata.{key} is {_shown(value)}: give a string, a number, true or false"
            )
    return metadata


def _made_id(source: str, content: Content) -> str:
    canonical = json.dumps(
        [source, content.title, content.text, dict(content.metadata)], sort_keys=True
    )
    return f"row_{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def _repetition(row_id: str | None, first: str) -> str:
    if row_id is None:
        return f"the same as {first}: remove it, or give each an id"
    return f"id {_shown(row_id)} is that of {first}: give each row its own"


def _shown(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
