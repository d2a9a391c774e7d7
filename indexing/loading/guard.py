"""The network behind page addresses: lets through to public addresses only.

A name is resolved here, the answer is checked, and the connection goes to the very address that
was checked, so that a name which changes its mind in between gains nothing. TLS still checks the
name. Redirects come through here as every other connection does.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpcore

from rag.errors import DocumentError

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The IP addresses of a host name, for a port, best first. Raises OSError when it has none."""

_NAT64 = IPv6Network("64:ff9b::/96")  # an IPv4 address in its last four bytes: RFC 6052


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to any address of `private_hosts`.

    Those are `host` or `host:port`, as they stand in page addresses.
    """

    def __init__(self, private_hosts: Collection[str], resolve: Resolve | None = None) -> None:
        self._private_hosts = frozenset(host.lower() for host in private_hosts)
        self._resolve = resolve or _resolve
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 (httpcore's own signature)
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection. Raises DocumentError when the host has no address, or no public one."""
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise unreachable(f"{host} has no address ({_reason(error)})") from error
        shown = f"[{host}]" if ":" in host else host
        if not self._private_hosts & {host, shown, f"{shown}:{port}"}:
            for address in addresses:
                if not is_public(address):
                    raise DocumentError(
                        f"{shown} leads to {address}, which is no public address: name another "
                        f"page, or add {shown}:{port} to ingestion.private_hosts"
                    )
        failure: Exception = httpcore.ConnectError("no address")
        for address in addresses:
            try:
                return await self._network.connect_tcp(
                    address, port, timeout, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts to connect."""
        await self._network.sleep(seconds)


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet, and of a single host."""
    found = _innermost(ip_address(address.partition("%")[0]))
    special = found.is_multicast or found.is_reserved or found.is_unspecified
    return found.is_global and not special and not getattr(found, "is_site_local", False)


def unreachable(message: str) -> DocumentError:
    """An error about the network, which may be better later."""
    error = DocumentError(f"{message}: check the address, or try again later")
    error.retryable = True
    return error


def _innermost(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one leads to, where it does."""
    if isinstance(address, IPv6Address):
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
        return address.ipv4_mapped or address.sixtofour or address
    return address


async def _resolve(host: str, port: int) -> list[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _reason(error: OSError | UnicodeError) -> str:
    return getattr(error, "strerror", None) or "it is no name"
