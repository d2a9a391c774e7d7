"""A circuit breaker: a server that keeps failing is left alone for a while, then probed.

Closed, it lets all calls through. After `max_failures` in a row it opens, and calls fail at once
instead of each waiting in vain; after `open_s` one call is let through as a probe, and closes or
opens it again.

What counts: a server that is out of reach, too slow, too busy or not to be understood. A call that
was refused does not, though a wrong key refuses every call: it fails at once and costs nothing,
while one question that the server does not take says nothing about the others. A budget, or a
caller who left, tells nothing either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from rag.errors import (
    ProviderBusyError,
    ProviderError,
    ProviderRefusedError,
    ProviderReplyError,
    ProviderUnavailableError,
)

BreakerState = Literal["closed", "open", "half-open"]


class CircuitBreaker:
    """The breaker of one model at one provider; `name` is what messages call it."""

    def __init__(
        self,
        name: str,
        max_failures: int = 5,
        open_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._max_failures = max_failures
        self._open_s = open_s
        self._clock = clock
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False
        self._last = ""

    @property
    def state(self) -> BreakerState:
        """Half-open from when a probe is due until it has ended."""
        if self._opened_at is None:
            return "closed"
        return "open" if self._clock() < self._opened_at + self._open_s else "half-open"

    @property
    def reason(self) -> str | None:
        """Why it is not closed, in one line; None when it is closed."""
        if self._opened_at is None:
            return None
        wait_s = max(0.0, self._opened_at + self._open_s - self._clock())
        when = f"tried again in {wait_s:.0f} s" if wait_s else "now tried with one call"
        return f"{self.name} failed {self._failures} times in a row and is {when}: {self._last}"

    def check(self) -> None:
        """Raises ProviderUnavailableError when no call may go through now."""
        state = self.state
        if state == "closed" or (state == "half-open" and not self._is_probing):
            return
        assert self._opened_at is not None
        wait_s = max(1.0, self._opened_at + self._open_s - self._clock())
        raise ProviderUnavailableError(str(self.reason), retry_after_s=wait_s)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Lets one call through, as `check`, and learns from how it ends."""
        self.check()
        is_probe = self._is_probing = self.state == "half-open"
        try:
            yield
            self._closed()
        except (ProviderUnavailableError, ProviderBusyError, ProviderReplyError) as error:
            self._failed(error)
            raise
        except ProviderRefusedError:
            self._closed()
            raise
        finally:
            if is_probe:
                self._is_probing = False

    def _closed(self) -> None:
        self._failures = 0
        self._opened_at = None

    def _failed(self, error: ProviderError) -> None:
        self._last = str(error)
        if self.state == "open":  # a call that began before it opened
            return
        self._failures += 1
        if self._failures >= self._max_failures:
            self._opened_at = self._clock()
