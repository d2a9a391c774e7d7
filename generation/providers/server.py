"""A server of language models as people see it: where it is, and what is wrong with it.

Knows no client and no protocol. It makes the errors that all adapters raise, and never tells a key.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from rag.errors import (
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
    SettingsError,
)

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 5.0
KEPT_ALIVE_S = 4.0
MAX_TOLD_CHARS = 200
"""As much of a server's own words goes into a message."""
MAX_NAMES = 5
_GAVE_UP_WAITING = (408, 502, 504)
"""Told by who stands in front of a model, which may have worked on the call all the same."""


class ModelServer:
    """One server, the key for it, and the model that is asked for there."""

    def __init__(self, url: str, api_key: str | None, timeout_s: float) -> None:
        """`timeout_s` is how long a connection may stay silent. Raises SettingsError."""
        host = _host(url)
        if not host:
            raise SettingsError(
                f"the address of the model server is {_without_login(url)!r}: "
                "give one that begins with http:// or https:// and a host"
            )
        if api_key is not None and not _can_be_sent(api_key):
            raise SettingsError(
                "the API key is empty, or holds white space or what is not ASCII: copy it anew"
            )
        self.address = _without_login(url)
        self.is_local = _is_loopback(host)
        self._api_key = api_key
        self._timeout_s = timeout_s

    def status_error(
        self, status: int, told: str, headers: Mapping[str, str], model: str
    ) -> ProviderError:
        """The error for an HTTP status; `told` is what the server said."""
        said = f"{status}: {self._quote(told)}" if told.strip() else str(status)
        after_s = retry_after_s(headers)
        if status in {401, 403}:
            return ProviderRefusedError(
                f"{self.address} does not accept the API key ({said}): "
                "set the api_key of this tier to one that is valid there"
                if self._api_key
                else f"{self.address} asks for an API key, and none is set ({said}): "
                "set the api_key of this tier"
            )
        if status == 402:
            return ProviderRefusedError(
                f"{self.address} wants to be paid first ({said}): top up the account of the API key"
            )
        if status in {429, 529}:
            when = "later" if after_s is None else f"after {after_s:g} s"
            return ProviderBusyError(
                f"{self.address} takes no more calls now ({said}): come back {when}",
                retry_after_s=after_s,
            )
        if status in {408, 409, 425} or status >= 500:
            return ProviderUnavailableError(
                f"{self.address} failed ({said}): try again, or look into its log",
                retry_after_s=after_s,
                was_taken=status in _GAVE_UP_WAITING,
            )
        return ProviderRefusedError(
            f"{self.address} does not take this call to {model!r} ({said}): "
            "mend the model or the limits of this tier"
        )

    def unknown_model(self, model: str, names: Sequence[str]) -> ProviderError:
        """The server has no model of that name; `names` are those it has, as far as is known."""
        more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
        listed = ", ".join(self._quote(name) for name in names[:MAX_NAMES])
        has = f"but {listed}{more}" if names else "and does not tell which it has"
        return ProviderRefusedError(
            f"{self.address} has no model {model!r}, {has}: set this tier's model to one it has"
        )

    def model_names(self, listed: object, protocol: str) -> list[str]:
        """The names in a list of models, which both protocols give alike."""
        entries = listed.get("data") if isinstance(listed, dict) else None
        if not isinstance(entries, list):
            raise self.another_protocol(protocol, f"{listed!r} for a list of models")
        return [str(entry["id"]) for entry in entries if isinstance(entry, dict) and "id" in entry]

    def no_models(self) -> ProviderError:
        """The server was asked which models it has, and lists none."""
        return ProviderReplyError(
            f"{self.address} lists no models: set the model of this tier to the one that it serves"
        )

    def connection_error(
        self, *, was_reached: bool, was_in_time: bool, has_begun: bool
    ) -> ProviderError:
        """The error for a connection that failed; `has_begun` says that a part had come."""
        if not was_reached:
            return self.unreachable()
        if not was_in_time:
            return self.too_slow()
        return self.broke_off() if has_begun else self.hung_up()

    def unreachable(self) -> ProviderError:
        """No connection: the call did not get there."""
        return ProviderUnavailableError(
            f"{self.address} cannot be reached: see that the model server runs there, "
            "or mend the address",
            was_taken=False,
        )

    def hung_up(self) -> ProviderError:
        """The connection was lost before anything came; nobody knows what became of the call."""
        return ProviderUnavailableError(
            f"{self.address} closed the connection without an answer: try again, or look into its "
            "log"
        )

    def too_slow(self) -> ProviderError:
        """The server was silent for too long."""
        return ProviderUnavailableError(
            f"{self.address} was silent for {self._timeout_s:g} s, the limit: "
            "look at its load, or raise the timeout of this tier"
        )

    def broke_off(self, told: str = "") -> ProviderError:
        """The stream ended before the answer did."""
        said = f" ({self._quote(told)})" if told.strip() else ""
        return ProviderUnavailableError(
            f"{self.address} broke off in the middle of an answer{said}: "
            "try again, or look into its log"
        )

    def another_protocol(self, protocol: str, what: str) -> ProviderError:
        """The server answered `what`, which is not of the protocol that was expected."""
        return ProviderReplyError(
            f"{self.address} answered {self._quote(what)}, which is not the {protocol} protocol: "
            "check the address, path included"
        )

    def _quote(self, told: str) -> str:
        """The server's words on one line, not too many, without the key."""
        line = " ".join(told.split())
        if self._api_key:
            line = line.replace(self._api_key, "[key]")
        return line if len(line) <= MAX_TOLD_CHARS else line[: MAX_TOLD_CHARS - 1] + "…"


def connection_limits() -> httpx2.Limits:
    """Of the clients: vLLM closes a connection that is idle for 5 s, so ours are closed before."""
    import httpx2

    return httpx2.Limits(
        max_connections=1_000, max_keepalive_connections=100, keepalive_expiry=KEPT_ALIVE_S
    )


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds after which to come back, of the header that says so in seconds or as a date."""
    told = headers.get("retry-after", "")
    try:
        seconds = float(told)
    except ValueError:
        try:
            when = parsedate_to_datetime(told)
        except ValueError:
            return None
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        seconds = (when - datetime.now(UTC)).total_seconds()
    return max(seconds, 0.0) if seconds < float("inf") else None


def without_refused(options: Mapping[str, Any], told: str) -> dict[str, Any] | None:
    """The options but those that a refusal names; None where it names none of them."""
    left = {name: value for name, value in options.items() if name not in told.lower()}
    return left if len(left) < len(options) else None


def _host(url: str) -> str | None:
    """The host of an address that can be called, else None."""
    try:
        parts = urlsplit(url)
        can_be = parts.scheme in {"http", "https"} and url.isprintable() and " " not in url
        return parts.hostname if can_be and parts.port != 0 else None
    except ValueError:
        return None


def _without_login(url: str) -> str:
    """The address without what may be secret: a name and password before the host, a query."""
    start, slashes, rest = url.partition("?")[0].rpartition("//")
    return f"{start}{slashes}{rest.rpartition('@')[2]}"


def _can_be_sent(api_key: str) -> bool:
    """Whether a header can hold it; the client would tell the key in its complaint."""
    return bool(api_key) and api_key.isascii() and api_key.isprintable() and " " not in api_key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
