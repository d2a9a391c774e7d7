"""Tries settings one after the other, each on top of the best so far: no grid of all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from evaluation.tuning.choosing import best, choose
from evaluation.tuning.scoring import Changes, Score

PASSES = 2
"""The second pass tries what finds better on top of what sends less, where it tells the most."""

Ask = Callable[[Changes], Awaitable[Score | None]]
"""The score of a trial; None for settings that contradict each other."""


@dataclass(frozen=True, slots=True)
class Knob:
    """A setting and the values to try. `aim` is what it is turned for.

    "quality" takes the value of best quality, "cost" the cheapest that is good enough.
    """

    setting: str
    values: tuple[JsonValue, ...]
    aim: Literal["quality", "cost"]


async def search(ask: Ask, knobs: Sequence[Knob], present: Score) -> list[Score]:
    """The scores of all that was tried, `present`, the settings as they are, first."""
    tried = {present.name: present}
    current = present
    for _ in range(PASSES):
        before = current.name
        for knob in knobs:
            near = [current, *await _turned(ask, knob, current)]
            tried |= {one.name: one for one in near}
            current = best(near) if knob.aim == "quality" else choose(near)
        if current.name == before:
            break
    return list(tried.values())


async def _turned(ask: Ask, knob: Knob, current: Score) -> list[Score]:
    """The scores of the current settings with each value of the knob; the present one first."""
    others = {name: value for name, value in current.changes.items() if name != knob.setting}
    trials = [others, *({**others, knob.setting: value} for value in knob.values)]
    scores = [await ask(changes) for changes in trials]
    return [one for one in scores if one is not None]
