"""Where a title comes from: the text, the properties of the file, or at last its name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit


def first_heading(text: str) -> str | None:
    """The first `# ` heading of a Markdown text, its marks taken off; None without one."""
    fence = ""
    for line in text.split("\n"):
        marker = FENCE.match(line)
        if fence:
            if marker and marker[1].startswith(fence):
                fence = ""
        elif marker:
            fence = marker[1]
        elif heading := _HEADING.match(line):
            return one_line(_EMPHASIS.sub(r"\2", _LINK.sub(r"\1", heading[1][:1000])))
    return None


def one_line(title: str) -> str | None:
    """`title` on one line of at most 300 characters; None when it is blank."""
    return " ".join(title.split())[:300] or None


def told_title(title: str) -> str | None:
    """The title in a file's properties; None when a program wrote it, and not a person."""
    plain = one_line(_PROGRAM.sub("", title))
    return None if plain is None or _MEANINGLESS.fullmatch(plain) else plain


def title_from_name(source: str) -> str:
    """The last name in a source, made readable: `docs/getting_started.md`, Getting started."""
    path = unquote(urlsplit(source).path) if "://" in source else _SCHEME.sub("", source)
    stem = PurePosixPath(path).stem
    words = one_line(_SEPARATORS.sub(" ", stem)) or stem or source
    return words[:1].upper() + words[1:]


FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
"""The line that opens or closes fenced code; group 1 is its mark."""

_HEADING = re.compile(r"#[ \t]+(\S.*)")
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_EMPHASIS = re.compile(r"(?<!\w)(\*{1,3}|_{1,3}|`+)(?=\S)(.+?)(?<=\S)\1(?!\w)")
_PROGRAM = re.compile(r"^\s*Microsoft (?:Word|PowerPoint|Excel) - ")
_MEANINGLESS = re.compile(
    r"\W*(?:untitled|anonymous|unspecified|no title|none|null|title|(?:untitled |word )?document"
    r"(?: ?\d+)?)\W*|.*\.(?:docx?|pdf|indd|tex|dvi|qxd|pptx?|xlsx?|rtf|odt)",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z]+:")  # as of an upload
_SEPARATORS = re.compile(r"[-_\s]+")
