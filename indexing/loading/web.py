"""Loads pages of the web: fetches one unless it is unchanged, and reads it as a file would be."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import IO

from indexing.loading.content_types import extension_for, in_utf8
from indexing.loading.dates import from_header, with_date
from indexing.loading.fetching import Fetcher, Page
from indexing.loading.marks import Mark, parse_mark
from indexing.loading.names import canonical_url
from indexing.loading.sitemap import expand, is_sitemap_text
from rag.errors import DocumentError
from rag.ports import Reader
from rag.sources import Found, Loaded

_VALIDATORS = {"etag": "If-None-Match", "last-modified": "If-Modified-Since"}


class WebLoader:
    """A Loader of pages at http and https addresses.

    A page keeps the address that was asked for as its source, in one spelling, wherever redirects
    lead. `recipe` is as in SourceLoader. The page is read by `reader`, from a file that is gone
    afterwards.
    """

    def __init__(self, fetcher: Fetcher, reader: Reader, recipe: str) -> None:
        self._fetcher = fetcher
        self._reader = reader
        self._recipe = recipe

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        """The page, unless the server or the hash of its content says that it is the known one.

        Raises GoneError for a page that is not there, and DocumentError for one that cannot be
        fetched or read, or that is no document.
        """
        url = canonical_url(source)
        before = parse_mark(known, self._recipe)
        page = await self._fetcher.get(url, _conditions(before))
        if page.body is None:
            if known is None or before is None:
                raise DocumentError(f"{url} is not given to us (status 304): name another page")
            return Loaded(known, None)
        content = await asyncio.to_thread(lambda body: hashlib.sha256(body).hexdigest(), page.body)
        mark = Mark(self._recipe, content, _hint(page))
        if mark.says_the_same_as(before):
            return Loaded(str(mark), None)
        stated = page.headers.get("content-type", "")
        extension = extension_for(stated, page.url)
        if extension == ".xml" and is_sitemap_text(page.body):
            raise DocumentError(
                f"{url} is a sitemap that its name does not tell: "
                "name it by an address that ends in sitemap.xml"
            )
        body = in_utf8(page.body, stated, extension)
        with await asyncio.to_thread(_kept, body, extension, url) as file:
            result = await self._reader.read(Path(file.name), collection, url)
        dated = from_header(page.headers.get("last-modified", ""))
        documents = [with_date(document, dated) for document in result.documents]
        return Loaded(str(mark), replace(result, documents=documents))

    async def pages(self, sitemap: str) -> Found:
        """The pages that a sitemap lists; see `sitemap`."""
        return await expand(self._fetcher, canonical_url(sitemap))

    async def close(self) -> None:
        """Close all connections."""
        await self._fetcher.close()


def _hint(page: Page) -> str:
    told = {name: page.headers[name] for name in _VALIDATORS if name in page.headers}
    return json.dumps(told)


def _conditions(known: Mark | None) -> dict[str, str]:
    """The headers that ask for a page only if it is another than the known one."""
    if known is None:
        return {}
    told = json.loads(known.hint or "{}")
    return {header: told[name] for name, header in _VALIDATORS.items() if name in told}


def _kept(body: bytes, extension: str, url: str) -> IO[bytes]:
    """A file that holds the page, until it is closed."""
    try:
        file = tempfile.NamedTemporaryFile(prefix="page-", suffix=extension)  # noqa: SIM115
        try:
            file.write(body)
            file.flush()
        except OSError:
            file.close()
            raise
    except OSError as error:
        raise DocumentError(
            f"{url} cannot be kept on disk ({error.strerror}): make room in {tempfile.gettempdir()}"
        ) from error
    return file
