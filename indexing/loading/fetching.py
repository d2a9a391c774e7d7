"""Fetches pages over HTTP: everything that a server may do to its client has a limit.

It knows no formats. No cookie is kept, no proxy is asked, no redirect is followed unchecked.
"""

from __future__ import annotations

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin

import httpcore

from indexing.loading.guard import GuardedNetwork, Resolve, unreachable
from indexing.loading.names import canonical_url
from rag.errors import DocumentError, GoneError, InputError

USER_AGENT = "thrifty-rag"
DEFAULT_MAX_PAGE_SECONDS = 30.0
DEFAULT_MAX_PAGE_BYTES = 50_000_000

_CONNECT_SECONDS = 10.0
_PATIENCE_SECONDS = 5.0
_REDIRECTS = {301, 302, 303, 307, 308}
_GONE = {404, 410}


@dataclass(frozen=True, slots=True)
class Page:
    """What a server answered. `url` is the last address, after redirects; names are in lower case.

    `body` is unpacked; None where the page is the one that the request's marks name (304).
    """

    url: str
    headers: Mapping[str, str]
    body: bytes | None


class Fetcher:
    """Gets pages, at most `concurrency` at once.

    A page may take `max_seconds` in all, with its redirects, and have `max_bytes`, packed and
    unpacked. `private_hosts` and `resolve` are as in GuardedNetwork; `tls` says whom to trust, by
    default who is trusted by `certifi`, or by the file in SSL_CERT_FILE.
    """

    def __init__(
        self,
        *,
        private_hosts: Collection[str] = (),
        max_seconds: float = DEFAULT_MAX_PAGE_SECONDS,
        max_bytes: int = DEFAULT_MAX_PAGE_BYTES,
        max_redirects: int = 5,
        concurrency: int = 4,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._network = GuardedNetwork(private_hosts, resolve)
        self._max_seconds = max_seconds
        self._max_bytes = max_bytes
        self._max_redirects = max_redirects
        self._concurrency = concurrency
        self._free = asyncio.Semaphore(concurrency)
        self._tls = tls
        self._pool: httpcore.AsyncConnectionPool | None = None

    async def get(self, url: str, headers: Mapping[str, str] | None = None) -> Page:
        """The page at a canonical address; `headers` are sent besides the usual ones.

        A server that asks to come back within 5 seconds is asked once more. Raises GoneError for
        404 and 410, and DocumentError, `retryable` where that may help, for all else.
        """
        async with self._free:
            try:
                async with asyncio.timeout(self._max_seconds):
                    try:
                        return await self._follow(url, headers or {})
                    except DocumentError as error:
                        after = error.retry_after_s
                        if after is None or after > _PATIENCE_SECONDS:
                            raise
                    await asyncio.sleep(after)
                    return await self._follow(url, headers or {})
            except TimeoutError:
                raise unreachable(
                    f"{url} takes longer than {self._max_seconds:g} seconds, the limit "
                    "ingestion.max_page_seconds"
                ) from None

    async def close(self) -> None:
        """Close all connections."""
        if self._pool is not None:
            await self._pool.aclose()
            self._pool = None

    async def _follow(self, asked: str, headers: Mapping[str, str]) -> Page:
        url = asked
        for _ in range(self._max_redirects + 1):
            async with self._request(url, headers) as response:
                told = _headers(response)
                target = told.get("location")
                if response.status not in _REDIRECTS or target is None:
                    return await self._page(url, asked, response, told)
            try:
                url = canonical_url(urljoin(url, target))
            except (InputError, ValueError) as error:
                raise DocumentError(f"{asked} redirects to no page: {error}") from error
        raise DocumentError(
            f"{asked} redirects more than {self._max_redirects} times, the limit: "
            "name the page it leads to"
        )

    @asynccontextmanager
    async def _request(
        self, url: str, headers: Mapping[str, str]
    ) -> AsyncIterator[httpcore.Response]:
        if self._pool is None:
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls or await asyncio.to_thread(_default_tls),
                max_connections=self._concurrency,
                keepalive_expiry=5.0,
                network_backend=self._network,
            )
        sent = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "gzip", **headers}
        try:
            async with self._pool.stream(
                "GET",
                url,
                headers=[(name.encode(), value.encode()) for name, value in sent.items()],
                extensions={"timeout": {"connect": _CONNECT_SECONDS}},
            ) as response:
                yield response
        except httpcore.TimeoutException as error:
            raise unreachable(f"{url} does not answer") from error
        except httpcore.NetworkError as error:
            raise unreachable(f"{url} cannot be reached ({_one_line(error)})") from error
        except (httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
            raise unreachable(f"{url} breaks off or is no HTTP ({_one_line(error)})") from error

    async def _page(
        self, url: str, asked: str, response: httpcore.Response, headers: Mapping[str, str]
    ) -> Page:
        status = response.status
        if status == 304:
            return Page(url, headers, None)
        if status in _GONE:
            raise GoneError(
                f"{asked} is not there (status {status}): correct or remove the address"
            )
        if status == 429 or status >= 500:
            error = unreachable(f"{asked} is not to be had now (status {status})")
            error.retry_after_s = _seconds_until(headers.get("retry-after", ""))
            raise error
        if status != 200:
            raise DocumentError(
                f"{asked} is not given to us (status {status}): name a page that needs no login"
            )
        return Page(url, headers, await self._body(asked, response, headers))

    async def _body(
        self, url: str, response: httpcore.Response, headers: Mapping[str, str]
    ) -> bytes:
        packing = headers.get("content-encoding", "identity").strip().lower()
        if packing not in ("identity", "gzip", "x-gzip", ""):
            raise DocumentError(f"{url} comes packed as {packing}, unasked: name another page")
        unpack = Gunzip(self._max_bytes) if "gzip" in packing else None
        body, received = bytearray(), 0
        too_large = DocumentError(
            f"{url} has more than {self._max_bytes} bytes, the limit: "
            "leave it out or raise ingestion.max_file_bytes"
        )
        if headers.get("content-length", "").isdecimal():
            received = int(headers["content-length"])
        if received > self._max_bytes:
            raise too_large
        received = 0
        async for part in response.aiter_stream():
            received += len(part)
            try:
                body += unpack.feed(part) if unpack else part
            except zlib.error as error:
                raise unreachable(f"{url} is packed wrongly ({error})") from error
            if max(received, len(body)) > self._max_bytes:
                raise too_large
        if unpack and received and not unpack.ended:
            raise unreachable(f"{url} breaks off")
        return bytes(body)


class Gunzip:
    """Unpacks gzip as it comes in, and makes little more than `most_bytes` of it in all."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes + 1
        self._member = zlib.decompressobj(wbits=31)

    @property
    def ended(self) -> bool:
        """Whether what was fed is whole."""
        return self._member.eof

    def feed(self, packed: bytes) -> bytes:
        """What `packed` unpacks to, cut at the limit. Raises zlib.error when it is damaged."""
        unpacked = bytearray()
        while packed and self._left > 0:
            if self._member.eof:
                self._member = zlib.decompressobj(wbits=31)
            made = self._member.decompress(packed, self._left)
            self._left -= len(made)
            unpacked += made
            packed = self._member.unconsumed_tail or self._member.unused_data
        return bytes(unpacked)


def _default_tls() -> ssl.SSLContext:
    import httpx

    return httpx.create_ssl_context()


def _headers(response: httpcore.Response) -> dict[str, str]:
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
    }


def _seconds_until(header: str) -> float | None:
    """What a `Retry-After` says, in seconds from now; None where it says nothing."""
    if header.strip().isdecimal():
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
