"""Places for questions: no more are worked on at once than the machine can work on.

As long as the machine keeps up, who finds no place waits for one, first come, first served. When
more come than it can answer, waiting helps nobody: it is crowded. Then those who wait are told to
come back, a newcomer waits a moment at most, the newest go first, and fewer are worked on at once,
so that the answers which are given are given soon. It ends when no more come than can be answered,
which is measured all the time by how long questions hold their places. And since those who are
refused may come back at once, and so be counted again and again, it is tried after a while whether
all who come find places, the more rarely the more often they did not.

The thought is that of K. Nichols and V. Jacobson, "Controlling Queue Delay" (ACM Queue 10(5),
2012), with the newest first as B. Maurer has it in "Fail at Scale" (ACM Queue 13(8), 2015).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from rag.errors import OverloadedError

QUIET_PLACES_PER_CORE = 4
CROWDED_PLACES = 1
"""Of one process, on however many cores: what two questions do in Python they do in turns, so a
second one makes the first one slower and hardly a newcomer's answer sooner."""
LONGEST_WAIT_S = 2.0
CROWDED_WAIT_S = 0.005
WINDOW_S = 1.0
FIRST_TRY_S = 5.0
LAST_TRY_S = 60.0
"""How long it stays crowded before it is tried without: this long at first, then twice as long each
time that it was crowded again within `FIRST_TRY_S`, and this long at most."""
RETRY_AFTER_S = 1.0


class Places:
    """The places of one service on `cores`; `now` is a clock in seconds. For one event loop."""

    def __init__(self, cores: int, now: Callable[[], float] = time.monotonic) -> None:
        self._cores = cores
        self._now = now
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = 0
        self.is_crowded = False
        self._opened_at = now() - FIRST_TRY_S
        self._try_s = FIRST_TRY_S
        self._try_at = 0.0
        self._each_s = 0.0  # one question after the other takes so long
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
        """Whether it is crowded, and as many wait already as there are places."""
        return self.is_crowded and len(self._waiting) >= self._limit

    def turn_away(self) -> OverloadedError:
        """What somebody is told who did not come as far as to a place; he counts all the same."""
        self._measure()
        self._measured.came += 1
        return _crowded()

    @property
    def _limit(self) -> int:
        return CROWDED_PLACES if self.is_crowded else QUIET_PLACES_PER_CORE * self._cores

    async def _wait(self) -> None:
        if not self.is_crowded and self._wait_ahead_s() > LONGEST_WAIT_S:
            self._close_up()
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        longest_s = CROWDED_WAIT_S if self.is_crowded else LONGEST_WAIT_S
        try:
            await asyncio.wait({waiter}, timeout=longest_s)
            if waiter.done():
                waiter.result()
                return
            self._waiting.remove(waiter)
            if not self.is_crowded:
                self._close_up()
            raise _crowded()
        except asyncio.CancelledError:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            elif waiter.exception() is None:  # it got a place in the moment in which it left
                self._change(-1)
            raise

    def _wait_ahead_s(self) -> float:
        """How long a newcomer would wait."""
        return len(self._waiting) * self._each_s

    def _close_up(self) -> None:
        """From now on it is crowded: who waits has waited in vain."""
        now = self._now()
        is_again = now - self._opened_at < FIRST_TRY_S
        self._try_s = min(2 * self._try_s, LAST_TRY_S) if is_again else FIRST_TRY_S
        self._try_at = now + self._try_s
        self.is_crowded = True
        for waiter in self._waiting:
            waiter.set_exception(_crowded())
        self._waiting.clear()

    def _change(self, taken: int) -> None:
        """One more place is taken, or one less; then somebody who waits gets it."""
        self._measured.hold(self._now(), self._taken)
        self._taken += taken
        while self._waiting and self._taken < self._limit:
            waiter = self._waiting.pop() if self.is_crowded else self._waiting.popleft()
            waiter.set_result(None)
            self._taken += 1

    def _measure(self) -> None:
        """At the end of a window, look how long places were held and how many were wanted."""
        now, measured = self._now(), self._measured
        elapsed_s = now - measured.since
        if elapsed_s < WINDOW_S:
            return
        measured.hold(now, self._taken)
        if measured.ended:
            self._each_s = measured.held_s / measured.ended / self._limit
        wanted = measured.came / elapsed_s * self._each_s
        if self.is_crowded and (wanted <= 1 or now >= self._try_at):
            self.is_crowded = False
            self._opened_at = now
            self._each_s /= 2  # to refuse the others took its time, too
        self._measured = _Measured(now)


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
    """What happened since a moment: who came, who ended, and how long they held places."""

    since: float
    came: int = 0
    ended: int = 0
    held_s: float = 0.0
    seen: float = field(init=False)

    def __post_init__(self) -> None:
        self.seen = self.since

    def hold(self, now: float, taken: int) -> None:
        """So many places were taken since it was last told."""
        self.held_s += taken * (now - self.seen)
        self.seen = now


def _crowded() -> OverloadedError:
    return OverloadedError(
        "more questions come than this machine can answer: "
        f"come back in {RETRY_AFTER_S:g} s, or add a replica",
        retry_after_s=RETRY_AFTER_S,
    )
