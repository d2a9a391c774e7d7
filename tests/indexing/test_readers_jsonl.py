"""The reader of JSON Lines."""

from __future__ import annotations

import json
from pathlib import Path

from made_files import document, read, written


def test_jsonl_rows_are_documents_and_bad_rows_are_reported(tmp_path: Path) -> None:
    rows = [
        '{"id": 7, "title": "Seven", "text": "one",'
        ' "metadata": {"lang": "en", "x": null, "n": 1.5}}',
        '{"id": "b", "text": "# Head\\n\\ntwo\\u0000"}',
        "",
        '{"text": "three"}',
        "{broken",
        '{"id": "c", "text": "  "}',
        '{"id": "d"}',
        '{"id": 7, "text": "again"}',
        '{"id": "e", "text": "x", "metadata": {"tags": ["a"]}}',
        '{"id": "f", "text": "x", "metadata": {"n": NaN}}',
        '{"id": true, "text": "x"}',
        '["text"]',
        '{"text": "three"}',
        '{"id": "g", "text": "x", "title": 3}',
        '{"id": "h", "text": "x", "metadata": "en"}',
        '{"id": "", "text": "x"}',
        '{"id": "h", "text": "good after all"}',
    ]  # fmt: skip
    raw = "\n".join(rows).encode() + b'\n{"id": "z", "text": "caf\xe9"}\n'
    result = read(written(tmp_path, "faq_rows.jsonl", raw))
    good = result.documents
    assert [d.text for d in good] == ["one", "# Head\n\ntwo", "three", "good after all"]
    assert [d.title for d in good] == ["Seven", "Head", "Faq rows", "Faq rows"]
    assert [d.document_id for d in good[:2]] == ["7", "b"]
    assert good[0].metadata == {"lang": "en", "n": 1.5}
    assert [d.sources for d in good[:2]] == [("faq_rows.jsonl#7",), ("faq_rows.jsonl#b",)]
    assert good[2].sources == (f"faq_rows.jsonl#{good[2].document_id}",)
    reasons = {part.source.partition("#")[2]: part.reason for part in result.failed}
    expected = {
        "line-5": "not JSON", "c": "text is", "d": "text is missing", "line-8": "line 1",
        "e": "metadata.tags", "f": "metadata.n", "line-11": "id is true", "line-12": "no object",
        "line-13": "same as line 4", "g": "title", "line-15": "metadata", "line-16": "id is",
        "z": "UTF-8",
    }  # fmt: skip
    assert reasons.keys() == expected.keys()
    numbers = [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18]
    for (key, words), number in zip(expected.items(), numbers, strict=True):
        assert reasons[key].startswith(f"line {number}: ")
        assert words in reasons[key]


def test_jsonl_made_ids_are_stable_and_follow_source_and_content(tmp_path: Path) -> None:
    def ids(name: str, *texts: str) -> list[str]:
        path = written(tmp_path, name, "\n".join(json.dumps({"text": t}) for t in texts))
        return [d.document_id for d in read(path).documents]

    assert ids("a.jsonl", "x", "y") == list(reversed(ids("a.jsonl", "y", "x")))
    assert ids("a.jsonl", "x") != ids("b.jsonl", "x")


def test_jsonl_hostile_rows(tmp_path: Path) -> None:
    rows = ["[" * 100_000, '{"id": ' + "9" * 10_000 + ', "text": "x"}', '{"text": "\\ud800 ok"}']
    result = read(written(tmp_path, "a.jsonl", "\n".join(rows)))
    assert [d.text for d in result.documents] == ["\ufffd ok"]
    assert [part.source for part in result.failed] == ["a.jsonl#line-1", "a.jsonl#line-2"]


def test_jsonl_in_utf16(tmp_path: Path) -> None:
    path = written(tmp_path, "a.jsonl", '{"id": 1, "text": "ü"}\r\n'.encode("utf-16"))
    assert document(path).text == "ü"


def test_jsonl_row_that_is_broken_goes_by_the_id_that_it_had(tmp_path: Path) -> None:
    rows = ['{"id": "a", "text": "good"}', '{"id": "b\\u00e9", "text": "cut off', '{"id": 7, ]']
    rows.append('{"text": "no id", }')
    result = read(written(tmp_path, "a\udce9.jsonl", "\n".join(rows)), "a\udce9.jsonl")
    assert [part.source for part in result.failed] == [
        "a\udce9.jsonl#bé", "a\udce9.jsonl#7", "a\udce9.jsonl#line-4",
    ]  # fmt: skip


def test_jsonl_great_integers_in_metadata_are_kept_as_text(tmp_path: Path) -> None:
    row = {"text": "x", "metadata": {"great": 2**63, "small": 2**63 - 1, "low": -(2**80)}}
    found = document(written(tmp_path, "a.jsonl", json.dumps(row)))
    assert found.metadata == {"great": str(2**63), "small": 2**63 - 1, "low": str(-(2**80))}
