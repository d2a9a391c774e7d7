"""Files that are not what their names say, that are damaged, or that were made to do harm."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import FindData
from made_files import (
    SMALL_DOCX,
    document,
    docx,
    eml,
    epub,
    failure,
    pdf,
    pptx,
    read,
    written,
    xlsx,
    zipped,
)  # fmt: skip

from indexing.readers.limits import ReadLimits
from indexing.sentences import find_blocks
from rag.errors import DocumentError
from rag.sources import ReadResult

PAGE = "<!doctype html><html><title>A page</title><body><p>Read as a page.</p></body></html>"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.txt", pdf(["Read as a PDF."]), "Read as a PDF."),
        ("a.html", docx(), "# Warranty\n"),
        ("a.docx", PAGE, "Read as a page."),
        ("a.md", zipped({"b.md": "Read as a member."}), "Read as a member."),
        ("a.pdf", xlsx({"S": [["Name", "Age"], ["Ada", 36]]}), "## S\n\n| Name | Age |"),
        ("a.xls", "Name\tAge\nAda\t36\n", "| Name | Age |\n"),
        ("a.xls", PAGE, "Read as a page."),
        ("a.docx", pptx(), "## Roadmap"),
        ("a.zip", epub({"one": "<p>Read as a book.</p>"}), "Read as a book."),
        ("a.csv", PAGE, "Read as a page."),
        ("a.docx", "hello", "hello"),
        ("a.php", PAGE, "Read as a page."),
        ("LICENSE", pdf(["Read as a PDF."]), "Read as a PDF."),
    ],
)
def test_mislabelled_files_are_read_as_what_they_are(
    tmp_path: Path, name: str, content: str | bytes, text: str
) -> None:
    assert document(written(tmp_path, name, content)).text.startswith(text)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.pdf", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "is really a PNG image"),
        ("a.txt", b"\xff\xd8\xff\xe0" + b"\0" * 50, "is really a JPEG image"),
        ("a.md", b"\x1f\x8b\x08" + b"\0" * 50, "is really a gzip archive"),
        ("a.docx", b"{\\rtf1 hello}", "is really an RTF document: save it as .docx"),
        ("a.docx", zipped({"mimetype": "application/vnd.oasis.opendocument.text"}),
         "is really an OpenDocument text: save it as .docx"),
        ("a.pdf", b"\0\0\0\x20ftypmp42" + b"\0" * 50, "is really an MP4 video"),
    ],
)  # fmt: skip
def test_mislabelled_files_of_no_supported_format(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    assert words in failure(written(tmp_path, name, content))


def test_the_ending_of_the_source_tells_the_format_else_that_of_the_path(tmp_path: Path) -> None:
    path = written(tmp_path, "upload", "# Head")
    assert document(path, "https://a.test/guide.md?x=1#top").title == "Head"
    named = written(tmp_path, "fetched.csv", "a,b\n1,2\n")
    assert document(named, "https://a.test/export").text.startswith("| a | b |")


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = "caf\udce9.md"
    found = document(written(tmp_path, name, "A text"))
    assert found.sources == (name,)
    assert found.title == "Caf\ufffd"
    with pytest.raises(DocumentError) as caught:
        read(written(tmp_path, "b\udce9.md", ""))
    str(caught.value).encode()


def quickly(path: Path) -> ReadResult | None:
    """What is read, or None for a DocumentError; and nothing of it takes long to cut."""
    started = time.perf_counter()
    try:
        result = read(path)
    except DocumentError:
        failure(path)
        return None
    for each in result.documents:
        find_blocks(each.text)
    assert time.perf_counter() - started < 30
    return result


LINES: dict[str, Callable[[int], str]] = {
    "words": lambda n: "word " * (n // 5),
    "letters": lambda n: "a" * n,
    "hashes": lambda n: "#" * n,
    "pipes": lambda n: "|" * n,
    "tags": lambda n: "<a>" * (n // 3),
    "comments": lambda n: "<!--" * (n // 4),
    "stars": lambda n: "# " + "*" * n,
    "brackets": lambda n: "# " + "[" * n,
    "braces": lambda n: "# x {#" * (n // 6),
    "dashes": lambda n: "-" * n,
    "quotes": lambda n: '"' * n,
    "commas": lambda n: "," * n + "x",
    "spaces": lambda n: "x" + " " * n + "x",
    "entities": lambda n: "&amp" * (n // 4),
    "dots": lambda n: "a. " * (n // 3),
}


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("extension", [".md", ".txt", ".html", ".csv", ".json", ".jsonl", ".xml"])
def test_a_line_of_many_characters(tmp_path: Path, extension: str, line: str) -> None:
    quickly(written(tmp_path, f"a{extension}", "x, y\n" + LINES[line](300_000)))


@pytest.mark.parametrize("extension", [".md", ".txt", ".html", ".csv"])
def test_a_line_of_ten_megabytes(tmp_path: Path, extension: str) -> None:
    result = quickly(written(tmp_path, f"a{extension}", LINES["words"](10_000_000)))
    assert result is not None
    assert result.documents[0].text.endswith("word " * 1_999_998 + "word")


@pytest.mark.parametrize(
    ("extension", "content"),
    [
        (".html", "<div>" * 10_000 + "x"),
        (".html", "<table><tr><td>" * 2_000 + "x"),
        (".html", "<ul><li>" * 2_000 + "x"),
        (".html", "<table>" + "<tr><td rowspan=1000 colspan=1000>x" * 300),
        (".md", "> " * 100_000 + "x"),
        (".md", "---\n" + "a: " * 10_000 + "\n---\nx"),
        (".md", "---\n" + "&a [" * 5_000 + "\n---\nx"),
        (".json", '{"a":' * 100_000),
        (".json", "[" + "{}," * 100_000 + '{"a": 1}]'),
        (".json", "[" + ",".join(f'{{"k{n}": {n}}}' for n in range(20_000)) + "]"),
        (".csv", "," * 1_000_000 + "x\n" + "y\n" * 100),
        (".csv", '"' + "x\n" * 500_000),
        (".eml", "From: a\n" * 20_000 + "\ntext"),
        (".txt", "\0\ud83d x".encode("utf-8", "surrogatepass").decode("utf-8", "replace")),
    ],
)
def test_nesting_and_repetition(tmp_path: Path, extension: str, content: str) -> None:
    quickly(written(tmp_path, f"a{extension}", content))


def test_nul_bytes_and_lone_surrogates_never_come_out(tmp_path: Path) -> None:
    path = written(tmp_path, "a.json", '{"a\\u0000": "x\\ud800y\\u0000", "b": "z"}')
    text = document(path).text
    assert text == "- a: x\ufffdy\n- b: z"
    text.encode()


def damaged(raw: bytes, seed: int) -> bytes:
    """`raw` with some bytes changed, or cut short."""
    chooser = random.Random(seed)
    if seed % 4 == 0:
        return raw[: chooser.randrange(len(raw))]
    broken = bytearray(raw)
    for _ in range(chooser.choice([1, 3, 20])):
        broken[chooser.randrange(len(raw))] = chooser.randrange(256)
    return bytes(broken)


MADE: dict[str, Callable[[], bytes]] = {
    ".docx": lambda: zipped(SMALL_DOCX),
    ".epub": lambda: epub({"one": "<h1>One</h1><p>First</p>"}),
    ".eml": lambda: eml(("a.pdf", pdf(["text"])), html="<p>x</p>"),
    ".pdf": lambda: pdf(["One line", "and another"], ["A second page"], title="T"),
    ".pptx": pptx,
    ".xlsx": lambda: xlsx({"S": [["Name", "Age"], ["Ada", 36]]}),
    ".zip": lambda: zipped({"a.md": "# A", "b.txt": "B", "c.json": '{"a": 1}'}),
}
LIMITS = ReadLimits(max_unpacked_bytes=20_000_000, max_cells=100_000)


def test_the_files_to_damage_are_good(tmp_path: Path) -> None:
    for extension, make in MADE.items():
        assert read(written(tmp_path, f"a{extension}", make())).failed == []


@pytest.mark.parametrize("extension", MADE)
def test_damaged_files_are_read_or_refused(tmp_path: Path, extension: str) -> None:
    raw = MADE[extension]()
    for seed in range(200):
        path = written(tmp_path, f"a{extension}", damaged(raw, seed))
        with contextlib.suppress(DocumentError):
            assert read(path, limits=LIMITS)


@pytest.mark.parametrize("name", ["test.xls", "test_outlook_msg.msg", "test.pdf"])
def test_damaged_real_files_are_read_or_refused(
    tmp_path: Path, find_data: FindData, name: str
) -> None:
    raw = (find_data("files_office") / name).read_bytes()
    for seed in range(200):
        path = written(tmp_path, f"a{Path(name).suffix}", damaged(raw, seed))
        with contextlib.suppress(DocumentError):
            assert read(path, limits=LIMITS)
