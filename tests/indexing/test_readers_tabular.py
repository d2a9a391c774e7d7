"""The readers of CSV and JSON, and how tables become text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from made_files import document, failure, read, written

from indexing.readers.limits import ReadLimits
from indexing.readers.tabular.tables import is_header, is_number, table_text


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Name,City,Age\nAda,London,36\nBob,Paris,7\n"),
        ("a.csv", "Name;City;Age\r\nAda;London;36\r\nBob;Paris;7\r\n"),
        ("a.tsv", "Name\tCity\tAge\nAda\tLondon\t36\nBob\tParis\t7\n"),
        ("a.csv", '\ufeff"Name","City","Age"\n"Ada","London","36"\n\n"Bob","Paris","7"\n,,\n'),
    ],
)
def test_csv_of_all_sorts(tmp_path: Path, name: str, content: str) -> None:
    assert document(written(tmp_path, name, content)).text == (
        "| Name | City | Age |\n| --- | --- | --- |\n| Ada | London | 36 |\n| Bob | Paris | 7 |"
    )


def test_csv_titles_quotes_and_encodings(tmp_path: Path) -> None:
    content = 'Preise 2024\nArtikel;Größe;Preis\n"Schraube; lang";"5""\nZoll";1,50 €\n;;2,00 €\n'
    text = document(written(tmp_path, "a.csv", content.encode("cp1252"))).text
    assert text == (
        "Preise 2024\n\n| Artikel | Größe | Preis |\n| --- | --- | --- |\n"
        '| Schraube; lang | 5" Zoll | 1,50 € |\n|  |  | 2,00 € |'
    )


def test_csv_without_names_of_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "Ada,36\nBob,7\n")
    assert document(path).text == "| Ada | 36 |\n| Bob | 7 |"
    assert document(written(tmp_path, "b.csv", "just a line\n")).text == "- just a line"


def test_csv_long_table_names_its_columns_in_every_row(tmp_path: Path) -> None:
    rows = "".join(f"P{n},{n},\n" for n in range(5000))
    lines = document(written(tmp_path, "a.csv", f"Plan,Price,Note\n{rows}")).text.split("\n")
    assert lines[2500] == "| Plan: P2500 | Price: 2500 |"
    assert len(lines) == 5000


def test_csv_limits(tmp_path: Path) -> None:
    path = written(tmp_path, "a.csv", "n,m\n" + "1,2\n" * 10)
    assert "more than 10 rows, the limit" in failure(path, ReadLimits(max_rows=10))
    assert "the limit is 21 cells" in failure(path, ReadLimits(max_cells=21))
    assert read(path, limits=ReadLimits(max_rows=11, max_cells=22)).documents


def test_a_long_row_is_told_in_lines_that_each_say_whose_it_is() -> None:
    header = ["Id", *(f"Field {n}" for n in range(40))]
    row = ["X1", *(f"value {n}" for n in range(40))]
    lines = table_text(header, [row]).split("\n")
    assert len(lines) > 1
    assert all(line.startswith("| Id: X1 | ") and len(line) < 500 for line in lines)
    assert all(any(f"Field {n}: value {n} |" in line for line in lines) for n in range(40))


@pytest.mark.parametrize(
    "cell",
    ["7", "-1.5", "+15", "$3,000", "1.234,50 €", "10%", "(12)", "1e-5", "2024-05-31", "12/20/24",
     "7:00 PM", "EUR 5", "1 000"],
)  # fmt: skip
def test_numbers(cell: str) -> None:
    assert is_number(cell)


@pytest.mark.parametrize("cell", ["SKU-1", "x", "-", "7 days", "B2", "1st", ""])
def test_what_is_no_number(cell: str) -> None:
    assert not is_number(cell)


def test_headers() -> None:
    assert is_header(["Name", "Age"])
    assert is_header(["Region", "2022", "2023", "2024"])
    assert not is_header(["Name", "36"])
    assert not is_header(["Name", "Name"])
    assert not is_header(["Name:", "Ada"])
    assert not is_header(["Title", "", "", ""])
    assert not is_header(["x" * 100, "y"])


def test_json_rows_are_documents(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "title": "Seven", "text": "one", "metadata": {"n": 2**80}},
        {"text": "two"},
        {"id": "x", "text": ""},
    ]
    result = read(written(tmp_path, "faq.json", json.dumps(rows)))
    first, second = result.documents
    assert (first.document_id, first.title, first.text) == ("7", "Seven", "one")
    assert first.sources == ("faq.json#7",)
    assert first.metadata == {"n": str(2**80)}
    assert second.document_id.startswith("row_")
    (bad,) = result.failed
    assert (bad.source, bad.reason[:14]) == ("faq.json#x", "item 3: text i")


def test_json_of_other_kinds_is_readable(tmp_path: Path) -> None:
    value = {
        "name": "The catalogue",
        "price": 1.50,
        "open": True,
        "nothing": None,
        "owner": {"first name": "Ada", "tags": ["a", "b"]},
        "plans": [{"plan": "Pro", "usd": 5}, {"plan": "Free"}],
        "steps": [{"do": "one", "with": ["x"]}, {"do": "two", "with": []}],
    }
    text = json.dumps(value).replace("1.5", "1.50")
    found = document(written(tmp_path, "a.json", text))
    assert found.title == "The catalogue"
    assert found.text == (
        "- name: The catalogue\n- price: 1.50\n- open: true\n\n"
        "## owner\n\n- first name: Ada\n\n### tags\n\n- a\n- b\n\n"
        "## plans\n\n| plan | usd |\n| --- | --- |\n| Pro | 5 |\n| Free |  |\n\n"
        "## steps\n\n\n### steps 1\n\n- do: one\n\n#### with\n\n- x\n\n### steps 2\n\n- do: two"
    )


def test_json_lines_under_the_name_of_json_and_the_other_way(tmp_path: Path) -> None:
    lines = '{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'
    assert len(read(written(tmp_path, "a.json", lines)).documents) == 2
    pretty = '[\n  {\n    "id": "a",\n    "text": "one"\n  }\n]\n'
    assert document(written(tmp_path, "a.jsonl", pretty)).sources == ("a.jsonl#a",)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"a": 1,}', "line 1, column"),
        ("[" * 100_000, "too deep"),
        ('{"a": ' * 300 + "1" + "}" * 300, "200 deep"),
        ("{}", "empty of text"),
    ],
)
def test_json_that_cannot_be_read(tmp_path: Path, content: str, words: str) -> None:
    assert words in failure(written(tmp_path, "a.json", content))
