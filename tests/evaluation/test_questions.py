"""Question sets: what is read, and the one line that whatever does not fit gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.gold import KnownDocument, resolve
from evaluation.loading import load_questions
from evaluation.questions import EvaluationQuestion, GoldQuote, Place
from rag.errors import InputError

TEXTS = {"r1": "# Refunds\n\nRefunds take\n14 days.", "s1": "Shipping is free.", "s2": "No."}
DOCUMENTS = [
    KnownDocument("r1", ("/srv/docs/refunds.md", "https://example.com/help/refunds")),
    KnownDocument("s1", ("/srv/docs/eu/shipping.md",)),
    KnownDocument("s2", ("/srv/docs/us/shipping.md", "upload:ship.txt", "/srv/rows.jsonl#a/b")),
]


def write(folder: Path, *rows: object) -> Path:
    file = folder / "questions.jsonl"
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


async def read(document_id: str) -> str:
    return TEXTS[document_id]


def test_every_field_is_read(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        {
            "id": "refund",
            "question": " How long? ",
            "answers": ["14 days", "two weeks"],
            "documents": ["refunds.md"],
            "spans": [
                {"document": "refunds.md", "start": 3, "end": 9},
                {"document": "more.md", "text": "in 14 days"},
            ],
        },
        "",
        {"question": "Who won?", "answerable": False},
        {"question": "Why?", "answer": "Because."},
        {"question": "Bare?", "id": None, "documents": None},
    )
    first, second, third, fourth = load_questions(file)
    assert first == EvaluationQuestion(
        question_id="refund",
        text="How long?",
        answers=("14 days", "two weeks"),
        documents=("refunds.md", "more.md"),
        spans=(Place("refunds.md", 3, 9),),
        quotes=(GoldQuote("more.md", "in 14 days"),),
        row=1,
    )
    assert (second.question_id, second.row, second.is_answerable) == ("Who won?", 3, False)
    assert (third.answers, third.is_answerable) == (("Because.",), True)
    assert fourth.is_answerable is None


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"question": "a?"}\r\n{"question": "b?"}\r\n')
    assert [question.text for question in load_questions(file)] == ["a?", "b?"]


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ('{"question": "a"', "it is not JSON"),
        ("[]", "it is a list: write one JSON object a line"),
        ("null", "it is null"),
        ({}, 'the field "question" is missing: add it'),
        ({"question": ""}, '"question" is empty'),
        ({"question": 7}, '"question" is a number: give text'),
        ('{"question": "x\\ud800"}', '"question" holds half a character'),
        ({"question": "a", "anwser": "b"}, "'anwser' is no field: correct or remove it (the"),
        ({"question": "a", "anwser": "b"}, "nearest that is one: answer)"),
        ({"question": "a", "answer": ["b"]}, '"answer" is a list: give text'),
        ({"question": "a", "answers": "b"}, '"answers" is text: give a list'),
        ({"question": "a", "answer": "b", "answers": ["c"]}, 'put all of them into "answers"'),
        ({"question": "a", "documents": [None]}, '"documents" is null: give text'),
        ({"question": "a", "answerable": "no"}, '"answerable" is text: give true or false'),
        ({"question": "a", "answerable": False, "answer": "b"}, '"answerable" is false, and yet'),
        ({"question": "a", "spans": [3]}, "span 1: it is a number: give an object"),
        ({"question": "a", "spans": [{"start": 1, "end": 2}]}, '"document" is missing'),
        ({"question": "a", "spans": [{"document": "d"}]}, '"start" is None and "end" is None'),
        ({"question": "a", "spans": [{"document": "d", "start": 5, "end": 5}]}, "start < end"),
        ({"question": "a", "spans": [{"document": "d", "start": True, "end": 5}]}, "is True"),
        (
            {"question": "a", "spans": [{"document": "d", "text": "x", "start": 1, "end": 2}]},
            "give one or the other",
        ),
        ({"question": "a", "spans": [{"document": "d", "txt": "x"}]}, "nearest that is one: text"),
        ({"question": "first"}, "the id 'first' is that of row 1 too: give each row an id"),
        ({"question": "b", "id": "first"}, "the id 'first' is that of row 1 too"),
    ],
)
def test_bad_input_gets_one_line_with_its_row(tmp_path: Path, row: object, words: str) -> None:
    file = write(tmp_path, {"question": "first"}, "", row)
    with pytest.raises(InputError) as caught:
        load_questions(file)
    message = str(caught.value)
    assert message.startswith("questions.jsonl, row 3: ")
    assert words in message
    assert "\n" not in message


def test_a_file_that_is_none_empty_or_of_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nope.jsonl cannot be read \(No such file"):
        load_questions(tmp_path / "nope.jsonl")
    with pytest.raises(InputError, match="cannot be read"):
        load_questions(tmp_path)
    with pytest.raises(InputError, match="has no rows: write one question a line"):
        load_questions(write(tmp_path, "", "  "))
    latin = tmp_path / "latin.jsonl"
    latin.write_bytes('{"question": "a"}\n{"question": "Größe?"}'.encode("latin-1"))
    with pytest.raises(InputError, match=r"row 2: byte 0xf6 is not UTF-8: save the file as UTF-8"):
        load_questions(latin)


@pytest.mark.parametrize(
    ("name", "document_id"),
    [
        ("r1", "r1"),
        ("refunds.md", "r1"),
        ("docs/refunds.md", "r1"),
        ("/srv/docs/refunds.md", "r1"),
        ("example.com/help/refunds", "r1"),
        ("https://example.com/help/refunds", "r1"),
        ("us/shipping.md", "s2"),
        ("ship.txt", "s2"),
        ("a/b", "s2"),
    ],
)
async def test_a_document_goes_by_its_id_and_the_ends_of_its_sources(
    name: str, document_id: str
) -> None:
    question = EvaluationQuestion("q", "q?", documents=(name,))
    [found] = await resolve([question], DOCUMENTS, read)
    assert found.documents == (document_id,)


async def test_quotes_are_found_however_their_white_space_is_laid_out() -> None:
    question = EvaluationQuestion(
        "q",
        "q?",
        documents=("refunds.md", "r1"),
        spans=(Place("refunds.md", 0, 3),),
        quotes=(GoldQuote("refunds.md", "take 14  days"),),
    )
    [found] = await resolve([question], DOCUMENTS, read)
    assert found.documents == ("r1",)
    assert found.quotes == ()
    assert found.spans[0] == Place("r1", 0, 3)
    assert TEXTS["r1"][found.spans[1].start : found.spans[1].end] == "take\n14 days"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"documents": ("funds.md",)}, "row 4: the collection holds no document 'funds.md'"),
        ({"documents": ("shipping.md",)}, "row 4: 'shipping.md' fits 2 documents (s1, s2): give"),
        ({"spans": (Place("s1", 5, 18),)}, "row 4: a span of 's1' ends at 18, and the document"),
        ({"quotes": (GoldQuote("s1", "not free"),)}, "row 4: 's1' does not hold the text 'not f"),
    ],
)
async def test_gold_that_is_not_there_is_told_with_its_row(fields, words: str) -> None:
    question = EvaluationQuestion("q", "q?", row=4, **fields)
    with pytest.raises(InputError) as caught:
        await resolve([question], DOCUMENTS, read)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
