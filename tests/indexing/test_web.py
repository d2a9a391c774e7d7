"""Loading pages: their types and encodings, what is unchanged, and what sitemaps list."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence

import pytest
from web_server import InProcessReader, Server, answer, in_turn, serving

from indexing.loading import sitemap
from indexing.loading.content_types import extension_for
from indexing.loading.fetching import Fetcher
from indexing.loading.web import WebLoader
from rag.errors import DocumentError, GoneError
from rag.sources import Loaded
from rag.types import Document

DATE = "Wed, 01 May 2024 10:00:00 GMT"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
def reader() -> InProcessReader:
    return InProcessReader()


@pytest.fixture
async def web(server: Server, reader: InProcessReader) -> AsyncIterator[WebLoader]:
    fetcher = Fetcher(private_hosts=(server.host,), max_seconds=5)
    yield WebLoader(fetcher, reader, "recipe-1")
    await fetcher.close()


async def load(web: WebLoader, url: str, known: str | None = None) -> Loaded:
    return await web.load(url, "guides", known)


async def document(web: WebLoader, url: str) -> Document:
    loaded = await load(web, url)
    assert loaded.result is not None
    [found] = loaded.result.documents
    return found


async def failure(web: WebLoader, url: str) -> str:
    with pytest.raises(DocumentError) as caught:
        await load(web, url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# One page


async def test_a_page(server: Server, web: WebLoader) -> None:
    body = "<html><head><title>Guide</title></head><body><h1>Guide</h1><p>Turn it on.</p></body>"
    url = server.put("/docs/guide?v=2", body, last_modified=DATE)
    found = await document(web, url.replace("http", "HTTP") + "#part")
    assert found.sources == (url,)
    assert found.title == "Guide"
    assert "Turn it on." in found.text
    assert found.dated == "2024-05-01T10:00:00+00:00"
    assert found.collection == "guides"


async def test_a_page_keeps_the_address_that_was_asked_for(server: Server, web: WebLoader) -> None:
    url = server.put("/latest", status=302, location="/v2")
    server.put("/v2", "<h1>Guide</h1><p>Turn it on.</p>")
    assert (await document(web, url)).sources == (url,)


@pytest.mark.parametrize(
    ("path", "stated", "body", "text"),
    [
        ("/a", "text/html; charset=utf-8", "<p>One <b>two</b>", "One two"),
        ("/a.php", "TEXT/HTML", "<p>One", "One"),
        ("/a", "application/xhtml+xml", "<html><body><p>One</p></body></html>", "One"),
        ("/a", "text/markdown", "# Head\n\nOne", "# Head\n\nOne"),
        ("/a.md", "text/plain; charset=utf-8", "# Head\n\n*One*", "# Head\n\n*One*"),
        ("/a", "text/plain", "<p>One", "<p>One"),
        ("/a.md", "application/octet-stream", "# Head\n\nOne", "# Head\n\nOne"),
        ("/a.md", "", "# Head\n\nOne", "# Head\n\nOne"),
    ],
)
async def test_types(
    path: str, stated: str, body: str, text: str, server: Server, web: WebLoader
) -> None:
    found = await document(web, server.put(path, body, content_type=stated))
    assert found.text == text


@pytest.mark.parametrize(
    ("stated", "url", "extension"),
    [
        ("application/pdf", "https://h.org/a", ".pdf"),
        ("text/csv; header=present", "https://h.org/a", ".csv"),
        ("application/json", "https://h.org/a", ".json"),
        ("application/ld+json", "https://h.org/a", ".json"),
        ("application/atom+xml; charset=utf-8", "https://h.org/feed", ".xml"),
        ("application/epub+zip", "https://h.org/a", ".epub"),
        ("application/octet-stream", "https://h.org/a%2Exlsx?x=1.md", ".xlsx"),
        ("application/octet-stream", "https://h.org/a", ""),
        ("text/plain", "https://h.org/a.py", ".txt"),
    ],
)
def test_extension_for(stated: str, url: str, extension: str) -> None:
    assert extension_for(stated, url) == extension


@pytest.mark.parametrize(
    "stated",
    ["image/png", "image/svg+xml", "video/mp4", "text/css", "text/event-stream", "nonsense/x"],
)
async def test_the_wrong_type_is_told(stated: str, server: Server, web: WebLoader) -> None:
    url = server.put("/a.md", "x", content_type=stated)
    assert (await failure(web, url)).startswith(
        f"{url} is of the type {stated}, which cannot be read: name a page"
    )


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("utf-8", "utf-8"), ("ISO-8859-2", "iso-8859-2"), ('"koi8-r"', "koi8-r"), ("x-none", "utf-8"),
     ("ascii", "utf-8"), ("latin-1", "utf-8-sig")],
)  # fmt: skip
async def test_the_encoding_of_the_header_counts(
    charset: str, encoding: str, server: Server, web: WebLoader
) -> None:
    text = "Привет" if encoding == "koi8-r" else "żółw Łódź" if "8859-2" in encoding else "naïve"
    for kind in ("html", "plain"):
        stated = f"text/{kind}; charset={charset}"
        url = server.put(f"/{kind}", text.encode(encoding), content_type=stated)
        assert (await document(web, url)).text == text


async def test_what_the_reader_refuses_is_told_by_address(server: Server, web: WebLoader) -> None:
    url = server.put("/a", "  ")
    assert (await failure(web, url)).startswith(f"{url} is empty")
    with pytest.raises(GoneError, match="/nowhere is not there"):
        await load(web, server.url("/nowhere"))


# Unchanged


async def test_an_unchanged_page_is_not_read_again(
    server: Server, web: WebLoader, reader: InProcessReader
) -> None:
    url = server.put("/a", "<p>One", etag='"v1"', last_modified=DATE)
    first = await load(web, url)
    assert (await load(web, url, first.mark)) == Loaded(first.mark, None), "by its hash"
    server.put("/a", status=304)
    assert (await load(web, url, first.mark)) == Loaded(first.mark, None), "by its ETag"
    asked = server.asked[-1][1]
    assert (asked["if-none-match"], asked["if-modified-since"]) == ('"v1"', DATE)
    assert reader.read_files == [url]


async def test_a_changed_page_is_read_again(server: Server, web: WebLoader) -> None:
    url = server.put("/a", "<p>One", etag='"v1"')
    first = await load(web, url)
    server.put("/a", "<p>Two", etag='"v1"')
    second = await load(web, url, first.mark)
    assert second.result is not None
    assert second.mark != first.mark


async def test_another_recipe_reads_again(
    server: Server, web: WebLoader, reader: InProcessReader
) -> None:
    url = server.put("/a", "<p>One", etag='"v1"')
    first = await load(web, url)
    fetcher = Fetcher(private_hosts=(server.host,))
    second = await WebLoader(fetcher, reader, "recipe-2").load(url, "guides", first.mark)
    await fetcher.close()
    assert second.result is not None
    assert "if-none-match" not in server.asked[-1][1]


# Sitemaps


def urlset(*places: str) -> str:
    listed = "".join(f"<url><loc>\n{p} </loc><lastmod>2024-05-01</lastmod></url>" for p in places)
    return (
        '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        f'xmlns:i="http://www.google.com/schemas/sitemap-image/1.1">{listed}</urlset>'
    )


def index(*places: str) -> str:
    listed = "".join(f"<sitemap><loc>{place}</loc></sitemap>" for place in places)
    return f"<sitemapindex>{listed}</sitemapindex>"


async def pages(server: Server, web: WebLoader, path: str = "/sitemap.xml") -> list[str]:
    found = await web.pages(server.url(path))
    return [source.removeprefix(server.url("")) for source in found.sources]


async def skipped(server: Server, web: WebLoader, path: str = "/sitemap.xml") -> dict[str, str]:
    found = await web.pages(server.url(path))
    return {part.source.removeprefix(server.url("")): part.reason for part in found.skipped}


async def test_a_sitemap_lists_pages(server: Server, web: WebLoader) -> None:
    image = "<url><loc>/c</loc><i:image><i:loc>/i.png</i:loc></i:image></url></urlset>"
    listed = urlset("/b?x=1&amp;y=2", server.url("/a#part"), "/b?x=1&amp;y=2").replace(
        "</urlset>", image
    )
    server.put("/sitemap.xml", listed, content_type="text/plain")
    assert await pages(server, web) == ["/a", "/b?x=1&y=2", "/c"]
    assert await skipped(server, web) == {}


async def test_pages_of_other_hosts_are_left_out(server: Server, web: WebLoader) -> None:
    other = [f"http://127.0.0.1.evil.org:{server.port}/a", "https://h.org/a", "http://me:pw@h.org/"]
    server.put("/sitemap.xml", urlset("/a", *other))
    assert await pages(server, web) == ["/a"]
    reasons = await skipped(server, web)
    assert len(reasons) == 3
    assert "another host" in reasons["https://h.org/a"]


async def test_sitemaps_of_sitemaps_end(server: Server, web: WebLoader) -> None:
    server.put("/sitemap.xml", index("/one.xml", "/sitemap.xml", "/gone.xml"))
    server.put("/one.xml", index("/two.xml.gz", "/sitemap.xml"))
    server.put("/two.xml.gz", gzip.compress(urlset("/a").encode()), content_type="application/gzip")
    assert await pages(server, web) == ["/a"]
    assert server.paths().count("/sitemap.xml") == 1
    assert list(await skipped(server, web)) == ["/gone.xml"]
    server.put("/one.xml", index("/two.xml"))
    server.put("/two.xml", index("/three.xml"))
    assert (await skipped(server, web))["/three.xml"] == (
        "a sitemap 3 below the one named, the limit is 2"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "is no sitemap (no element found"),
        ("<html><body>Not found</body></html>", "is no sitemap, its root is <html>: correct it"),
        ("<urlset><url>", "is no sitemap (no element found"),
        ('<!DOCTYPE urlset [<!ENTITY x SYSTEM "file:///etc/passwd">]><urlset>'
         "<url><loc>/&x;</loc></url></urlset>", "is no sitemap (it has a document type)"),
        (gzip.compress(bytes(60_000_000)), "unpacks to more than 50000000 bytes, the limit"),
        (b"\x1f\x8b" + bytes(20), "is no sitemap (Error -3"),
    ],
)  # fmt: skip
async def test_what_is_no_sitemap_is_told(
    body: str | bytes, reason: str, server: Server, web: WebLoader
) -> None:
    server.put("/sitemap.xml", body)
    assert await pages(server, web) == []
    [(source, told)] = (await skipped(server, web)).items()
    assert source == "/sitemap.xml"
    assert told.startswith(f"{server.url('/sitemap.xml')} {reason}")


async def test_a_sitemap_lists_so_many_pages_at_most(server: Server, web: WebLoader) -> None:
    server.put("/sitemap.xml", urlset(*map("/{}".format, range(sitemap.MAX_PAGES + 1))))
    found = await web.pages(server.url("/sitemap.xml"))
    assert len(found.sources) == sitemap.MAX_PAGES
    [part] = found.skipped
    assert "leads to more than 50000 pages, the limit" in part.reason


async def test_robots_txt_counts_for_what_a_sitemap_lists(server: Server, web: WebLoader) -> None:
    server.put("/sitemap.xml", urlset("/a", "/private/b", "/c?sort=1"))
    server.put("/robots.txt", "User-agent: *\nDisallow: /private/\nDisallow: /*?sort=\n")
    assert await pages(server, web) == ["/a"]
    assert (await skipped(server, web))["/private/b"] == (
        "robots.txt of its host asks programs to leave it out"
    )
    server.put("/robots.txt", "User-agent: thrifty-rag\nDisallow: /a\n\nUser-agent: *\nAllow: /\n")
    assert await pages(server, web) == ["/c?sort=1", "/private/b"]
    server.put("/private/b", "<p>One")
    assert (await document(web, server.url("/private/b"))).text == "One", "a named page is read"


@pytest.mark.parametrize(("status", "count"), [(404, 1), (403, 1), (503, 0)])
async def test_without_robots_txt(status: int, count: int, server: Server, web: WebLoader) -> None:
    """Whoever has none allows all; who cannot be asked now allows nothing now."""
    server.put("/sitemap.xml", urlset("/a"))
    server.put("/robots.txt", status=status)
    assert len(await pages(server, web)) == count
    assert len(await skipped(server, web)) == 1 - count


async def test_a_sitemap_by_another_name_is_told(server: Server, web: WebLoader) -> None:
    url = server.put("/list", urlset("/a"), content_type="application/xml")
    assert "is a sitemap that its name does not tell" in await failure(web, url)


async def test_a_sitemap_that_moved_to_another_host(server: Server, web: WebLoader) -> None:
    async with serving() as other:
        fetcher = Fetcher(private_hosts=("127.0.0.1",))
        moved = WebLoader(fetcher, InProcessReader(), "recipe")
        server.put("/sitemap.xml", status=301, location=other.url("/sitemap.xml"))
        other.pages["/sitemap.xml"] = in_turn(answer(urlset("/a", server.url("/b"))))
        found = await moved.pages(server.url("/sitemap.xml"))
        await fetcher.close()
    expected: Sequence[str] = sorted([other.url("/a"), server.url("/b")])
    assert list(found.sources) == expected
