"""Places for questions: no more are worked on at once than the machine can work on.

As long as the machine keeps up, who finds no place waits for one, first come, first served: after a
moment in which it stood still, as virtual machines do, those who wait have their turn soon. When
more come than it can answer, waiting helps nobody: it is crowded. Then those who wait are told to
come back, who finds no place is told so at once, and fewer are worked on at once, so that the
answers which are given are given soon. It ends when no more come than can be answered, which is
measured all the time by how long the cores have work. It ends after a while, too, when all
who were told to come back could be answered soon if they came together: they are counted again and
again. And since who comes back at once is counted even more often, it is tried without after a
longer while whatever was counted, but whoever waits in such a try waits less.

That a queue which passes is good and one which stands is bad is the thought of K. Nichols and
V. Jacobson, "Controlling Queue Delay" (ACM Queue 10(5), 2012).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rag.errors import OverloadedError

RETRY_AFTER_S = 1.0
COME_BACK_S = 1.5
"""After so long those who are told to come back do, on average."""
QUIET_PLACES_PER_CORE = 4
CROWDED_PLACES = 1
"""Of one process, on however many cores: what two questions do in Python they do in turns, so a
second one makes the first one slower and hardly a newcomer's answer sooner."""
LONGEST_WAIT_S = 8.0
SHORTER_WAIT_S = 2.0
GROWTH = 1.0
"""A queue that grows by so many seconds of work a second, for two seconds in a row, does not pass:
twice as many come as can be answered. Then `SHORTER_WAIT_S` is waited, and just after a crowd."""
TOGETHER_WAIT_S = 1.5
TRIED_WAIT_S = 1.0
WINDOW_S = 1.0
FADING = 0.9
"""What a measure counts for a window later: a second is not taken for the rule."""
FIRST_TRY_S = 5.0
LAST_TRY_S = 60.0
"""How long it stays crowded: this long at least, if as many come, and twice as long each time that
it was crowded again within `FIRST_TRY_S`; and this long at most before it is tried without."""


class Places:
    """The places of one service on `cores`; `now` is a clock in seconds. For one event loop."""

    def __init__(self, cores: int, now: Callable[[], float] = time.monotonic) -> None:
        self._cores = cores
        self._now = now
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = 0
        self.is_crowded = False
        self._opened_at = now() - FIRST_TRY_S
        self._closed_at = 0.0
        self._closed_s = FIRST_TRY_S
        self._tried_wait_s = LONGEST_WAIT_S
        self._busy_s = 0.0  # the sums of lately, of which fades what was earlier
        self._ended = 0.0
        self._waited = 0  # so many, when it was measured last
        self._grown = 0  # for so many windows in a row
        self._measured = _Measured(now())

    async def enter(self) -> Seat:
        """A place, which must be ended. Raises OverloadedError when there is none soon enough."""
        self._measure()
        self._measured.came += 1
        if self._taken < self._limit:
            self._change(1)
        else:
            await self._wait()
        return Seat(self)

    @property
    def are_hopeless(self) -> bool:
        """Whether it is crowded, and all places are taken."""
        return self.is_crowded and self._taken >= self._limit

    def turn_away(self) -> OverloadedError:
        """What somebody is told who did not come as far as to a place; he counts all the same."""
        self._measure()
        self._measured.came += 1
        return self._crowded()

    @property
    def _limit(self) -> int:
        return CROWDED_PLACES if self.is_crowded else QUIET_PLACES_PER_CORE * self._cores

    @property
    def _each_s(self) -> float:
        """One question after the other takes so long."""
        return self._busy_s / self._ended if self._ended else 0.0

    @property
    def _patience_s(self) -> float:
        return min(self._tried_wait_s, SHORTER_WAIT_S if self._grown >= 2 else LONGEST_WAIT_S)

    async def _wait(self) -> None:
        if not self.is_crowded and len(self._waiting) * self._each_s > self._patience_s:
            self._close_up()
        if self.is_crowded:
            raise self._crowded()
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await asyncio.wait({waiter}, timeout=self._patience_s)
            if waiter.done():
                waiter.result()
                return
            self._waiting.remove(waiter)
            self._close_up()
            raise self._crowded()
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.exception() is None:  # it got a place in the moment in which it left
                self._change(-1)
            raise

    def _close_up(self) -> None:
        """From now on it is crowded: who waits has waited in vain."""
        now = self._now()
        is_again = now - self._opened_at < FIRST_TRY_S
        self._closed_s = min(2 * self._closed_s, LAST_TRY_S) if is_again else FIRST_TRY_S
        self._closed_at = now
        self._hold()
        self.is_crowded = True
        for waiter in self._waiting:
            waiter.set_exception(self._crowded())
        self._waiting.clear()

    def _open(self, tried_wait_s: float) -> None:
        """From now on it is not crowded any more, unless somebody has to wait for longer."""
        self._hold()
        self.is_crowded = False
        self._opened_at = self._now()
        self._tried_wait_s = tried_wait_s

    def _change(self, taken: int) -> None:
        """One more place is taken, or one less; then somebody who waits gets it."""
        self._hold()
        self._taken += taken
        while self._waiting and self._taken < self._limit:
            self._waiting.popleft().set_result(None)
            self._taken += 1

    def _hold(self) -> None:
        self._measured.hold(self._now(), min(1.0, self._taken / min(self._cores, self._limit)))

    def _measure(self) -> None:
        """At the end of a window, look how long the cores had work and how many came."""
        now, measured = self._now(), self._measured
        elapsed_s = now - measured.since
        if elapsed_s < WINDOW_S:
            return
        self._hold()
        self._busy_s = FADING * self._busy_s + measured.busy_s
        self._ended = FADING * self._ended + measured.ended
        growth = (len(self._waiting) - self._waited) * self._each_s / elapsed_s
        self._grown = self._grown + 1 if growth > GROWTH else 0
        self._waited = len(self._waiting)
        if self.is_crowded:
            is_over = measured.came / elapsed_s * self._each_s <= 1
            together_s = measured.refused / elapsed_s * COME_BACK_S * self._each_s
            closed_s = now - self._closed_at
            if is_over or (closed_s >= self._closed_s and together_s <= TOGETHER_WAIT_S):
                self._open(SHORTER_WAIT_S)
            elif closed_s >= LAST_TRY_S:
                self._open(TRIED_WAIT_S)
        elif now - self._opened_at >= FIRST_TRY_S:
            self._tried_wait_s = LONGEST_WAIT_S
        self._measured = _Measured(now)

    def _crowded(self) -> OverloadedError:
        self._measured.refused += 1
        return OverloadedError(
            "more questions come than this machine can answer: "
            f"come back in {RETRY_AFTER_S:g} s, or add a replica",
            retry_after_s=RETRY_AFTER_S,
        )


class Seat:
    """A place in one question's hands: a Place."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._aside = 0
        self._is_over = False

    def leave(self) -> None:
        """Let others have it."""
        self._aside += 1
        if self._aside == 1 and not self._is_over:
            self._places._change(-1)

    def take_back(self) -> None:
        """Go on, even where all places are taken: who was let in is not sent away."""
        self._aside -= 1
        if self._aside == 0 and not self._is_over:
            self._places._change(1)

    def end(self) -> None:
        """Give it back for good."""
        self._places._measured.ended += 1
        if not self._aside and not self._is_over:
            self._places._change(-1)
        self._is_over = True


@dataclass(slots=True)
class _Measured:
    """What happened since a moment: who came, was refused, ended, and how long the cores worked."""

    since: float
    came: int = 0
    refused: int = 0
    ended: int = 0
    busy_s: float = 0.0
    seen: float = field(init=False)

    def __post_init__(self) -> None:
        self.seen = self.since

    def hold(self, now: float, share: float) -> None:
        """Such a share of the cores had work since it was last told."""
        self.busy_s += share * (now - self.seen)
        self.seen = now
