"""What holds for files of every format."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from made_files import document, failure, read, written

from indexing.identity import content_version, document_id_for
from indexing.readers.by_extension import SUPPORTED_EXTENSIONS
from indexing.readers.limits import ReadLimits
from indexing.readers.titles import title_from_name, told_title
from rag.errors import DocumentError, GoneError

ROOT = Path(__file__).resolve().parents[2]


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
    message = failure(written(tmp_path, "a.rst", "some text"))
    assert ".rst" in message
    assert all(extension in message for extension in SUPPORTED_EXTENSIONS)
    assert "no extension" in failure(written(tmp_path, "Makefile", "x"))


def test_size_limit(tmp_path: Path) -> None:
    path = written(tmp_path, "a.TXT", "x" * 11)
    message = failure(path, ReadLimits(max_file_bytes=10))
    assert message == (
        "a.TXT has 11 bytes, the limit is 10: split it or raise ingestion.max_file_bytes"
    )
    assert read(path, limits=ReadLimits(max_file_bytes=11)).documents
    with open(tmp_path / "huge.pdf", "wb") as sparse:
        sparse.truncate(500_000_000)
    assert "has 500000000 bytes" in failure(tmp_path / "huge.pdf")


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(GoneError, match=r"gone\.md cannot be opened"):
        read(tmp_path / "gone.md")
    (tmp_path / "folder.md").mkdir()
    assert "no ordinary file" in failure(tmp_path / "folder.md")
    os.mkfifo(tmp_path / "pipe.md")
    assert "no ordinary file" in failure(tmp_path / "pipe.md")
    (tmp_path / "loop.md").symlink_to(tmp_path / "loop.md")
    assert "symbolic links" in failure(tmp_path / "loop.md")
    written(tmp_path, "file", "x")
    assert "Not a directory" in failure(tmp_path / "file" / "a.md")
    with pytest.raises(DocumentError, match="null byte"):
        read(tmp_path / "nul\0.md")


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
    parsers = [
        "bs4", "charset_normalizer", "lxml", "mammoth", "markdownify", "olefile", "pptx",
        "pypdfium2", "python_calamine", "yaml",
    ]  # fmt: skip
    code = (
        "import sys, indexing.readers.by_extension\n"
        f"print([name for name in {parsers} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
