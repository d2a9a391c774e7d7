"""How often a key and each visitor of its pages may call. The one file that knows `limits`.

A moving window: of the last minute, of the last day. Counted in memory, or in Redis, where several
services count together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from api.keys.key import Key
from rag.errors import MissingExtraError, RateLimitError, StateUnavailableError

if TYPE_CHECKING:
    from limits import RateLimitItem
    from limits.storage import Storage

VISITORS_AT_ONE_ADDRESS = 10
"""What all visitors behind one address may do together, in that of one: whoever makes up one name
after the other does not get further than this, and an office gets by with it."""

REDIS_INSTALL = "pip install 'thrifty-rag[redis]'"
REDIS_TIMEOUT_S = 2.0
_SWEEP_EVERY = 1_000
_MINUTE, _DAY = "minute", "day"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a key. `visitor` is the name that the page made up, "" where it made none.

    `address` is where it comes from.
    """

    visitor: str
    address: str
    is_question: bool


@dataclass(frozen=True, slots=True)
class _Bound:
    """At most `amount` of `what` in a `period` of who is counted under `names`."""

    amount: int
    period: str
    names: tuple[str, ...]
    who: str
    what: str

    @property
    def item(self) -> RateLimitItem:
        from limits import RateLimitItemPerDay, RateLimitItemPerMinute

        kind = RateLimitItemPerMinute if self.period == _MINUTE else RateLimitItemPerDay
        return kind(self.amount)


class Rates:
    """The counters, in memory without a `redis_url`.

    Raises MissingExtraError without the client of Redis.
    """

    def __init__(self, redis_url: str | None = None, now: Callable[[], float] = time.time) -> None:
        from limits.strategies import MovingWindowRateLimiter

        self._storage = _storage(redis_url)
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._now = now
        self._taken = 0

    def take(self, key: Key, visit: Visit) -> None:
        """Count a request. One that is refused counts nowhere, and so blocks nobody else.

        Raises RateLimitError, which says after how long to come back, and StateUnavailableError.
        """
        from limits.errors import StorageError

        bounds = list(_bounds(key, visit))
        self._taken += 1
        if self._taken % _SWEEP_EVERY == 0:
            self._sweep()
        try:
            for use in (self._limiter.test, self._limiter.hit):
                for bound in bounds:
                    if not use(bound.item, *bound.names):
                        raise self._refusal(bound)
        except StorageError as error:
            raise StateUnavailableError(
                f"the limits in Redis cannot be counted ({type(error.storage_error).__name__}): "
                "start what server.redis_url names, or leave that unset"
            ) from None

    def _sweep(self) -> None:
        """Forget who is gone: `limits` keeps an empty list of everybody whom it ever saw."""
        from limits.storage import MemoryStorage

        if isinstance(self._storage, MemoryStorage):
            events = self._storage.events
            for name in [name for name, made in list(events.items()) if not made]:
                events.pop(name, None)

    def _refusal(self, bound: _Bound) -> RateLimitError:
        resets_at = self._limiter.get_window_stats(bound.item, *bound.names).reset_time
        wait_s = max(1.0, resets_at - self._now())
        return RateLimitError(
            f"{bound.who} has made {bound.amount:,} {bound.what} within a {bound.period}, which is "
            f"the limit: come back in {wait_s:,.0f} s",
            retry_after_s=wait_s,
        )


def _bounds(key: Key, visit: Visit) -> Iterator[_Bound]:
    """What stands before a request, the narrowest first."""
    limits = [(key.visitor_requests_per_minute, _MINUTE, "requests")]
    if visit.is_question:
        limits.append((key.visitor_questions_per_day, _DAY, "questions"))
    for amount, period, what in limits:
        if amount is not None and visit.visitor:
            counted = (key.name, "visitor", visit.visitor)
            yield _Bound(amount, period, counted, "this visitor", what)
        if amount is not None:
            many = amount * VISITORS_AT_ONE_ADDRESS
            counted = (key.name, "address", visit.address)
            yield _Bound(many, period, counted, "this address", what)
    if key.requests_per_minute is not None:
        amount, who = key.requests_per_minute, f"the key {key.name!r}"
        yield _Bound(amount, _MINUTE, (key.name, "key"), who, "requests")


def _storage(redis_url: str | None) -> Storage:
    from limits.errors import ConfigurationError
    from limits.storage import MemoryStorage, RedisStorage

    if redis_url is None:
        return MemoryStorage()
    try:
        return RedisStorage(
            redis_url,
            wrap_exceptions=True,
            key_prefix="thrifty-rag",
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
        )
    except ConfigurationError:
        raise MissingExtraError(
            "redis, which RAG_SERVER__REDIS_URL needs,", REDIS_INSTALL
        ) from None
