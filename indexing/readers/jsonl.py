"""JSON Lines: every row `{id?, title?, text, metadata?}` is a document under its own id.

A bad row never loses the good ones: it is reported with the number of its line. Fields of other
names are not read.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

from indexing.readers.content import Content, clean_text
from indexing.readers.text import decode
from indexing.readers.titles import first_heading, one_line
from rag.types import FailedPart, Scalar

MAX_ID_CHARS = 200


@dataclass(frozen=True, slots=True)
class Row:
    """A good row. `row_id` is the one it gives, else one made from the source and its content."""

    row_id: str
    content: Content


def read_jsonl(raw: bytes, source: str) -> tuple[list[Row], list[FailedPart]]:
    """The good rows and the bad ones, each in order. Of rows with the same id the first is good.

    A bad row goes by `source#id` where it has an id that no good row has, else by `source#line-N`.
    """
    first_lines: dict[str, int] = {}
    rows: list[Row] = []
    bad: list[tuple[int, str | None, str]] = []
    for number, line in enumerate(_utf8(raw, source).split(b"\n"), start=1):
        if not line.strip():
            continue
        row_id = None
        try:
            fields = _parse(line)
            row_id = _own_id(fields)
            content = _content(fields)
            key = row_id or _made_id(source, content)
            if key in first_lines:
                raise _BadRowError(_repetition(row_id, first_lines[key]))
        except _BadRowError as error:
            bad.append((number, row_id, str(error)))
        else:
            first_lines[key] = number
            rows.append(Row(key, content))
    failed = [
        FailedPart(
            f"{source}#{f'line-{number}' if row_id is None or row_id in first_lines else row_id}",
            f"line {number}: {reason}",
        )
        for number, row_id, reason in bad
    ]
    return rows, failed


class _BadRowError(Exception):
    """Why a row is no document."""


def _utf8(raw: bytes, source: str) -> bytes:
    # JSON is UTF-8, but what PowerShell redirects to a file is UTF-16 with a mark.
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return decode(raw, source).encode("utf-8", "replace")
    return raw.removeprefix(codecs.BOM_UTF8)


def _parse(line: bytes) -> Mapping[str, object]:
    try:
        fields = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _BadRowError(
            f"byte {error.start + 1} is not UTF-8: save the file as UTF-8"
        ) from error
    except json.JSONDecodeError as error:
        raise _BadRowError(f"not JSON at character {error.pos + 1} ({error.msg})") from error
    except (ValueError, RecursionError) as error:
        raise _BadRowError(
            "not JSON that can be read: a number is too long, or it is too deep"
        ) from error
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
    for key, value in given.items():
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


def _repetition(row_id: str | None, first_line: int) -> str:
    if row_id is None:
        return f"the same as line {first_line}: remove it, or give each an id"
    return f"id {_shown(row_id)} is that of line {first_line}: give each row its own"


def _shown(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
