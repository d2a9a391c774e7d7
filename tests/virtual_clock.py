"""An event loop whose clock jumps: tests wait for hours in no time, and always as long."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable
from typing import Any


class _JumpingSelector(selectors.DefaultSelector):
    """Reports what is ready; where nothing is, the clock goes on to the next timer at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everything waits, and no timer will wake it")
        if not ready and timeout is not None:
            self.now += timeout
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0. Not for work in threads or processes: the clock outruns it."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def on_virtual_clock(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test on such a loop."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def body() -> None:
            await test(*args, **kwargs)

        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            runner.run(body())

    return run


def now() -> float:
    """The time on the running loop, in seconds."""
    return asyncio.get_running_loop().time()
