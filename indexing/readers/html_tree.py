"""Parses HTML as it is found: with the end tags that HTML lets authors leave out.

Python's own parser does not supply them: a page of a thousand `<p>` would come out as one
paragraph a thousand levels deep. Imported only when a page is read, since the parser is slow to
import.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

from bs4 import BeautifulSoup


def parse_html(html: str) -> BeautifulSoup:
    """The tree of `html`. XHTML is read as HTML; nothing is fetched or run."""
    declaration = _XML_DECLARATION.match(html)
    body = html[declaration.end() :] if declaration else html
    # The added tag keeps a text that holds no tag at all from being taken for the name of a file.
    return _Tree("<html>" + body, "html.parser")


_XML_DECLARATION = re.compile(r"<\?xml[^>]*\?>")

# A start tag: the open elements that it ends, and those beyond which it does not look for them.
_CELL = ({"td", "th"}, {"tr", "table"})
_TERM = ({"dt", "dd"}, {"dl"})
_ENDS: dict[str, tuple[Set[str], Set[str]]] = {
    "li": ({"li"}, {"ul", "ol", "menu"}),
    "tr": ({"tr"}, {"table"}),
    "td": _CELL,
    "th": _CELL,
    "dt": _TERM,
    "dd": _TERM,
}
_ENDS_PARAGRAPH = frozenset(
    """
    address article aside blockquote div dl fieldset figure footer form h1 h2 h3 h4 h5 h6
    header hr main nav ol p pre section table ul
    """.split()
)
_INLINE = frozenset(["a", "abbr", "b", "code", "em", "font", "i", "small", "span", "strong", "u"])


class _Tree(BeautifulSoup):
    """A tree in which a start tag ends what cannot hold it."""

    def handle_starttag(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """As in Beautiful Soup, after the end tags that were left out."""
        if name in _ENDS:
            ended, beyond = _ENDS[name]
            for element in self._open_elements():
                if element in ended or element in beyond:
                    if element in ended:
                        self.handle_endtag(element)
                    break
        elif name in _ENDS_PARAGRAPH:
            for element in self._open_elements():
                if element not in _INLINE:
                    if element == "p":
                        self.handle_endtag("p")
                    break
        return super().handle_starttag(name, *args, **kwargs)

    def _open_elements(self) -> list[str]:
        return [tag.name for tag in reversed(self.tagStack)]
