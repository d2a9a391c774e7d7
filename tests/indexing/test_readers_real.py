"""The readers on real files."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from fakes import FindData
from made_files import document, failure, read

from indexing.readers.by_extension import SUPPORTED_EXTENSIONS
from rag.errors import DocumentError


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def recall(expected: str, found: str) -> float:
    wanted = words(expected)
    return (wanted & words(found)).total() / wanted.total()


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("RECEIPT-2024-TXN-98765_retail_purchase", 0.99),
        ("REPAIR-2022-INV-001_multipage", 0.99),
        ("SPARSE-2024-INV-1234_borderless_table", 0.99),
        ("movie-theater-booking-2024", 0.99),
        ("test", 0.97),  # its reference leaves words hyphenated at the ends of lines
    ],
)
def test_real_pdf_holds_the_words_of_its_reference(
    find_data: FindData, name: str, least: float
) -> None:
    office = find_data("files_office")
    found = document(office / f"{name}.pdf")
    expected = (office / "expected_outputs" / f"{name}.md").read_text(encoding="utf-8")
    assert recall(expected, found.text) >= least
    assert all(0 <= start <= len(found.text) for start in found.page_starts)


def test_real_scan_is_refused(find_data: FindData) -> None:
    office = find_data("files_office")
    assert "OCR" in failure(office / "MEDRPT-2024-PAT-3847_medical_report_scan.pdf")


@pytest.mark.parametrize(
    ("name", "title", "kept", "dropped"),
    [
        ("test_blog.html", "Does Model and Inference Parameter Matter in LLM Applications?",
         ["## Experiment Setup", "`flaml.tune`", "top_p: The parameter that controls"],
         ["Recent posts", "Skip to main content", "Copyright"]),
        ("test_wikipedia.html", "Microsoft",
         ["## History", "| Founded | April 4, 1975", "Bill Gates and Paul Allen"],
         ["Main page", "Privacy policy", "\\_"]),
        ("test.docx", "AutoGen: Enabling Next-Gen LLM Applications",
         ["# Abstract", "| 1 | 2 | 3 | 4 | 5 | 6 |"], ["data:image"]),
    ],
)  # fmt: skip
def test_real_pages(
    find_data: FindData, name: str, title: str, kept: list[str], dropped: list[str]
) -> None:
    office = find_data("files_office")
    found = document(office / name)
    assert found.title.startswith(title)
    assert [piece for piece in kept if piece not in found.text] == []
    assert [piece for piece in dropped if piece in found.text] == []


def test_every_real_file_is_read_or_refused_with_a_reason(find_data: FindData) -> None:
    for path in find_data("files_office").rglob("*"):
        if path.suffix in SUPPORTED_EXTENSIONS:
            try:
                found = read(path)
            except DocumentError:
                failure(path)
            else:
                assert found.failed == []
                assert all(any(map(str.isalnum, each.text)) for each in found.documents)


@pytest.mark.parametrize(
    ("name", "pieces"),
    [
        ("test.pptx", ["## A table to test parsing:", "| 7 | 8 | 9 | 1b92870d", "| 2003 | 2003 |"]),
        ("test.xlsx", ["| Alpha: 58 | Beta: 6ff4173b-42a5-4784-9b19-f49caff4d93d | Gamma: 22 |"]),
        ("test.xls", ["## Sheet1", "| Alpha: 89 | Beta: 82 | Gamma: 100 | Delta: 12 |"]),
        ("test_mskanji.csv", ["| 名前 | 年齢 | 住所 |", "| 三木英子 | 25 | 大阪 |"]),
        ("test.epub", ["# Chapter 1: Test Content", "> This is a blockquote"]),
        ("test_outlook_msg.msg", ["# Test Email Message", "test.sender@example.com"]),
        ("test_rss.xml", ["## Ignite 2024: Why nearly 70%", "by Frank X. Shaw"]),
        ("equations.docx", ["sin θ = mλ/a", "= 2.2×10^(-4)"]),
        ("REPAIR-2022-INV-001_multipage.pdf", ["| Body Labor | 2 | 150 | 300 |"]),
        ("SPARSE-2024-INV-1234_borderless_table.pdf",
         ["|  | B-07 |  | 289 | -23 |  |", "| Product Code: SKU-3345 | Category: Electronics |"]),
        ("masterformat_partial_numbering.pdf", ["1. INTENT", ".1 The intent of this Request"]),
    ],
)  # fmt: skip
def test_real_files_of_other_formats(find_data: FindData, name: str, pieces: list[str]) -> None:
    found = document(find_data("files_office") / name)
    assert [piece for piece in pieces if piece not in found.text] == []


def test_real_archive(find_data: FindData) -> None:
    result = read(find_data("files_office") / "test_files.zip")
    assert result.failed == []
    assert [each.sources[0].partition("#")[2] for each in result.documents] == [
        "test.docx", "test.pptx", "test.xlsx", "test_blog.html", "test_serp.html",
        "test_wikipedia.html",
    ]  # fmt: skip
