"""Reads a question set, a JSONL file. Whatever does not fit is told in one line, with its row.

Knows no collection: whether the documents that it names are there, `evaluation.gold` finds out.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from evaluation.questions import EvaluationQuestion, GoldQuote, Place
from rag.errors import InputError

FIELDS = ("id", "question", "answer", "answers", "documents", "spans", "answerable")
SPAN_FIELDS = ("document", "start", "end", "text")


class _RowError(Exception):
    """What is wrong with a row, and the mend."""


def load_questions(path: Path) -> list[EvaluationQuestion]:
    """The questions of the file, in order; blank lines are left out.

    A row without an id goes by its question. Raises InputError.
    """
    rows: dict[str, int] = {}
    questions = []
    for row, line in numbered_lines(path):
        try:
            question = _question(line, row)
            if question.question_id in rows:
                raise _RowError(
                    f"the id {_shown(question.question_id)} is that of row "
                    f"{rows[question.question_id]} too: give each row an id of its own"
                )
        except _RowError as error:
            raise InputError(f"{path.name}, row {row}: {error}") from None
        rows[question.question_id] = row
        questions.append(question)
    if not questions:
        raise InputError(
            f'{path.name} has no rows: write one question a line, such as {{"question": "…"}}'
        )
    return questions


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a JSONL file of questions that hold something, with their numbers, from 1.

    Raises InputError for a file that cannot be read, or is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}): give a JSONL file of questions"
        ) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path.name}, row {row}: byte {content[error.start]:#04x} is not UTF-8: "
            "save the file as UTF-8"
        ) from None
    return ((row, line) for row, line in enumerate(text.split("\n"), 1) if line.strip())


def _question(line: str, row: int) -> EvaluationQuestion:
    try:
        fields = json.loads(line)
    except ValueError as error:
        raise _RowError(f"it is not JSON ({error}): write one JSON object a line") from None
    if not isinstance(fields, dict):
        raise _RowError(f"it is {_kind(fields)}: write one JSON object a line")
    _check_names(fields, FIELDS)
    if "question" not in fields:
        raise _RowError('the field "question" is missing: add it')
    text = _text(fields, "question")
    answerable = fields.get("answerable")
    if answerable is not None and not isinstance(answerable, bool):
        raise _RowError(f'"answerable" is {_kind(answerable)}: give true or false')
    places, quotes = _spans(fields)
    named = [*_texts(fields, "documents"), *(one.document_id for one in places)]
    question = EvaluationQuestion(
        question_id=_text(fields, "id") if fields.get("id") is not None else text,
        text=text,
        answers=_answers(fields),
        documents=tuple(dict.fromkeys([*named, *(one.document for one in quotes)])),
        spans=tuple(places),
        quotes=tuple(quotes),
        answerable=answerable,
        row=row,
    )
    _check_gold(question)
    return question


def _check_gold(question: EvaluationQuestion) -> None:
    gold = question.answers or question.documents
    if question.answerable is False and gold:
        raise _RowError(
            '"answerable" is false, and yet it has an answer, documents or spans: remove one or '
            "the other"
        )


def _answers(fields: dict[str, Any]) -> tuple[str, ...]:
    if fields.get("answer") is None:
        return _texts(fields, "answers")
    if fields.get("answers") is not None:
        raise _RowError('it has both "answer" and "answers": put all of them into "answers"')
    return (_text(fields, "answer"),)


def _spans(fields: dict[str, Any]) -> tuple[list[Place], list[GoldQuote]]:
    places, quotes = [], []
    for number, span in enumerate(_list(fields, "spans"), 1):
        try:
            if not isinstance(span, dict):
                raise _RowError(f"it is {_kind(span)}: give an object")
            _check_names(span, SPAN_FIELDS)
            if "document" not in span:
                raise _RowError('the field "document" is missing: name the document')
            document = _text(span, "document")
            if span.get("text") is None:
                places.append(_place(document, span))
            else:
                quotes.append(_quote(document, span))
        except _RowError as error:
            raise _RowError(f"span {number}: {error}") from None
    return places, quotes


def _place(document: str, span: dict[str, Any]) -> Place:
    start, end = span.get("start"), span.get("end")
    if type(start) is not int or type(end) is not int or not 0 <= start < end:
        raise _RowError(
            f'"start" is {_shown(start)} and "end" is {_shown(end)}: give whole numbers with '
            '0 <= start < end, or "text"'
        )
    return Place(document, start, end)


def _quote(document: str, span: dict[str, Any]) -> GoldQuote:
    if "start" in span or "end" in span:
        raise _RowError('it has "text" and "start" or "end": give one or the other')
    return GoldQuote(document, _text(span, "text"))


def _check_names(fields: dict[str, Any], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            [nearest] = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
            raise _RowError(
                f"{_shown(name)} is no field: correct or remove it (the nearest that is one: "
                f"{nearest})"
            )


def _texts(fields: dict[str, Any], name: str) -> tuple[str, ...]:
    return tuple(_text({name: one}, name) for one in _list(fields, name))


def _list(fields: dict[str, Any], name: str) -> list[Any]:
    value = fields.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _RowError(f'"{name}" is {_kind(value)}: give a list')
    return value


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields[name]
    if not isinstance(value, str):
        raise _RowError(f'"{name}" is {_kind(value)}: give text')
    if not value.strip():
        raise _RowError(f'"{name}" is empty: write something into it, or leave the field out')
    if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
        raise _RowError(f'"{name}" holds half a character (a lone surrogate): write whole ones')
    return value.strip()


def _kind(value: object) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return "null" if value is None else kinds.get(type(value), "a number")


def _shown(value: object) -> str:
    shown = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:59]}…"
