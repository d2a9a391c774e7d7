"""The reader of web pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_files import document, failure, written

from rag.errors import DocumentError

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


def test_html_cells_that_span_rows_are_repeated(tmp_path: Path) -> None:
    table = (
        "<table><tr><th>Plan<th>Month<th>Price<tr><td rowspan=2>Pro<td>May<td>$5"
        "<tr><td>June<td>$6<tr><td>Free<td>May<td rowspan=9>$0</table>end"
    )
    assert document(written(tmp_path, "a.html", table)).text == (
        "| Plan | Month | Price |\n| --- | --- | --- |\n| Pro | May | $5 |\n| Pro | June | $6 |\n"
        "| Free | May | $0 |\n\nend"
    )


def test_html_long_table_names_its_columns_in_every_row(tmp_path: Path) -> None:
    rows = "".join(f"<tr><td>P{n}<td>${n}" for n in range(200))
    named = f"<table><tr><th>Plan<th>Price{rows}</table>"
    lines = document(written(tmp_path, "a.html", named)).text.split("\n")
    assert lines == [f"| Plan: P{n} | Price: ${n} |" for n in range(200)]
    pairs = "".join(f"<tr><th>Name {n}<td>value {n}" for n in range(200))
    text = document(written(tmp_path, "b.html", f"<table>{pairs}</table>")).text
    assert "| Name 7 | value 7 |" in text


def test_html_with_a_few_bytes_that_are_not_of_its_encoding(tmp_path: Path) -> None:
    page = "<meta charset=utf-8><p>" + "Grüße und Küsse. " * 100 + "</p>"
    broken = page.encode().replace("ü".encode(), b"\xfc", 1)
    text = document(written(tmp_path, "a.html", broken)).text
    assert text.startswith("Gr\ufffdße und Küsse. Grüße")
