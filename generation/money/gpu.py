"""What calls cost on one's own GPU, which is paid by the hour.

The time of the GPU is shared equally among the calls that run at the same moment, so that a call
on a busy GPU is cheaper than the same call on an idle one, and all of them together cost the hours
in which the GPU had work. Hours without work are in no call's price. Calls that other programs make
are not seen: then each of ours is charged more than its share.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from decimal import Decimal

from rag.calls import Charge, ModelCall
from rag.types import Usage

_SECONDS_PER_HOUR = 3600
_PER_SECOND = 10**12
_PER_NANOSECOND = 1000
_WIND_UP_S = 5
"""A call that is stopped at its deadline takes a moment to end."""


class GpuPricing:
    """Pricing of calls to a server on one's own GPU, or on several that are paid together.

    For the event loop: its methods and those of its meters must be called on one thread.
    """

    def __init__(
        self,
        usd_per_hour: Decimal | None,
        timeout_s: float,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`timeout_s` is the deadline of a call; without a price per hour, no call has one."""
        self._usd_per_hour = usd_per_hour
        self._timeout_s = timeout_s
        self._clock_ns = clock_ns
        self._running = 0
        self._looked_ns = clock_ns()
        # Picoseconds that a call would have been charged had it run since the first moment. What a
        # division leaves over is kept for the next one, so that nothing is lost in a year of calls.
        self._share = 0
        self._left_over = 0
        self._busy_ns = 0
        self._output_tokens = 0

    @property
    def output_tokens_per_second(self) -> float | None:
        """Tokens written in ended calls per second in which the GPU had work; None before any."""
        self._look()
        return self._output_tokens * 1e9 / self._busy_ns if self._busy_ns else None

    @property
    def longest_call_usd(self) -> Decimal | None:
        """Dollars of a call that has the GPU to itself until its deadline."""
        if self._usd_per_hour is None:
            return None
        seconds = Decimal(str(self._timeout_s)) + _WIND_UP_S
        return self._usd_per_hour * seconds / _SECONDS_PER_HOUR

    def at_most_usd(self, call: ModelCall) -> Decimal | None:
        """Those of the longest call, whatever is asked."""
        return self.longest_call_usd

    def begin(self) -> GpuMeter:
        """A call begins now and shares the GPU until its meter ends."""
        self._look()
        self._running += 1
        return GpuMeter(self, self._share, self._looked_ns)

    def _look(self) -> None:
        """Bring the shares up to this moment."""
        now_ns = self._clock_ns()
        if self._running:
            passed = now_ns - self._looked_ns
            self._busy_ns += passed
            share, self._left_over = divmod(
                passed * _PER_NANOSECOND + self._left_over, self._running
            )
            self._share += share
        self._looked_ns = now_ns

    def _leave(self, share_at_begin: int, began_ns: int, usage: Usage | None) -> Charge:
        self._look()
        self._running -= 1
        share = self._share - share_at_begin
        seconds = (self._looked_ns - began_ns) / 1e9
        price: dict[str, str | float] = {"gpu_seconds": round(share / _PER_SECOND, 6)}
        if usage is not None:
            self._output_tokens += usage.output_tokens
            if seconds:
                price["output_tokens_per_second"] = round(usage.output_tokens / seconds, 1)
        usd = None
        if self._usd_per_hour is not None:
            price = {"usd_per_hour": str(self._usd_per_hour), **price}
            usd = self._usd_per_hour * share / (_SECONDS_PER_HOUR * _PER_SECOND)
        return Charge(usd, json.dumps(price, separators=(",", ":")), share / _PER_SECOND)


class GpuMeter:
    """The price of one call that is running on the GPU."""

    def __init__(self, gpu: GpuPricing, share_at_begin: int, began_ns: int) -> None:
        self._gpu = gpu
        self._share_at_begin = share_at_begin
        self._began_ns = began_ns
        self._charge: Charge | None = None

    def end(self, usage: Usage | None) -> Charge:
        """What the call cost; it is charged for its time whether its usage is known or not."""
        if self._charge is None:
            self._charge = self._gpu._leave(self._share_at_begin, self._began_ns, usage)
        return self._charge
