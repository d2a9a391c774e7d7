"""Takes out of an answer what would make a browser ask another server: images, HTML, links.

A link stays when its address, letter for letter, stands in what the model was given.
"""

from __future__ import annotations

import re

_IMAGE = re.compile(r"!\[([^\]\n]*)\](?:\([^)\n]*\)?|\[[^\]\n]*\])")
_LINK = re.compile(r"\[([^\]\n]+)\]\(\s*<?([^)>\s]*)>?[^)\n]*\)")
_LINK_DEFINITION = re.compile(r"^ {0,3}\[[^\]\n]+\]:[^\n]*$\n?", re.MULTILINE)
_TAG = re.compile(
    r"</?(?:a|abbr|applet|area|audio|base|body|button|canvas|div|embed|form|frame|frameset|head|"
    r"html|iframe|img|image|input|link|map|math|meta|object|picture|script|source|span|style|svg|"
    r"table|template|track|video)\b[^>]*(?:>|$)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?<![\w@])(?:(?:[a-z][a-z0-9+.-]{1,20}:)?//[^\s<>\"'`)\]】]+|(?:data|javascript|mailto|vbscript):"
    r"[^\s<>\"'`)\]]+|www\.[^\s<>\"'`)\]]+|(?:[a-z0-9-]{1,63}\.){1,6}[a-z]{2,24}(?::\d+)?[/?#][^\s<>\"'`)\]]*)",
    re.IGNORECASE,
)
_TRAILING = ".,;:!?*_~'\"’”»。，、）"


def without_foreign_links(text: str, given: str) -> tuple[str, bool]:
    """The text without images, tags of HTML and addresses that are not in `given`.

    The words of a link stay. Also whether anything was taken out.
    """
    known = {_trimmed(address) for address in _ADDRESS.findall(given)}
    clean = _LINK_DEFINITION.sub("", _TAG.sub("", _IMAGE.sub(r"\1", text)))

    def link(match: re.Match[str]) -> str:
        words, target = match.groups()
        return match.group() if _trimmed(target) in known else str(words)

    def address(match: re.Match[str]) -> str:
        found = match.group()
        return found if _trimmed(found) in known else found[len(_trimmed(found)) :]

    clean = _ADDRESS.sub(address, _LINK.sub(link, clean))
    if clean == text:
        return text, False
    return re.sub(r"\(\s*\)|<\s*>", "", clean).strip(), True


def _trimmed(address: str) -> str:
    return address.rstrip(_TRAILING)
