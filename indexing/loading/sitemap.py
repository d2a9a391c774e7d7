"""Sitemaps: the pages that they list, by the protocol of sitemaps.org.

Only pages of the sitemap's own host count, and of those only what robots.txt lets programs read:
a person who names a page decides alone, a list is followed as a crawler would. Entities are never
resolved: a sitemap with a document type is refused.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit
from xml.parsers import expat

from protego import Protego

from indexing.loading.fetching import USER_AGENT, Fetcher, Gunzip, Page
from indexing.loading.names import canonical_url, one_line
from rag.errors import DocumentError, GoneError, InputError
from rag.sources import FailedPart, Found

MAX_PAGES = 50_000
MAX_SITEMAPS = 1_000
MAX_DEPTH = 2
"""Of sitemaps below the one that is named."""

_MAX_BYTES = 50_000_000  # unpacked: the protocol's own limit
_INDEX, _LIST = "sitemapindex", "urlset"
_ENTRIES = {_INDEX: "sitemap", _LIST: "url"}


async def expand(fetcher: Fetcher, url: str) -> Found:
    """The pages that the sitemap at `url` lists, and what it lists in vain, with the reason.

    A sitemap that cannot be read is skipped itself: what it lists was not seen.
    """
    search = _Search(fetcher, url)
    while search.waiting:
        address, depth = search.waiting.popleft()
        try:
            await search.take(address, depth)
        except DocumentError as error:
            search.skipped[address] = str(error)
    return Found(
        tuple(sorted(search.pages)),
        tuple(FailedPart(name, reason) for name, reason in sorted(search.skipped.items())),
    )


class _Search:
    """What is found so far. `waiting` are sitemaps to read, each with its depth."""

    def __init__(self, fetcher: Fetcher, url: str) -> None:
        self.waiting = deque([(url, 0)])
        self.pages: dict[str, None] = {}
        self.skipped: dict[str, str] = {}
        self._fetcher = fetcher
        self._seen = {url}
        self._hosts = {_host(url)}
        self._rules: Protego | None = None

    async def take(self, url: str, depth: int) -> None:
        """Read one sitemap. Raises DocumentError when it cannot be."""
        page = await self._fetcher.get(url)
        kind, places = await asyncio.to_thread(_parse, page, url)
        if depth == 0:
            self._hosts.add(_host(page.url))  # the sitemap of a host may have moved to another
        rules = self._rules = self._rules or await _rules(self._fetcher, page.url)
        for place in places:
            if len(self.pages) + len(self.skipped) >= MAX_PAGES:
                raise DocumentError(
                    f"{url} leads to more than {MAX_PAGES} pages, the limit: "
                    "name the sitemaps below it one by one"
                )
            try:
                target = canonical_url(urljoin(page.url, place))
            except (InputError, ValueError) as error:
                self.skipped[one_line(place.rpartition("@")[2])] = str(error)
                continue
            if _host(target) not in self._hosts:
                self.skipped[target] = f"on another host than its sitemap {url}"
            elif kind == _INDEX:
                self._wait(target, depth + 1)
            elif not rules.can_fetch(target, USER_AGENT):
                self.skipped[target] = "robots.txt of its host asks programs to leave it out"
            else:
                self.pages[target] = None

    def _wait(self, url: str, depth: int) -> None:
        if url in self._seen:
            return
        self._seen.add(url)
        if depth > MAX_DEPTH:
            self.skipped[url] = f"a sitemap {depth} below the one named, the limit is {MAX_DEPTH}"
        elif len(self._seen) > MAX_SITEMAPS:
            self.skipped[url] = f"one more than {MAX_SITEMAPS} sitemaps, the limit"
        else:
            self.waiting.append((url, depth))


@dataclass(slots=True)
class _Parsed:
    """What the parser has met; `path` are the names of the open elements."""

    path: list[str] = field(default_factory=list)
    kind: str = ""
    places: list[str] = field(default_factory=list)

    def start(self, name: str, _attributes: object) -> None:
        self.path.append(name.rpartition(" ")[2])
        self.kind = self.kind or self.path[0]
        if self._in_place():
            self.places.append("")

    def text(self, text: str) -> None:
        if self._in_place():
            self.places[-1] += text

    def end(self, _name: str) -> None:
        self.path.pop()

    def _in_place(self) -> bool:
        return len(self.path) == 3 and self.path[1:] == [_ENTRIES.get(self.kind), "loc"]


def is_sitemap_text(body: bytes) -> bool:
    """Whether a text begins as a sitemap does."""
    head = body[:2_000]
    return any(b"<" + name.encode() in head for name in _ENTRIES)


def _parse(page: Page, url: str) -> tuple[str, list[str]]:
    """Whether it is an index or a list, and the addresses in it."""
    body = page.body or b""
    parsed = _Parsed()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = parsed.start
    parser.EndElementHandler = parsed.end
    parser.CharacterDataHandler = parsed.text
    try:
        if body.startswith(b"\x1f\x8b"):
            body = Gunzip(_MAX_BYTES).feed(body)
        if len(body) > _MAX_BYTES:
            raise DocumentError(
                f"{url} unpacks to more than {_MAX_BYTES} bytes, the limit: split the sitemap"
            )
        parser.Parse(body, True)
    except (expat.ExpatError, zlib.error, ValueError, LookupError) as error:
        raise DocumentError(f"{url} is no sitemap ({one_line(str(error))}): correct it") from error
    if parsed.kind not in _ENTRIES:
        raise DocumentError(f"{url} is no sitemap, its root is <{parsed.kind}>: correct it")
    return parsed.kind, [place.strip() for place in parsed.places if place.strip()]


def _refuse_doctype(*_declared: object) -> None:
    raise ValueError("it has a document type")


async def _rules(fetcher: Fetcher, url: str) -> Protego:
    """What robots.txt of the host says; without one, everything may be read.

    Raises DocumentError when the host does not tell: then nothing may be, says RFC 9309.
    """
    try:
        page = await fetcher.get(urljoin(url, "/robots.txt"))
    except GoneError:
        return Protego.parse("")
    except DocumentError as error:
        if error.retryable:
            raise
        return Protego.parse("")
    return await asyncio.to_thread(Protego.parse, (page.body or b"").decode("utf-8", "replace"))


def _host(url: str) -> str:
    return urlsplit(url).netloc
