"""XML: of RSS and Atom feeds every entry a section; of any other, the text of its elements.

Entities are never resolved, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from indexing.readers.content import Content, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.packages import parse_xml
from indexing.readers.tabular.tables import cell_text
from indexing.readers.titles import one_line
from indexing.readers.web.html import html_to_markdown
from rag.errors import DocumentError

if TYPE_CHECKING:
    from lxml.etree import _Element

_FEEDS = {"rss", "feed", "RDF"}
_ENTRIES = {"item", "entry"}
# Of each, the first that is there: the whole before the teaser.
_BODIES = ("encoded", "content", "description", "summary")
_DATES = ("pubDate", "published", "updated", "date")
_AUTHORS = ("creator", "author")


def read_xml(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Content]:
    """The feed or the text, with the title of either.

    Raises DocumentError when it is not well-formed.
    """
    from lxml import etree

    try:
        root = parse_xml(raw.lstrip())
        if root is None:
            raise ValueError("no element")
        if _name(root) in _FEEDS:
            yield _feed(root)
            return
        lines = list(_lines(root))
    except (etree.LxmlError, ValueError, RecursionError, LookupError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DocumentError(f"{source} is no XML that can be read ({reason}): mend it") from error
    yield Content(clean_text("\n".join(lines)), _first(root, ("title",)))


def _feed(root: _Element) -> Content:
    channel = next((child for child in root if _name(child) == "channel"), root)
    title = _first(channel, ("title",))
    parts = [f"# {title}" if title else "", _body(channel, ("description", "subtitle"))]
    for entry in root.iter():
        if _name(entry) in _ENTRIES:
            parts.extend(_entry(entry))
    return Content(clean_text("\n\n".join(filter(None, parts))), title)


def _entry(entry: _Element) -> Iterator[str]:
    yield f"## {_first(entry, ('title',)) or 'Untitled'}"
    date, author = _first(entry, _DATES), _first(entry, _AUTHORS)
    yield ", ".join(filter(None, [date, author and f"by {author}"]))
    yield _body(entry, _BODIES)


def _first(element: _Element, names: Sequence[str]) -> str | None:
    """The text of the first child with one of these names, on one line."""
    for name in names:
        for child in element:
            if _name(child) == name and (told := one_line(clean_text(_text(child)))):
                return one_line(html_to_markdown(told)) if "<" in told or "&" in told else told
    return None


def _body(element: _Element, names: Sequence[str]) -> str:
    from lxml import etree

    for name in names:
        for child in element:
            if _name(child) == name and _text(child).strip():
                if len(child):  # Atom may hold XHTML as it is
                    return html_to_markdown(etree.tostring(child, encoding="unicode"))
                return html_to_markdown(child.text or "")
    return ""


def _lines(root: _Element) -> Iterator[str]:
    """What the elements say: those that mix text and elements as prose, others by their name."""
    for element in root.iter():
        parent = element.getparent()
        if not isinstance(element.tag, str) or _is_in_prose(parent):
            continue
        if _is_prose(element):
            yield f"\n{cell_text(_text(element))}\n"
            continue
        attributes = "; ".join(f"{_local(str(k))}: {v}" for k, v in element.attrib.items())
        own = cell_text(element.text or "") if not len(element) else ""
        if own or attributes:
            named = f"{_name(element)} ({attributes})" if attributes else _name(element)
            yield f"{named}: {own}" if own else named


def _is_prose(element: _Element) -> bool:
    """Whether text stands between the children of an element."""
    return len(element) > 0 and (
        bool((element.text or "").strip()) or any((child.tail or "").strip() for child in element)
    )


def _is_in_prose(element: _Element | None) -> bool:
    while element is not None:
        if _is_prose(element):
            return True
        element = element.getparent()
    return False


def _text(element: _Element) -> str:
    return "".join(str(text) for text in element.itertext() if text)


def _name(element: _Element) -> str:
    return _local(element.tag) if isinstance(element.tag, str) else ""


def _local(name: str) -> str:
    return name.rpartition("}")[2]
