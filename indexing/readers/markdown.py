"""Markdown and MDX: kept as it is, without what only a site generator reads.

Removed outside fenced code: YAML front matter, HTML comments, MDX imports and exports, lines that
hold nothing but tags, and the anchors of headings. Underlined headings become `# ` lines.
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator, Mapping, Sequence

from indexing.readers.content import Content, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.text import decode
from indexing.readers.titles import FENCE, first_heading, one_line
from rag.types import Scalar


def read_markdown(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Content]:
    """The document; title and metadata from its front matter, else its first `# ` heading."""
    front, body = _split_front_matter(clean_text(decode(raw, source)))
    text = clean_text("\n".join(_kept_lines(body.split("\n"))))
    told = front.get("title")
    title = None if told is None else one_line(clean_text(str(told)))
    yield Content(text, title or first_heading(text), metadata=_metadata(front))


_FRONT_MATTER = re.compile(r"---\n(.{0,20000}?\n)??(?:---|\.\.\.)(?:\n|\Z)", re.DOTALL)
_FRONT_LINE = re.compile(r"[\w.-]+:(?:\s|$)|[ \t-]|#|$")
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+)$", re.MULTILINE)
_MAX_VALUE_CHARS = 500

# How a site shows a page, not what the page says: changing these does not change the document.
_LAYOUT_KEYS = frozenset(
    "title layout weight slug permalink template toc hide hide_title hide_table_of_contents draft"
    " sidebar sidebar_position sidebar_label sidebar_class_name sort_rank nav_order nav_exclude"
    " nav_icon nav_title pagination_next pagination_prev custom_edit_url image".split()
)

_MODULE = re.compile(
    r"""import\s+(?:\S.*\sfrom\s+)?['"][^'"]+['"];?$|import\s+\{$"""
    r"|export\s+(?:default\s|const\s|let\s|function\s|\{|\*)"
)
_TAG = (
    r"</?(?:[A-Z](?=\w*[a-z])[\w.]*|a|br|center|details|div|iframe|p|section|span|summary)"
    r"(?:\s[^<>]*|/)?>"
)
_TAG_LINE = re.compile(rf"\s*{_TAG}(?:\s*(?:{_TAG}|\{{\w+\}}))*$|\{{/\*.*\*/\}}$")
_ANCHOR = re.compile(r"[ \t]?\{#[\w-]+\}$")
_UNDERLINE = re.compile(r" {0,3}(={3,}|-{3,})$")
_NO_HEADING = re.compile(r"$|\s*(?:[#>|]|[-*+]\s|\d+[.)]\s)|[ ]{4}|\t")


def _split_front_matter(text: str) -> tuple[Mapping[str, object], str]:
    found = _FRONT_MATTER.match(text)
    front = None if found is None else _parse_front_matter(found[1] or "")
    return ({}, text) if found is None or front is None else (front, text[found.end() :])


def _parse_front_matter(block: str) -> Mapping[str, object] | None:
    """What `block` tells; None when it is ordinary text between two rules."""
    import yaml

    try:
        loaded = yaml.safe_load(block) or {}
    except (yaml.YAMLError, ValueError, RecursionError):
        if not all(_FRONT_LINE.match(line) for line in block.split("\n")):
            return None
        # Most often a title with a colon in it that nobody quoted.
        title = _FRONT_TITLE.search(block)
        return {"title": title[1].strip(" \t\"'")} if title else {}
    return loaded if isinstance(loaded, dict) else None


def _metadata(front: Mapping[str, object]) -> dict[str, Scalar]:
    """The plain values of a front matter; lists, long texts and layout left out."""
    metadata: dict[str, Scalar] = {}
    for key, value in front.items():
        if not isinstance(key, str) or key in _LAYOUT_KEYS:
            continue
        if isinstance(value, datetime.date):
            metadata[key] = value.isoformat()
        elif isinstance(value, str):
            if 0 < len(value) <= _MAX_VALUE_CHARS:
                metadata[key] = clean_text(value)
        elif isinstance(value, int | float) and math.isfinite(value):
            metadata[key] = value
    return metadata


def _kept_lines(lines: Sequence[str]) -> list[str]:
    """The lines that a person would read; fenced code untouched."""
    kept: list[str] = []
    fence, in_comment, in_module = "", False, False
    last_close = max((i for i, line in enumerate(lines) if "-->" in line), default=-1)
    for number, whole in enumerate(lines):
        line = whole
        if not fence and (in_comment or "<!--" in line) and number <= last_close:
            line, in_comment = _without_comments(line, in_comment)
        marker = FENCE.match(line)
        if fence:
            fence = "" if marker and marker[1].startswith(fence) else fence
            kept.append(line)
        elif marker:
            fence = marker[1]
            kept.append(line)
        elif in_module or _MODULE.match(line):
            # A statement that spans several lines ends at a blank one.
            in_module = bool(line) and (in_module or line[-1] in "{([,=")
        elif _UNDERLINE.match(line) and _may_be_heading(kept):
            kept[-1] = f"{'#' if '=' in line else '##'} {kept[-1].strip()}"
        elif (line and not _TAG_LINE.match(line)) or (kept and kept[-1]):
            kept.append("" if _TAG_LINE.match(line) else _without_anchor(line))
    return kept


def _without_anchor(line: str) -> str:
    return _ANCHOR.sub("", line) if line.startswith("#") else line


def _may_be_heading(kept: Sequence[str]) -> bool:
    """Whether an underline makes the last of these lines a heading: it stands alone."""
    return bool(kept) and not _NO_HEADING.match(kept[-1]) and (len(kept) < 2 or not kept[-2])


def _without_comments(line: str, in_comment: bool) -> tuple[str, bool]:
    """What of `line` is outside comments, and whether one is open at its end."""
    visible: list[str] = []
    begin = 0  # of what is visible
    while True:
        if in_comment:
            end = line.find("-->", begin)
            if end < 0:
                return "".join(visible).rstrip(), True
            begin = end + 3
        start, counted, ticks = line.find("<!--", begin), begin, 0
        while start >= 0:
            ticks += line.count("`", counted, start)
            if ticks % 2 == 0:
                break
            # inside code
            counted, start = start, line.find("<!--", start + 4)
        visible.append(line[begin:start] if start >= 0 else line[begin:])
        if start < 0:
            return "".join(visible).rstrip(), False
        begin, in_comment = start + 4, True
