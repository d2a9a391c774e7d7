"""Reads any supported file, and finds the files to read."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from indexing.identity import content_version, document_id_for
from indexing.readers.content import Content
from indexing.readers.docx import read_docx
from indexing.readers.html import read_html
from indexing.readers.jsonl import read_jsonl
from indexing.readers.markdown import read_markdown
from indexing.readers.pdf import read_pdf
from indexing.readers.text import read_text
from indexing.readers.titles import title_from_name
from rag.errors import DocumentError, InputError
from rag.types import Document, ReadResult

DEFAULT_MAX_FILE_BYTES = 50_000_000

_READERS: Mapping[str, Callable[[bytes, str], Content]] = {
    ".docx": read_docx,
    ".htm": read_html,
    ".html": read_html,
    ".markdown": read_markdown,
    ".md": read_markdown,
    ".mdx": read_markdown,
    ".pdf": read_pdf,
    ".text": read_text,
    ".txt": read_text,
}
_ROWS = ".jsonl"

SUPPORTED_EXTENSIONS = tuple(sorted([*_READERS, _ROWS]))


class FileReader:
    """The `Reader` for files: chooses the format by the file's extension.

    A file of more than `max_file_bytes`, at least 1, is refused.
    """

    def __init__(self, max_file_bytes: int = DEFAULT_MAX_FILE_BYTES) -> None:
        self._max_file_bytes = max_file_bytes

    def read(self, path: Path, collection: str, source: str) -> ReadResult:
        """One document, or for JSON Lines one for each good row, and the bad rows.

        `source` is what the documents and the messages call the file. Raises DocumentError when
        the file is missing, empty, too large, damaged or of an unsupported format.
        """
        extension = path.suffix.lower()
        if extension not in SUPPORTED_EXTENSIONS:
            found = f"the unsupported extension {extension}" if extension else "no extension"
            raise DocumentError(
                f"{source} has {found}: use one of {' '.join(SUPPORTED_EXTENSIONS)}"
            )
        raw = self._bytes(path, source)
        if not raw.strip():
            raise DocumentError(f"{source} is empty: write something into it, or leave it out")
        if extension == _ROWS:
            return _rows(raw, collection, source)
        content = _READERS[extension](raw, source)
        if not any(map(str.isalnum, content.text)):
            raise DocumentError(
                f"{source} is empty of text, but for markup and images: write some, or leave it out"
            )
        document_id = document_id_for(source)
        return ReadResult([_document(content, collection, document_id, source, source)], [])

    def _bytes(self, path: Path, source: str) -> bytes:
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                raise DocumentError(f"{source} is no ordinary file: name a file")
            with path.open("rb") as file:
                raw = file.read(self._max_file_bytes + 1)
        except OSError as error:
            raise DocumentError(
                f"{source} cannot be opened ({error.strerror}): check its name and its permissions"
            ) from error
        if len(raw) > self._max_file_bytes:
            raise DocumentError(
                f"{source} has {max(status.st_size, len(raw))} bytes, "
                f"the limit is {self._max_file_bytes}: split it or raise the limit"
            )
        return raw


def discover(paths: Sequence[Path]) -> list[Path]:
    """The files under `paths`, sorted, each once.

    Of a folder: the supported files in it and below, hidden ones left out, links to folders
    followed once. A file that is named itself always stays, so that reading it can say what is
    wrong. Raises InputError for a path that does not exist and a folder that cannot be listed.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if not os.path.exists(path):  # unlike Path.exists, False also where it may not be asked
            raise InputError(f"{path} does not exist: name a file or folder that does")
        for file in _files_below(path) if path.is_dir() else [path]:
            found.setdefault(os.path.abspath(file), file)
    return sorted(found.values())


def _files_below(folder: Path) -> list[Path]:
    files: list[Path] = []
    seen: set[tuple[int, int]] = set()
    folders, links = [folder], list[Path]()
    while folders or links:
        # Links last, so that a file goes by its own name and not by that of a link to its folder.
        current = folders.pop() if folders else links.pop()
        try:
            status = current.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in current.iterdir():
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    (links if entry.is_symlink() else folders).append(entry)
                elif entry.suffix.lower() in SUPPORTED_EXTENSIONS and entry.is_file():
                    files.append(entry)
        except OSError as error:
            raise InputError(
                f"{current} cannot be listed ({error.strerror}): check its permissions"
            ) from error
    return files


def _rows(raw: bytes, collection: str, source: str) -> ReadResult:
    rows, failed = read_jsonl(raw, source)
    documents = [
        _document(row.content, collection, row.row_id, f"{source}#{row.row_id}", source)
        for row in rows
    ]
    return ReadResult(documents, failed)


def _document(
    content: Content, collection: str, document_id: str, source: str, file_source: str
) -> Document:
    return Document(
        collection=collection,
        document_id=document_id,
        version=content_version(content.title, content.text, content.metadata),
        title=content.title or title_from_name(file_source),
        text=content.text,
        sources=(source,),
        page_starts=content.page_starts,
        metadata=content.metadata,
    )
