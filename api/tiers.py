"""Which tiers can write an answer, and why the others cannot."""

from __future__ import annotations

from dataclasses import dataclass

from rag.types import Tier


@dataclass(frozen=True, slots=True)
class TierState:
    """Whether a tier is live; `why` is a line for a person."""

    name: Tier
    is_live: bool
    why: str


def tiers() -> list[TierState]:
    """Every tier, cheapest first."""
    return [
        TierState("cache", False, "this version does not reuse answers yet"),
        TierState("extractive", True, "always: quoting needs no key and no GPU, and costs nothing"),
        TierState("local", False, "this version has no local tier yet"),
        TierState(
            "premium", False, "this version has no premium tier yet: no paid call is possible"
        ),
    ]
