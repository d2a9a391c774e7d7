"""The reader of PDF."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from made_files import document, failure, pdf, pdf_table, written


def test_pdf_pages_hyphens_and_wrapped_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "report.pdf",
        pdf(
            [
                "The first page explains, with one clear exam-",
                "ple after another, how a line that is wrapped",
                "goes on below. The state-of-the-art is shown.",
                "Short end.",
                "A new paragraph about the Anti-",
                "American and the GPT-",
                "4 model.",
            ],
            [],
            ["The third page."],
            title="Annual report",
        ),
    )
    found = document(path)
    assert found.title == "Annual report"
    first = (
        "The first page explains, with one clear example after another, how a line that is wrapped "
        "goes on below. The state-of-the-art is shown.\nShort end.\n\n"
        "A new paragraph about the Anti-American and the GPT-4 model."
    )
    assert found.text == f"{first}\n\nThe third page."
    assert found.page_starts == (0, len(first), len(first) + 2)


def test_pdf_with_an_empty_first_page_begins_at_zero(tmp_path: Path) -> None:
    found = document(written(tmp_path, "a.pdf", pdf([], ["Text."])))
    assert (found.text, found.page_starts, found.title) == ("Text.", (0, 0), "A")


def test_pdf_sentence_over_two_pages_is_no_paragraph_end(tmp_path: Path) -> None:
    found = document(written(tmp_path, "a.pdf", pdf(["It goes on and"], ["on to the end."])))
    assert (found.text, found.page_starts) == ("It goes on and\non to the end.", (0, 15))


def test_pdf_that_cannot_be_read(tmp_path: Path) -> None:
    whole = pdf(["text"])
    assert "no PDF" in failure(written(tmp_path, "corrupt.pdf", b"%PDF-1.7 " + b"x" * 500))
    assert "no PDF" in failure(written(tmp_path, "cut.pdf", whole[:200]))
    assert "OCR" in failure(written(tmp_path, "scan.pdf", pdf([], [])))
    assert "password" in failure(written(tmp_path, "locked.pdf", pdf(["x"], password="secret")))


def test_pdfs_are_read_in_threads(tmp_path: Path) -> None:
    paths = [written(tmp_path, f"{n}.pdf", pdf(*[[f"File {n}."]] * 20)) for n in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(document, paths))
    for number, each in enumerate(found):
        assert each.text == "\n\n".join([f"File {number}."] * 20)


def test_pdf_table_is_rows_under_its_names(tmp_path: Path) -> None:
    rows = [["Part", "Stock", "Price"], ["Bolt", "7", "$1"], ["Nut", "", "$2"], ["Cog", "9", ""]]
    found = document(written(tmp_path, "a.pdf", pdf_table(*rows)))
    assert found.text == (
        "| Part | Stock | Price |\n| --- | --- | --- |\n| Bolt | 7 | $1 |\n| Nut |  | $2 |\n"
        "| Cog | 9 |  |"
    )


@pytest.mark.parametrize("repeat_header", [True, False])
def test_pdf_table_over_many_pages_names_its_columns_in_every_row(
    tmp_path: Path, repeat_header: bool
) -> None:
    rows = [["Part", "Stock", "Price"], *([f"P{n}", str(n), f"${n}.00"] for n in range(400))]
    made = pdf_table(*rows, repeat_header=repeat_header)
    found = document(written(tmp_path, "a.pdf", made))
    assert len(found.page_starts) > 5
    lines = set(found.text.split("\n"))
    assert {f"| Part: P{n} | Stock: {n} | Price: ${n}.00 |" for n in range(400)} <= lines


def test_pdf_form_is_not_read_as_a_table_with_names(tmp_path: Path) -> None:
    form = [["Name", "Ada", "City", "Paris"], ["Phone", "12 34", "Zip", "75001"]]
    text = document(written(tmp_path, "a.pdf", pdf_table(*form))).text
    assert text == "| Name | Ada | City | Paris |\n| Phone | 12 34 | Zip | 75001 |"
    bold = [0, 2]  # the columns of the labels
    more = [*form, ["Fax", "12 35", "Box", "17"]]
    text = document(written(tmp_path, "b.pdf", pdf_table(*more, bold_columns=bold))).text
    assert text.startswith("| Name | Ada | City | Paris |\n| Phone")


def test_pdf_prose_in_two_columns_stays_prose(tmp_path: Path) -> None:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import BaseDocTemplate, Frame, PageTemplate, Paragraph

    words = " ".join(f"Sentence number {n} says that the answer is {n}." for n in range(120))
    frames = [Frame(40, 40, 250, 760), Frame(310, 40, 250, 760)]
    template = BaseDocTemplate(str(tmp_path / "a.pdf"))
    template.addPageTemplates(PageTemplate(frames=frames))
    template.build([Paragraph(words, getSampleStyleSheet()["BodyText"])])
    text = document(tmp_path / "a.pdf").text
    assert "|" not in text
    assert " ".join(text.split()) == words


def test_pdf_numbered_paragraphs_are_no_table(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "a.pdf"))
    for row in range(4):
        canvas.drawString(72, 700 - 20 * row, f"{row + 1}.")
        canvas.drawString(144, 700 - 20 * row, "The supplier shall deliver.")
    canvas.save()
    text = document(tmp_path / "a.pdf").text
    assert "|" not in text
    assert "2. The supplier shall deliver." in text
