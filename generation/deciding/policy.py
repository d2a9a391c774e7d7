"""Who is asked next: the one question that a cascade has, and the plain rule that answers it.

Another answer, by expected dollars, is in `spending`; it falls back to the plain rule where it does
not know enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from rag.types import Context, Generation, Hit, Question, Tier


@dataclass(frozen=True, slots=True)
class Case:
    """A question in the middle of being answered.

    `made` are the answers so far, the free one first, and `left` the tiers that may still be asked,
    cheapest first.
    """

    question: Question
    hits: Sequence[Hit]
    context: Context
    made: Sequence[Generation]
    left: Sequence[Tier]


@dataclass(frozen=True, slots=True)
class Choice:
    """The tier to ask next, None where no more are asked; and why, with the numbers."""

    tier: Tier | None
    because: str


class Policy(Protocol):
    """Decides who is asked."""

    async def choose(self, case: Case) -> Choice:
        """Who is asked next; of the tiers that are left, or nobody."""


def is_good_enough(generation: Generation, escalate_below: float) -> bool:
    """Whether the plain rule asks no dearer tier."""
    return not generation.abstained and generation.confidence >= escalate_below


class PlainRule:
    """A Policy: the next dearer tier, as long as the confidence is below `escalate_below`, 0 to 1.

    A model that found no answer leaves the question to the next one too.
    """

    def __init__(self, escalate_below: float) -> None:
        self._escalate_below = escalate_below

    async def choose(self, case: Case) -> Choice:
        """See `Policy`."""
        last, limit = case.made[-1], self._escalate_below
        told = "found no answer" if last.abstained else f"has a confidence of {last.confidence:.2f}"
        if is_good_enough(last, limit):
            return Choice(None, f"{last.tier} {told}, and {limit:.2f} is enough")
        if not case.left:
            return Choice(None, f"{last.tier} {told}, and no dearer tier is left")
        return Choice(case.left[0], f"{last.tier} {told}, and {limit:.2f} was wanted")
