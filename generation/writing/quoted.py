"""What an answer puts in quotation marks and no document says."""

from __future__ import annotations

import re

_QUOTED = re.compile(
    r"“([^“”]+)”|\"([^\"\n]+)\"|«([^«»]+)»|„([^„“”]+)[“”]|「([^「」]+)」|『([^『』]+)』"
)
_LEFT_OUT = re.compile(r"\s*(?:\[?(?:\.\.\.|…)\]?)\s*")
_NOT_SAID = re.compile(r"[\W_]+")
_MIN_WORDS = 3  # fewer are a name, or a word that is spoken about
_MIN_UNSPACED = 8


def has_invented_quote(answer: str, given: str) -> bool:
    """Whether some longer quote in the answer is not in `given`, case and punctuation aside."""
    known = _plain(given)
    for match in _QUOTED.finditer(answer):
        quote = next(group for group in match.groups() if group)
        is_long = len(quote.split()) >= _MIN_WORDS or (
            not quote.isascii() and " " not in quote and len(quote) >= _MIN_UNSPACED
        )
        parts = filter(None, map(_plain, _LEFT_OUT.split(quote)))
        if is_long and not all(part in known for part in parts):
            return True
    return False


def _plain(text: str) -> str:
    return _NOT_SAID.sub(" ", text.casefold()).strip()
