"""Tells whether two documents state the same facts in the same words.

However similar they are, a single digit parts them; in doubt, they differ.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence

from rag.types import Scalar

_FENCE = re.compile(r"[ \t]*(`{3,}(?!.*`)|~{3,})(.*)$")
_LANGUAGE = re.compile(r"[A-Za-z+#-]*(?=\s|$)")
_ITEM = re.compile(r"[ \t]*([*•-]|\d{1,9}[.)])[ \t]+(?=\S)")
_STANDS_ALONE = re.compile(r" {0,3}#{1,6}[ \t]|[ \t]*[|>]")
_GAP = re.compile(r"(?<=\S)(?: {3,}| *\t[ \t]*)(?=\S)")  # as in a table drawn with spaces
_PADDING = re.compile(r"\s*\|\s*")
# Code goes first, so that what looks bold within it stays; `2**3` and `**kwargs` are not bold.
_BOLD = re.compile(r"`+[^`]*`+|(?<![\w*\\])\*\*(?=\w)([^*`]*\w[.:!?]?)\*\*(?![\w*])")
_DASH = re.compile(r"(?<!\S)[–—―](?!\S)|(?<=\d)–(?=\d)")
_LAST_WORD = re.compile(r"[^\W\d_]{2,}\.")
_VARIANTS = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "‐": "-", "‑": "-", "−": "-"}
    | {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"}
)
_TAB = "\t"
_MARK = "\x1f"  # on what is no word of the text: cleaned texts hold no control characters
_OPENED, _CLOSED = f"{_MARK}{{", f"{_MARK}}}"


def wording(title: str | None, text: str, metadata: Mapping[str, Scalar]) -> str:
    """32 hexadecimal digits, equal exactly for documents that say the same in the same order.

    Left out is what carries no fact: how lines are wrapped and how many are blank, which of `*`,
    `-` and `•` marks a list, `**` around bold words, the language of fenced code, how a table is
    padded and ruled, curly quotes, ligatures, the width of dashes, double spaces, and the full
    stop behind the last word of a paragraph or item. All else counts: case, punctuation, every
    symbol, the targets of links, headings with their level, the numbers of lists, indentation,
    wider gaps, which may be columns, and every character of code and of quotes, but for white
    space at the end of a line.

    `title` is None where only the name of the file tells one; it and the metadata count too.
    """
    told = None if title is None else _plain(title.split())
    parts = [told, list(_blocks(text)), dict(metadata)]
    canonical = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]


def _blocks(text: str) -> Iterator[str]:
    """Each heading, paragraph, list item, table row and line of code, as `wording` compares it."""
    paragraph: list[str] = []
    fence, indent = "", ""
    for line in text.rstrip().split("\n"):  # a fence may be open to the end
        body = line.strip()
        if fence:
            closes = body.startswith(fence) and set(body) == {fence[0]}
            yield _CLOSED if closes else line.rstrip()
            fence = "" if closes else fence
            continue
        margin = line[: len(line) - len(line.lstrip())]
        opening, item = _FENCE.match(line), _ITEM.match(line)
        is_code = margin != indent and not item and len(margin.expandtabs(4)) >= 4
        stands_alone = opening or is_code or _STANDS_ALONE.match(line)
        if paragraph and (stands_alone or item or not body):
            yield _unstopped(paragraph)
            paragraph = []
        if opening:
            fence = opening[1]
            yield _OPENED + _LANGUAGE.sub("", opening[2].strip(), count=1)
        elif stands_alone:
            yield _row(body) if body[:1] == "|" else line.rstrip()
        elif body:
            if margin != indent:
                paragraph.append(_white_space(margin))
            indent = " " * item.end() if item else margin
            words = _GAP.sub(lambda gap: f" {_white_space(gap[0])} ", body).split()
            paragraph += ["•", *words[1:]] if item and item[1] in "*•-" else words
    if paragraph:
        yield _unstopped(paragraph)


def _white_space(space: str) -> str:
    """White space that may be meant, as a word."""
    return f"{_MARK}{space.count(' ')}.{space.count(_TAB)}"


def _unstopped(words: Sequence[str]) -> str:
    """The words without the full stop behind the last, which headings and items may lack."""
    last = words[-1][:-1] if _LAST_WORD.fullmatch(words[-1]) else words[-1]
    return _plain([*words[:-1], last])


def _row(line: str) -> str:
    """A row of a table, without padding; inside code, white space may be meant."""
    if "-" in line and set(line) <= set("|:- \t"):
        return "|-" * line.rstrip("|").count("|")
    row = _plain(line.split())
    return row if "`" in row else _PADDING.sub("|", row)


def _plain(words: Sequence[str]) -> str:
    """Words in one line, without what only typography adds."""
    text = " ".join(words).translate(_VARIANTS)
    return _BOLD.sub(lambda found: found[1] or found[0], _DASH.sub("-", text))
