"""PDF: the text of each page, with hyphenated words and wrapped lines mended, and its tables.

Finds no headings: a PDF does not mark them. Running heads and feet stay in.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from itertools import pairwise

from indexing.readers.content import Content, clean_text, iso_date
from indexing.readers.limits import ReadLimits
from indexing.readers.pdf.tables import Table, page_blocks
from indexing.readers.titles import told_title
from rag.errors import DocumentError


def read_pdf(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Content]:
    """The pages, parted by a blank line; a sentence that runs on is parted by a line break.

    The title is the one in the file's properties. Raises DocumentError when the file is damaged,
    locked by a password, or holds no text.
    """
    pages, told, modified = _extract(raw, source)
    text, page_starts = _join(_told(pages))
    if not text:
        raise DocumentError(
            f"{source} holds no text on its {len(pages)} page(s), as a scan does: "
            "run OCR on it first, for example with `ocrmypdf`"
        )
    yield Content(text, told_title(told), page_starts, dated=_date(modified))


# PDFium is not thread-safe, not even on separate documents.
_PDFIUM = threading.Lock()
_PASSWORD_NEEDED = 4  # FPDF_ERR_PASSWORD

# PDFium writes U+FFFE, formerly U+0002, for a hyphen at the end of a line and drops the line break.
_LINE_END_HYPHEN = re.compile("[\ufffe\x02](?:\r?\n)?")
_HYPHENATED = re.compile(r"[^\W_]-$")
_LAST_WORD = re.compile(r"([^\W\d_]+)-$")
_FIRST_WORD = re.compile(r"[^\W\d_]+")
_SPACES = re.compile(r"[ \t\u2000-\u200a\u3000]+")
_SENTENCE_END = re.compile(r"[.!?:;。！？…][\"'”’)\]]*$")
_ENUMERATOR = re.compile(r"(?:[a-z]|[ivx]{1,4})[.)]\s|o\s")
_PDF_DATE = re.compile(r"D:(\d{8}(?:\d{6})?)(Z|[+-]\d\d'\d\d)?")
_FULL_SHARE = 0.6  # a line at least this long, as a share of the long ones, is one that wrapped


def _extract(raw: bytes, source: str) -> tuple[list[list[str | Table]], str, str]:
    """The raw text and the tables of every page, and from the properties title and last edit."""
    import pypdfium2

    try:
        with _PDFIUM, closing(pypdfium2.PdfDocument(raw)) as document:
            told = document.get_metadata_value("Title")
            modified = document.get_metadata_value("ModDate")
            pages: list[list[str | Table]] = []
            for number in range(len(document)):
                with (
                    closing(document[number]) as page,
                    closing(page.get_textpage()) as text_page,
                ):
                    pages.append(page_blocks(text_page))
    except MemoryError:
        raise
    except Exception as error:
        # PdfiumError for the most part, but a damaged page shows as other things too.
        if getattr(error, "err_code", None) == _PASSWORD_NEEDED:
            raise DocumentError(f"{source} is locked by a password: save it without one") from error
        raise DocumentError(
            f"{source} is damaged or no PDF: open it in a PDF viewer and save it again"
        ) from error
    return pages, clean_text(told), modified


def _date(told: str) -> str:
    """A date as PDF has it, D:20240531101500+02'00', in ISO 8601; empty where it is none."""
    found = _PDF_DATE.match(told)
    if found is None:
        return ""
    digits, zone = found[1].ljust(14, "0"), (found[2] or "Z").replace("'", "")
    return iso_date(f"{digits[:8]}T{digits[8:]}{zone}")


def _told(pages: Sequence[Sequence[str | Table]]) -> Iterator[str]:
    """The text of every page, its tables in their places."""
    last: Table | None = None
    for page in pages:
        parts = []
        for block in page:
            if isinstance(block, Table):
                last = block.continued_from(last)
                parts.append(last.text())
            else:
                parts.append(_mend(block))
        yield "\n\n".join(filter(None, parts))


def _mend(page: str) -> str:
    """The text of a page: tidied, hyphenated words whole, wrapped prose on one line.

    A blank line follows a line that ends short, as at the end of a paragraph or in a form.
    """
    page = clean_text(_LINE_END_HYPHEN.sub("-\n", page))
    lines = [tidy for line in page.split("\n") if (tidy := _SPACES.sub(" ", line).strip())]
    if not lines:
        return ""
    lengths = sorted(len(line) for line in lines)
    full = _FULL_SHARE * lengths[len(lines) * 9 // 10]
    parts = [lines[0]]
    for line, following in pairwise(lines):
        if _HYPHENATED.search(line) and following[0].isalnum():
            parts[-1] = _rejoined(parts[-1], following, page)
        elif len(line) < full:
            parts += ["\n\n", following]
        else:
            parts += [" " if _runs_on(line, following) else "\n", following]
    return "".join(parts)


def _rejoined(line: str, following: str, page: str) -> str:
    """Two lines as one, without the hyphen between them unless it belongs to the word."""
    left, right = _LAST_WORD.search(line[-80:]), _FIRST_WORD.match(following)
    if left and right and left[1].islower() and right[0].islower():
        dashed = re.compile(rf"\b{re.escape(left[1])}-{re.escape(right[0])}\b")
        if not dashed.search(page):
            return line[:-1] + following
    return line + following


def _runs_on(line: str, following: str) -> bool:
    """Whether a sentence clearly goes on from one line to the next."""
    return (
        following[0].islower()
        and not _SENTENCE_END.search(line)
        and not _ENUMERATOR.match(following)
    )


def _join(pages: Iterable[str]) -> tuple[str, tuple[int, ...]]:
    """The text of all pages, and where each begins in it."""
    text = ""
    starts = []
    for page in pages:
        if text and page:
            text += "\n" if _runs_on(text[-200:], page) else "\n\n"
        starts.append(len(text))
        text += page
    return text, tuple(starts)
