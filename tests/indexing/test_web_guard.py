"""What a page may not do: lead into the private network, or take time and memory without end."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import ssl
import subprocess
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from web_server import Headers, Server, answer, begin, in_turn, resolving, serving

from indexing.loading.fetching import Fetcher, Gunzip
from indexing.loading.guard import is_public
from rag.errors import DocumentError, GoneError

MakeFetcher = Callable[..., Fetcher]


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


@pytest.fixture
async def make_fetcher() -> AsyncIterator[MakeFetcher]:
    made: list[Fetcher] = []

    def make(**chosen: object) -> Fetcher:
        made.append(Fetcher(**chosen))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for fetcher in made:
        await fetcher.close()


@pytest.fixture
def fetcher(server: Server, make_fetcher: MakeFetcher) -> Fetcher:
    """One that may go to the server and to no other private address."""
    return make_fetcher(private_hosts=(server.host,), max_seconds=1, max_bytes=100_000)


async def failure(fetcher: Fetcher, url: str) -> DocumentError:
    with pytest.raises(DocumentError) as caught:
        await fetcher.get(url)
    assert "\n" not in str(caught.value)
    return caught.value


async def refusal(fetcher: Fetcher, url: str) -> str:
    error = await failure(fetcher, url)
    assert not error.retryable
    return str(error)


# Addresses


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
     "100.64.0.1", "0.0.0.0", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1",
     "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1",
     "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1", "64:ff9b::7f00:1",
     "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2001:db8::1"],
)  # fmt: skip
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0177.0.0.1",
     "0x7f.0.0.1", "127.1", "0"],
)  # fmt: skip
async def test_no_spelling_leads_to_this_machine(
    host: str, server: Server, make_fetcher: MakeFetcher
) -> None:
    server.put("/a", "secret")
    url = f"http://{host}:{server.port}/a"
    message = str(await failure(make_fetcher(), url))
    assert "is no public address" in message or "has no address" in message
    assert server.asked == []


async def test_the_message_says_how_to_allow_a_host(
    server: Server, make_fetcher: MakeFetcher
) -> None:
    url = server.put("/a", "text")
    assert await refusal(make_fetcher(), url) == (
        f"127.0.0.1 leads to 127.0.0.1, which is no public address: name another page, "
        f"or add {server.host} to ingestion.private_hosts"
    )
    for allowed in (server.host, "127.0.0.1"):
        assert (await make_fetcher(private_hosts=(allowed,)).get(url)).body == b"text"
    assert "no public address" in await refusal(make_fetcher(private_hosts=("127.0.0.1:1",)), url)


async def test_a_name_that_leads_to_a_private_address(
    server: Server, make_fetcher: MakeFetcher
) -> None:
    for addresses in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"]):
        fetcher = make_fetcher(resolve=resolving(addresses))
        assert "no public address" in await refusal(fetcher, f"http://h.org:{server.port}/a")
    assert server.asked == []


async def test_a_name_that_changes_its_mind(make_fetcher: MakeFetcher, server: Server) -> None:
    """The address that was checked is the one that is connected to, and is asked for once."""
    asked: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        asked.append(host)
        return ["192.0.2.1"] if len(asked) == 1 else ["127.0.0.1"]

    fetcher = make_fetcher(resolve=resolve, private_hosts=("first.org",), max_seconds=0.5)
    # The first answer leads nowhere; that the second would lead here must not matter.
    await failure(fetcher, f"http://first.org:{server.port}/a")
    assert (asked, server.asked) == (["first.org"], [])
    assert "no public address" in await refusal(fetcher, f"http://second.org:{server.port}/a")


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]/",
        "//10.0.0.1/",
        "http://2130706433/",
    ],
)
async def test_a_redirect_to_a_private_address(
    target: str, server: Server, fetcher: Fetcher
) -> None:
    url = server.put("/a", status=302, location=target)
    assert "is no public address" in await refusal(fetcher, url)


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://h.org/", "javascript:1", "http://me:pw@h.org/"],
)
async def test_a_redirect_to_no_page(target: str, server: Server, fetcher: Fetcher) -> None:
    url = server.put("/a", status=301, location=target)
    assert (await refusal(fetcher, url)).startswith(f"{url} redirects to no page: ")


async def test_redirects_are_followed_and_end(server: Server, fetcher: Fetcher) -> None:
    for number in range(9):
        server.put(f"/{number}", status=307, location=f"/{number + 1}")
    server.put("/9", "there")
    page = await fetcher.get(server.url("/4"))
    assert (page.body, page.url) == (b"there", server.url("/9"))
    assert await refusal(fetcher, server.url("/3")) == (
        f"{server.url('/3')} redirects more than 5 times, the limit: name the page it leads to"
    )
    server.put("/loop", status=302, location="/loop")
    assert "redirects more than 5 times" in await refusal(fetcher, server.url("/loop"))


async def test_no_proxy_of_the_environment_is_asked(
    server: Server, fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await fetcher.get(server.put("/a", "text"))).body == b"text"


async def test_cookies_are_not_kept(server: Server, fetcher: Fetcher) -> None:
    url = server.put("/a", "text", set_cookie="id=1")
    await fetcher.get(url)
    await fetcher.get(url)
    assert "cookie" not in server.asked[1][1]
    assert server.asked[1][1]["user-agent"] == "thrifty-rag"


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of docs.example, and its key."""
    paths = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    named = ["-subj", "/CN=docs.example", "-addext", "subjectAltName=DNS:docs.example"]
    put = ["-out", str(paths[0]), "-keyout", str(paths[1])]
    try:
        subprocess.run([*made.split(), *named, *put], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("no openssl to make a certificate with")
    return paths


async def test_tls_checks_the_name_and_not_the_address(
    certificate: tuple[Path, Path], make_fetcher: MakeFetcher
) -> None:
    ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.load_cert_chain(*certificate)
    async with serving(ours) as server:
        server.put("/a", "text")
        fetcher = make_fetcher(
            private_hosts=("docs.example", "other.example"),
            resolve=resolving(["127.0.0.1"]),
            tls=ssl.create_default_context(cafile=str(certificate[0])),
        )
        page = await fetcher.get(f"https://docs.example:{server.port}/a")
        assert page.body == b"text"
        error = await failure(fetcher, f"https://other.example:{server.port}/a")
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)


# Time and size


def drip(part: bytes, **headers: str) -> Callable[[Headers, asyncio.StreamWriter], Awaitable[None]]:
    """A body that comes bit by bit and never ends."""

    async def handle(_asked: Headers, writer: asyncio.StreamWriter) -> None:
        begin(writer, 200, {"content-type": "text/html"} | headers)
        while True:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)

    return handle


async def silent(_asked: Headers, _writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(600)


async def test_time_has_a_limit(server: Server, make_fetcher: MakeFetcher) -> None:
    server.pages |= {"/drip": drip(b"x"), "/silent": silent}
    server.put("/to", status=302, location="/silent")
    fetcher = make_fetcher(private_hosts=(server.host,), max_seconds=0.3)
    for path in ("/drip", "/silent", "/to"):
        error = await failure(fetcher, server.url(path))
        assert error.retryable
        assert str(error) == (
            f"{server.url(path)} takes longer than 0.3 seconds, the limit "
            "ingestion.max_page_seconds: check the address, or try again later"
        )


async def test_size_has_a_limit(server: Server, fetcher: Fetcher) -> None:
    server.pages["/endless"] = drip(b"x" * 50_000)
    server.put("/declared", content_length="100001")
    server.put("/bomb", gzip.compress(bytes(50_000_000)), content_encoding="gzip")
    for path in ("/endless", "/declared", "/bomb"):
        assert await refusal(fetcher, server.url(path)) == (
            f"{server.url(path)} has more than 100000 bytes, the limit: "
            "leave it out or raise ingestion.max_file_bytes"
        )
    body = b"y" * 100_000
    assert (await fetcher.get(server.put("/just", body))).body == body


def test_unpacking_makes_little_more_than_the_limit() -> None:
    unpack = Gunzip(1_000)
    packed = gzip.compress(bytes(10_000_000))
    assert len(b"".join(unpack.feed(part) for part in (packed[:50], packed[50:]))) == 1_001


async def test_packed_pages(server: Server, fetcher: Fetcher) -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"two")
    assert (await fetcher.get(server.put("/a", packed, content_encoding="gzip"))).body == b"one two"
    server.put("/half", packed[:-10], content_encoding="gzip")
    server.put("/wrong", b"no gzip", content_encoding="gzip")
    server.put("/br", b"x", content_encoding="br")
    server.put("/deflate", zlib.compress(b"x"), content_encoding="deflate")
    assert "breaks off" in str(await failure(fetcher, server.url("/half")))
    assert "is packed wrongly" in str(await failure(fetcher, server.url("/wrong")))
    assert "comes packed as br, unasked" in await refusal(fetcher, server.url("/br"))
    assert "comes packed as deflate" in await refusal(fetcher, server.url("/deflate"))


async def test_at_most_so_many_at_once(server: Server, make_fetcher: MakeFetcher) -> None:
    now, most = itertools.count(), []
    open_pages: set[int] = set()

    async def slow(_asked: Headers, writer: asyncio.StreamWriter) -> None:
        number = next(now)
        open_pages.add(number)
        most.append(len(open_pages))
        await asyncio.sleep(0.05)
        open_pages.discard(number)
        await answer("text")(_asked, writer)

    server.pages["/a"] = slow
    fetcher = make_fetcher(private_hosts=(server.host,), concurrency=2)
    await asyncio.gather(*(fetcher.get(server.url("/a")) for _ in range(6)))
    assert max(most) == 2


# What servers say


@pytest.mark.parametrize("status", [404, 410])
async def test_a_page_that_is_gone(status: int, server: Server, fetcher: Fetcher) -> None:
    url = server.put("/a", status=status)
    with pytest.raises(GoneError, match=f"is not there .status {status}.: correct or remove"):
        await fetcher.get(url)


@pytest.mark.parametrize("status", [204, 300, 302, 400, 401, 403])
async def test_a_page_that_is_not_given(status: int, server: Server, fetcher: Fetcher) -> None:
    url = server.put("/a", status=status)
    assert f"is not given to us (status {status})" in await refusal(fetcher, url)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_page_that_may_come_later(status: int, server: Server, fetcher: Fetcher) -> None:
    error = await failure(fetcher, server.put("/a", status=status, retry_after="30"))
    assert (error.retryable, error.retry_after_s, len(server.asked)) == (True, 30.0, 1)
    assert f"is not to be had now (status {status})" in str(error)


@pytest.mark.parametrize("when", ["0", "Sun, 06 Nov 1994 08:49:37 GMT"])
async def test_a_server_that_asks_to_come_back_soon_is_asked_once_more(
    when: str, server: Server, fetcher: Fetcher
) -> None:
    later = answer(status=503, retry_after=when)
    server.pages["/a"] = in_turn(later, answer("text"))
    assert (await fetcher.get(server.url("/a"))).body == b"text"
    server.pages["/b"] = in_turn(later, later, answer("text"))
    assert (await failure(fetcher, server.url("/b"))).retryable
    assert server.paths() == ["/a", "/a", "/b", "/b"]


async def test_what_the_network_does(server: Server, make_fetcher: MakeFetcher) -> None:
    async def hang_up(_asked: Headers, _writer: asyncio.StreamWriter) -> None:
        pass

    async def nonsense(_asked: Headers, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")

    server.pages |= {"/hang-up": hang_up, "/nonsense": nonsense}
    server.put("/short", "text", content_length="400")
    fetcher = make_fetcher(private_hosts=("127.0.0.1",), max_seconds=5)
    for path in ("/hang-up", "/nonsense", "/short"):
        error = await failure(fetcher, server.url(path))
        assert error.retryable
        assert "breaks off or is no HTTP" in str(error)
    error = await failure(fetcher, "http://127.0.0.1:1/")
    assert (error.retryable, "cannot be reached" in str(error)) == (True, True)

    async def no_name(_host: str, _port: int) -> Sequence[str]:
        raise OSError(-2, "Name or service not known")

    error = await failure(make_fetcher(resolve=no_name), "http://h.org/")
    assert str(error).startswith("h.org has no address (Name or service not known): ")
