"""JSON: rows of text are documents, anything else is one document that a person can read.

An array of `{id?, title?, text, metadata?}` is what JSON Lines is: a document each. In other JSON
every value goes on a line with its key; objects and arrays within get a heading with their path,
and an array of flat objects becomes a table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from indexing.readers.content import Content, Found, clean_text
from indexing.readers.jsonl import read_jsonl, read_rows
from indexing.readers.limits import ReadLimits
from indexing.readers.tabular.tables import cell_text, table_text
from indexing.readers.text import decode
from indexing.readers.titles import one_line
from rag.errors import DocumentError

_ROW_FIELDS = {"id", "title", "text", "metadata"}
_TITLES = ("title", "name", "subject")
_MAX_DEPTH = 200
_HEADING_LEVELS = 6
_MAX_COLUMNS = 100
_LINE_CHARS = 300  # a longer value gets its own paragraph


def read_json(raw: bytes, source: str, limits: ReadLimits) -> Iterator[Found]:
    """The rows, or the one document; its title is a `title`, `name` or `subject` at the top.

    Raises DocumentError when it is no JSON, or is nested too deep.
    """
    text = decode(raw, source).removeprefix("\ufeff")
    try:
        # Numbers stay as they are written: 1.50 is what somebody will search for.
        value = json.loads(text, parse_float=str, parse_int=str)
        if _is_rows(value):
            typed = json.loads(text)
            rows = enumerate(typed, start=1)
            yield from read_rows(((n, partial(_same, row)) for n, row in rows), source, "item")
            return
    except json.JSONDecodeError as error:
        if error.msg == "Extra data" and "\n" in text[: error.pos]:
            yield from read_jsonl(raw, source, limits)
            return
        raise DocumentError(
            f"{source} is no JSON from line {error.lineno}, column {error.colno} on ({error.msg}): "
            "mend it there"
        ) from error
    except (ValueError, RecursionError) as error:
        raise DocumentError(
            f"{source} is no JSON that can be read ({_why(error)}): flatten it"
        ) from error
    yield Content(clean_text("\n".join(_told(value, source)).strip()), _title(value))


def _same(row: object) -> object:
    return row


def _why(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else "a number is too long"


def _is_rows(value: object) -> bool:
    """Whether all that `value` holds is rows of text, most of them good."""
    if not isinstance(value, list) or not value:
        return False
    texts = 0
    for row in value:
        if not isinstance(row, dict) or not row.keys() <= _ROW_FIELDS:
            return False
        texts += isinstance(row.get("text"), str)
    return texts * 2 >= len(value)


def _title(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    told = (value[key] for key in _TITLES if isinstance(value.get(key), str))
    return next((one_line(clean_text(title)) for title in told if title.strip()), None)


def _told(value: object, source: str) -> Iterator[str]:
    """The lines of any JSON; a stack stands in for recursion, which would have to end somewhere."""
    waiting: list[tuple[tuple[str, ...], object]] = [((), value)]
    while waiting:
        path, current = waiting.pop()
        if len(path) > _MAX_DEPTH:
            raise DocumentError(
                f"{source} is nested more than {_MAX_DEPTH} deep, the limit: flatten it"
            )
        if path and _is_nested(current) and current:
            level = min(len(path) + 1, _HEADING_LEVELS)
            name = path[-1] if len(path) < _HEADING_LEVELS else ".".join(path)
            yield f"\n{'#' * level} {cell_text(name)}\n"
        if isinstance(current, dict):
            yield from _pairs(current)
            nested = [((*path, key), each) for key, each in current.items() if _is_nested(each)]
            waiting.extend(reversed(nested))
        elif isinstance(current, list):
            if _is_table(current):
                yield _table(current)
                continue
            yield from (f"- {_scalar(each)}" for each in current if not _is_nested(each))
            prefix = path[-1] if path else "item"
            items = [
                ((*path, f"{prefix} {number}"), each)
                for number, each in enumerate(current, start=1)
                if _is_nested(each)
            ]
            waiting.extend(reversed(items))
        else:
            yield _scalar(current)


def _pairs(fields: Mapping[str, object]) -> Iterator[str]:
    for key, value in fields.items():
        if not _is_nested(value) and _scalar(value):
            told = _scalar(value)
            long = len(told) > _LINE_CHARS or "\n" in told
            yield f"\n{cell_text(key)}:\n\n{told}\n" if long else f"- {cell_text(key)}: {told}"


def _is_nested(value: object) -> bool:
    return isinstance(value, dict | list)


def _is_table(items: Sequence[object]) -> bool:
    """Whether all items are flat objects that share their few keys."""
    keys: set[str] = set()
    for item in items:
        if not isinstance(item, dict) or not item or any(map(_is_nested, item.values())):
            return False
        keys |= item.keys()
        if len(keys) > _MAX_COLUMNS:
            return False
    return len(items) > 1


def _table(items: Sequence[Mapping[str, object]]) -> str:
    columns = list(dict.fromkeys(key for item in items for key in item))
    rows = [[cell_text(_scalar(item.get(column))) for column in columns] for item in items]
    return table_text([cell_text(column) for column in columns], rows)


def _scalar(value: object) -> str:
    if value is None:
        return ""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
