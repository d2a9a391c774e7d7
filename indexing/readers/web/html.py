"""HTML: the main content of a page as Markdown.

Nothing is fetched or run: scripts, styles, images and frames are only left out. Emphasis and the
targets of links are left out too; they cost tokens and part words that a search should find.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from indexing.readers.content import Content, as_document_errors, clean_text
from indexing.readers.limits import ReadLimits
from indexing.readers.text import decode
from indexing.readers.titles import first_heading, one_line
from indexing.readers.web.html_tables import explained, fill_rowspans, unwrap_layout

if TYPE_CHECKING:
    from bs4 import BeautifulSoup, Tag


def read_html(raw: bytes, source: str, _limits: ReadLimits) -> Iterator[Content]:
    """The main content; its title is its only `h1`, else the page's `title`.

    Raises DocumentError when the page cannot be parsed.
    """
    yield read_page(raw, source)


def read_page(raw: bytes, source: str) -> Content:
    """The same, of a page that may be a part of something else."""
    html = clean_text(decode(raw, source, _declared_encoding(raw)))
    with as_document_errors(source, "HTML page", "open it in a browser and save it again"):
        page = _parse(html)
        page_title = page.title.get_text() if page.title else ""
        _drop_furniture(page)
        main = _main_content(page)
        headings = main.select("h1")
        heading = headings[0].get_text() if len(headings) == 1 else ""
        text = _convert(main)
    title = one_line(clean_text(heading)) or one_line(clean_text(page_title))
    return Content(text, title or first_heading(text))


def html_to_markdown(html: str) -> str:
    """A fragment of HTML, all of it, as Markdown."""
    return _convert(_parse(html))


_CHARSET = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?\s*([\w-]+)""", re.I)
_XML_DECLARATION = re.compile(r"<\?xml[^>]*\?>")
_LONG_SPACE = re.compile("[ \t]{200,}")  # over which the converter would take very long
_BLANK_LINES = re.compile(r"\n{3,}")
_NUMBER = re.compile(r"[-−+]?\d+")
_LANGUAGE = re.compile(r"(?:language|lang|highlight-source|highlight)-([\w+#-]+)")

# Never content, however long. A button that is a heading opens the answer below it.
_UNSEEN = (
    "title, script, style, noscript, template, svg, canvas, iframe, object, video, audio,"
    " math annotation, input, select, textarea,"
    " button:not(h1 *, h2 *, h3 *, h4 *, h5 *, h6 *, dt *, summary *)"
)
# Around the content, or hidden: left out unless most of the page is in it. What is hidden behind
# the tabs or folds of a page is a part of it.
_FURNITURE = (
    "nav, footer, aside, form, dialog, header ul, [role=navigation], [role=contentinfo],"
    " [role=complementary], [role=search], [role=dialog], .breadcrumb, .breadcrumbs, .noprint,"
    " .headerlink, .hash-link, .anchorjs-link, .sr-only, .visually-hidden, .mw-editsection,"
    " .catlinks, .mw-portlet, .printfooter, .navbox, sup.reference,"
    " :is([hidden], [aria-hidden=true], [style*='display:none'], [style*='display: none'])"
    ":not([role=tabpanel], [role=region], [hidden=until-found])"
)
# To number an item the converter counts those before it: many of them would take it minutes.
_MAX_NUMBERED = 1000
_STRIPPED = ["a", "b", "strong", "em", "i", "s", "del", "u", "sub", "sup", "kbd", "samp", "video"]


def _declared_encoding(raw: bytes) -> str | None:
    found = _CHARSET.search(raw, 0, 4096)
    return found[1].decode("ascii") if found else None


def _parse(html: str) -> BeautifulSoup:
    from bs4 import BeautifulSoup

    declaration = _XML_DECLARATION.match(html)
    body = html[declaration.end() :] if declaration else html
    # Python's own parser takes hours for a megabyte of `<a `, and supplies no end tags. Without
    # its declaration XHTML is parsed as what it is, HTML; the added tag keeps a text that holds no
    # tag at all from being taken for the name of a file.
    return BeautifulSoup("<html>" + _LONG_SPACE.sub(" ", body), "lxml")


def _drop_furniture(page: BeautifulSoup) -> None:
    """Take out what is around the content of `page`."""
    for element in page.select(_UNSEEN):
        element.decompose()
    most = len(page.get_text()) // 2
    for element in page.select(_FURNITURE):
        if not element.decomposed and len(element.get_text()) <= most:
            element.decompose()


def _main_content(page: BeautifulSoup) -> Tag:
    """What the page says is its main part, else all of it but a header without a heading."""
    least = len(page.get_text()) // 4  # a lone article shorter than this is a teaser
    for selector, chars in (("main, [role=main]", 1), ("article", least)):
        found = page.select(selector)
        if len(found) == 1 and len(found[0].get_text().strip()) >= chars:
            return found[0]
    for header in page.select("header"):
        if not header.select("h1, h2"):
            header.decompose()
    return page


def _convert(root: Tag) -> str:
    unwrap_layout(root)
    for numbered in root.select("ol"):
        if len(numbered.find_all("li", recursive=False)) > _MAX_NUMBERED:
            numbered.name = "ul"
    for image in root.select("img"):
        image.replace_with(str(image.get("alt") or ""))
    for power in root.select("sup:not(:has(a))"):
        if _NUMBER.fullmatch(power.get_text()):
            power.insert(0, "^")
    fill_rowspans(root)
    return _BLANK_LINES.sub("\n\n", clean_text(_converter().convert_soup(root)))


@cache
def _converter() -> Any:
    from markdownify import ATX, MarkdownConverter

    class Converter(MarkdownConverter):
        """With tables that are understood from any of their rows."""

        def convert_table(self, el: Any, text: str, parent_tags: set[str]) -> str:
            return f"\n\n{explained(el, text.strip())}\n\n"

    return Converter(
        heading_style=ATX,
        bullets="-",
        strip=_STRIPPED,
        escape_asterisks=False,
        escape_underscores=False,
        table_infer_header=True,
        code_language_callback=_code_language,
    )


def _code_language(pre: Any) -> str:
    """The language that the class of a `pre` or of the `code` in it names; empty if none."""
    for element in (pre, pre.find("code"), pre.parent):
        found = _LANGUAGE.search(" ".join(element.get("class") or ())) if element else None
        if found:
            return found[1]
    return ""
