"""The readers, on files made here and on real ones."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from indexing.identity import content_version, document_id_for
from indexing.readers.by_extension import SUPPORTED_EXTENSIONS, FileReader, discover
from indexing.readers.titles import title_from_name, told_title
from rag.errors import DocumentError, InputError
from rag.ports import Reader
from rag.types import Document, ReadResult

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("RAG_TEST_DATA", ROOT.parent / "shared" / "data"))
OFFICE = DATA / "files_office"
needs_office = pytest.mark.skipif(
    not OFFICE.is_dir(), reason=f"the trial files are not at {OFFICE}: set RAG_TEST_DATA"
)


def read(path: Path, source: str | None = None) -> ReadResult:
    reader: Reader = FileReader()
    return reader.read(path, "help", source or path.name)


def document(path: Path, source: str | None = None) -> Document:
    result = read(path, source)
    assert result.failed == []
    (only,) = result.documents
    return only


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def failure(path: Path) -> str:
    with pytest.raises(DocumentError) as caught:
        read(path)
    message = str(caught.value)
    assert path.name in message
    assert ": " in message
    assert "\n" not in message
    return message


def pdf(*pages: list[str], title: str | None = None, password: str | None = None) -> bytes:
    from reportlab.lib.pdfencrypt import StandardEncryption
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    encryption = StandardEncryption(password, "owner") if password else None
    canvas = Canvas(buffer, encrypt=encryption)
    if title:
        canvas.setTitle(title)
    for lines in pages:
        canvas.rect(100, 100, 200, 200)
        for row, line in enumerate(lines):
            canvas.drawString(72, 750 - 14 * row, line)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


# Markdown


def test_markdown_is_kept_and_front_matter_is_taken_out(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "refund_policy.md",
        "\ufeff---\r\ntitle: Refunds\r\ndescription: How to pay back\r\nupdated: 2024-05-01\r\n"
        "tags: [a, b]\r\nlevel: 2\r\nsidebar_position: 7\r\n---\r\n\r\n# Money back\r\n\r\n"
        "Within *30* days, see [terms](terms.md).\r\n",
    )
    found = document(path)
    assert found.text == "# Money back\n\nWithin *30* days, see [terms](terms.md)."
    assert found.title == "Refunds"
    assert found.metadata == {"description": "How to pay back", "updated": "2024-05-01", "level": 2}
    assert (found.collection, found.sources) == ("help", ("refund_policy.md",))
    assert found.document_id == document_id_for("refund_policy.md")
    assert found.page_starts == ()


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# The `rag` *tool*\n\ntext", "The rag tool"),
        ("```\n# a comment\n```\n\n# Real\n", "Real"),
        ("Setup guide\n===========\n\ntext", "Setup guide"),
        ("---\ntitle: Helm: a story\n---\ntext", "Helm: a story"),
        ("## Only a second level\n\ntext", "My file"),
        ("# snake_case_name and [a link](x.md)\n", "snake_case_name and a link"),
    ],
)
def test_title_of_markdown(tmp_path: Path, text: str, title: str) -> None:
    assert document(written(tmp_path, "my-file.md", text)).title == title


def test_mdx_loses_what_only_the_site_generator_reads(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "a.mdx",
        "import Tabs from '@theme/Tabs';\nimport {\n  One,\n  Two\n} from './parts';\n\n"
        "export const answer = 42;\n\n# Install {#install}\n\n<Tabs>\n"
        '<TabItem value="mac" label="Mac">\n\nRun it.\n\n</TabItem>\n</Tabs>\n\n<Video />\n\n'
        "{/* a note */}\n<!-- hidden\nstill hidden --> shown `<!-- code -->` <!-- x -->end\n\n"
        "import the chart by hand.\n\n```js\nimport x from 'y'\n<Tabs>\n<!-- kept -->\n\n\n```\n",
    )
    assert document(path).text == (
        "# Install\n\nRun it.\n\n shown `<!-- code -->` end\n\nimport the chart by hand.\n\n"
        "```js\nimport x from 'y'\n<Tabs>\n<!-- kept -->\n\n\n```"
    )


def test_markdown_that_only_looks_like_front_matter_or_comment_stays(tmp_path: Path) -> None:
    text = "---\nJust a line between rules.\n---\n\nAn arrow <!-- that never closes.\n\nEnd."
    assert document(written(tmp_path, "a.md", text)).text == text


def test_underlined_headings_become_lines_with_hashes(tmp_path: Path) -> None:
    text = "Top\n===\n\nSub\n---\n\npara\n\n---\n\n| a |\n| - |\n\n- item\n---\n"
    expected = "# Top\n\n## Sub\n\npara\n\n---\n\n| a |\n| - |\n\n- item\n---"
    assert document(written(tmp_path, "a.md", text)).text == expected


# Text and encodings


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Grüße 日本"),
        ("utf-8-sig", "Grüße 日本"),
        ("utf-16", "Grüße 日本"),
        ("utf-16-le", "Plain English without a mark"),
        ("utf-32", "Grüße"),
        ("cp1252", "Das Café öffnet um neun. Preis: 5 €."),
        ("cp1252", "Le garçon a mangé à la crémerie près de l’hôtel. Où êtes-vous?"),
        ("cp932", "こんにちは、返金は三十日以内に可能です。"),
        ("cp932", "Set the key. API キー: abc123 を設定してください。"),
        ("gb18030", "退款政策：三十天内可以退款。请联系客服。"),
        ("cp1251", "Возврат средств возможен в течение 30 дней."),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, text: str) -> None:
    assert document(written(tmp_path, "a.txt", text.encode(encoding))).text == text


def test_text_is_normalised(tmp_path: Path) -> None:
    path = written(tmp_path, "a.txt", "\n\nCafe\u0301\x00\x07 a\u00adb\u200b\xa0c  \r\nd\re\ff\n\n")
    assert document(path).text == "Caf\u00e9 ab c\nd\ne\nf"


def test_binary_under_a_text_name_is_refused(tmp_path: Path) -> None:
    noise = bytes(range(256)) * 40
    assert "UTF-8" in failure(written(tmp_path, "a.txt", noise))


# HTML


PAGE = """<?xml version="1.0"?><!DOCTYPE html><html><head><title>Billing | Acme</title>
<style>p {color: red}</style><script>alert(1)</script></head><body>
<header><nav><a href="/">Home</a></nav></header>
<main><h1>Billing <a class="headerlink" href="#b">¶</a></h1>
<p>Pay <b>by card</b> or <a href="https://acme.test/iban">transfer</a>, use my_var * 2.</p>
<h2>Fees</h2><ul><li>Card<ul><li>Visa</li></ul></li><li>Cash</li></ul>
<table><tr><th>Plan</th><th>Price</th></tr><tr><td>Pro</td><td>$5</td></tr></table>
<pre><code class="language-python">def f():
    return 1</code></pre>
<p hidden>secret</p><div style="display:none">secret</div>
<img src="http://x.test/a.png" alt="chart">
<form><label>Subscribe</label><input value="x"></form><aside>Related</aside></main>
<footer>Imprint</footer></body></html>"""


def test_html_keeps_the_main_content_as_markdown(tmp_path: Path) -> None:
    found = document(written(tmp_path, "billing.html", PAGE))
    assert found.title == "Billing"
    assert found.text == (
        "# Billing\n\nPay by card or transfer, use my_var * 2.\n\n## Fees\n\n"
        "- Card\n  - Visa\n- Cash\n\n| Plan | Price |\n| --- | --- |\n| Pro | $5 |\n\n"
        "```python\ndef f():\n    return 1\n```\n\nchart"
    )


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>a</p><nav>menu</nav><p>long enough</p>", "a\n\nlong enough"),
        ("<form><p>An old page in a form.</p></form>", "An old page in a form."),
        ("<body><article>One</article><article>Two</article></body>", "One\n\nTwo"),
        ("<table><tr><td><h2>T</h2><table><tr><td>in</td></tr></table></td></tr></table>",
         "## T\n\n| in |\n| --- |"),
        ("<head><title>t</title><body><p>one<p>two <b>three<ul><li>a<li>b<ul><li>c</ul></ul>four",
         "one\n\ntwo three\n\n- a\n- b\n  - c\n\nfour"),
        ("<table><tr><th>A<th>B<tr><td>1<td>2<tr><td>3<td>4</table>end",
         "| A | B |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n\nend"),
        ("<dl><dt>term<dd>meaning<dt>next<dd>other</dl>",
         "term\n:   meaning\n\nnext\n:   other"),
        ("<p>" * 3000 + "deep", "deep"),
        ("<h3><button>Can I pay later?</button></h3><div role=region hidden>Yes.</div>",
         "### Can I pay later?\n\nYes."),
        ("<p>10<sup>6</sup> and 1<sup>st</sup></p>", "10^6 and 1st"),
        ("<article>Teaser</article><p>The page itself, which is a good deal longer.</p>",
         "Teaser\n\nThe page itself, which is a good deal longer."),
        ("no tag at all", "no tag at all"),
        ("https://acme.test/page", "https://acme.test/page"),
        ("a<br>b", "a\nb"),
        ("<p>a < b &amp; c", "a < b & c"),
    ],
)  # fmt: skip
def test_html_of_all_sorts(tmp_path: Path, html: str, text: str) -> None:
    assert document(written(tmp_path, "a.htm", html)).text == text


def test_html_title_and_declared_encoding(tmp_path: Path) -> None:
    page = '<meta charset="iso-8859-2"><title>Zażółć  gęślą\n jaźń</title><p>Łódź</p>'
    found = document(written(tmp_path, "a.html", page.encode("iso-8859-2")))
    assert (found.title, found.text) == ("Zażółć gęślą jaźń", "Łódź")


def test_html_nested_too_deep_is_a_document_error(tmp_path: Path) -> None:
    assert "HTML" in failure(written(tmp_path, "deep.html", "<div>" * 5000 + "x"))


@pytest.mark.parametrize("hostile", ["<!-- ", "<a ", "<a b='", "<textarea>", "<nav>"])
def test_html_that_would_keep_a_slow_parser_busy_for_hours(tmp_path: Path, hostile: str) -> None:
    path = written(tmp_path, "a.html", "<p>text</p>" + hostile * 100_000)
    try:
        assert document(path).text.startswith("text")
    except DocumentError:
        failure(path)


def test_html_long_numbered_list_is_read_with_bullets(tmp_path: Path) -> None:
    path = written(tmp_path, "a.html", "<ol>" + "<li>x" * 1001 + "</ol><ol><li>y</ol>")
    assert document(path).text == "- x\n" * 1001 + "\n1. y"


# Word


def docx(title: str = "") -> bytes:
    import docx

    made = docx.Document()
    made.core_properties.title = title
    made.add_heading("Warranty", level=1)
    made.add_paragraph("Two years on every part.")
    made.add_heading("Limits", level=2)
    made.add_paragraph("Batteries", style="List Bullet")
    table = made.add_table(rows=2, cols=2)
    for cell, text in zip((c for r in table.rows for c in r.cells), "ABCD", strict=True):
        cell.text = text
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def test_docx(tmp_path: Path) -> None:
    found = document(written(tmp_path, "w.docx", docx()))
    assert found.title == "Warranty"
    assert found.text == (
        "# Warranty\n\nTwo years on every part.\n\n## Limits\n\n- Batteries\n\n"
        "| A | B |\n| --- | --- |\n| C | D |"
    )
    assert document(written(tmp_path, "t.docx", docx("Terms & more"))).title == "Terms & more"
    assert document(written(tmp_path, "u.docx", docx("Untitled.docx"))).title == "Warranty"


def test_docx_that_is_none(tmp_path: Path) -> None:
    whole = docx()
    assert "Word" in failure(written(tmp_path, "cut.docx", whole[: len(whole) // 2]))
    assert "Word" in failure(written(tmp_path, "text.docx", "hello"))
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as other:
        other.writestr("a.txt", "no document")
    assert "Word" in failure(written(tmp_path, "zip.docx", package.getvalue()))


def test_docx_that_unpacks_to_too_much(tmp_path: Path) -> None:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as bomb:
        for number in range(51):
            bomb.writestr(f"word/{number}.xml", b"\0" * 10_000_000)
    assert "510000000 bytes" in failure(written(tmp_path, "bomb.docx", package.getvalue()))


# PDF


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


# JSON Lines


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
        "line-18": "UTF-8",
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


# Any file


@pytest.mark.parametrize("extension", SUPPORTED_EXTENSIONS)
@pytest.mark.parametrize("content", [b"", b" \n\t\r\n"])
def test_empty_files(tmp_path: Path, extension: str, content: bytes) -> None:
    assert "is empty" in failure(written(tmp_path, f"a{extension}", content))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.md", "---\ntitle: x\n---\n"), ("a.html", "<html><body><img src=x></body></html>")],
)
def test_files_with_markup_alone_are_empty(tmp_path: Path, name: str, content: str) -> None:
    assert "is empty" in failure(written(tmp_path, name, content))


def test_unsupported_extension_names_the_supported_ones(tmp_path: Path) -> None:
    message = failure(written(tmp_path, "a.rst", "x"))
    assert ".rst" in message
    assert all(extension in message for extension in SUPPORTED_EXTENSIONS)
    assert "no extension" in failure(written(tmp_path, "Makefile", "x"))


def test_size_limit(tmp_path: Path) -> None:
    path = written(tmp_path, "a.TXT", "x" * 11)
    with pytest.raises(DocumentError, match=r"a\.TXT has 11 bytes, the limit is 10: split"):
        FileReader(max_file_bytes=10).read(path, "c", "a.TXT")
    assert FileReader(max_file_bytes=11).read(path, "c", "a.TXT").documents


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    assert "opened" in failure(tmp_path / "gone.md")
    (tmp_path / "folder.md").mkdir()
    assert "no ordinary file" in failure(tmp_path / "folder.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert "no ordinary file" in failure(tmp_path / "pipe.md")


def test_version_follows_content_and_not_the_name_of_the_file(tmp_path: Path) -> None:
    one = document(written(tmp_path, "one.md", "Same text.\n"))
    two = document(written(tmp_path, "two.txt", "Same text.\r\n"))
    assert one.version == two.version
    assert (one.title, two.title) == ("One", "Two")
    assert one.document_id != two.document_id
    titled = document(written(tmp_path, "one.md", "---\ntitle: One\n---\nSame text.\n"))
    assert titled.version != one.version


def test_identity() -> None:
    assert re.fullmatch(r"doc_[0-9a-f]{16}", document_id_for("a.md"))
    assert document_id_for("a.md") != document_id_for("b.md")
    assert document_id_for("\udcff.md")
    version = content_version("t", "x", {"a": 1, "b": "2"})
    assert re.fullmatch(r"[0-9a-f]{32}", version)
    assert version == content_version("t", "x", {"b": "2", "a": 1})
    others = [("t", "x", {"a": 1}), (None, "x", {}), ("", "x", {}), ("t", "x", {"a": True})]
    assert len({content_version(*other) for other in others}) == 4


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ("docs/getting_started.md", "Getting started"),
        ("https://acme.test/help/how%20to-pay.html?x=1#top", "How to pay"),
        ("API.txt", "API"),
        ("https://acme.test", "https://acme.test"),
    ],
)
def test_title_from_name(source: str, title: str) -> None:
    assert title_from_name(source).casefold() == title.casefold()


@pytest.mark.parametrize("told", ["", "  ", "untitled", "(anonymous)", "a.docx", "Document1"])
def test_titles_that_programs_write(told: str) -> None:
    assert told_title(told) is None
    assert told_title("Microsoft Word - Leave policy") == "Leave policy"


def test_importing_the_readers_imports_no_parser() -> None:
    parsers = ["bs4", "charset_normalizer", "mammoth", "markdownify", "pypdfium2", "yaml"]
    code = (
        "import sys, indexing.readers.by_extension\n"
        f"print([name for name in {parsers} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


# Discovery


def test_discover(tmp_path: Path) -> None:
    for name in ["b.md", "a.txt", "x.rst", ".hidden.md", "C.HTML"]:
        written(tmp_path, name, "x")
    for folder in ["sub/deep", ".git", "sub/.cache"]:
        (tmp_path / folder).mkdir(parents=True)
        written(tmp_path / folder, "d.md", "x")
    (tmp_path / "sub" / "loop").symlink_to(tmp_path)
    (tmp_path / "alias").symlink_to(tmp_path / "sub")
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere.md")
    inside = ["C.HTML", "a.txt", "b.md", "sub/deep/d.md"]
    assert discover([tmp_path]) == [tmp_path / name for name in inside]
    named = [tmp_path / "x.rst", tmp_path / "a.txt", tmp_path, tmp_path / ".hidden.md"]
    assert discover(named) == sorted([tmp_path / name for name in [*inside, "x.rst", ".hidden.md"]])
    assert discover([]) == []


def test_discover_follows_a_link_to_a_folder_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "here").mkdir()
    written(tmp_path / "elsewhere", "a.md", "x")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert discover([tmp_path / "here"]) == [tmp_path / "here" / "link" / "a.md"]


def test_discover_refuses_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere does not exist: name"):
        discover([tmp_path / "nowhere"])


# Real files


def words(text: str) -> Counter[str]:
    return Counter(re.findall(r"\w+", text.lower()))


def recall(expected: str, found: str) -> float:
    wanted = words(expected)
    return (wanted & words(found)).total() / wanted.total()


@needs_office
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
def test_real_pdf_holds_the_words_of_its_reference(name: str, least: float) -> None:
    found = document(OFFICE / f"{name}.pdf")
    expected = (OFFICE / "expected_outputs" / f"{name}.md").read_text(encoding="utf-8")
    assert recall(expected, found.text) >= least
    assert all(0 <= start <= len(found.text) for start in found.page_starts)


@needs_office
def test_real_scan_is_refused() -> None:
    assert "OCR" in failure(OFFICE / "MEDRPT-2024-PAT-3847_medical_report_scan.pdf")


@needs_office
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
def test_real_pages(name: str, title: str, kept: list[str], dropped: list[str]) -> None:
    found = document(OFFICE / name)
    assert found.title.startswith(title)
    assert [piece for piece in kept if piece not in found.text] == []
    assert [piece for piece in dropped if piece in found.text] == []


@needs_office
def test_every_real_file_is_read_or_refused_with_a_reason() -> None:
    for path in discover([OFFICE]):
        try:
            found = document(path)
        except DocumentError:
            failure(path)
        else:
            assert any(map(str.isalnum, found.text))
