"""Whether the right places of documents were found, in characters."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from evaluation.questions import Place


def covered(gold: Sequence[Place], found: Sequence[Place]) -> float:
    """The share of the gold characters that were found; each counts once, however often given."""
    wanted = _characters(gold)
    return len(wanted & _characters(found)) / len(wanted)


def overlapping(cited: Sequence[Place], gold: Sequence[Place]) -> float:
    """The share of what is cited that has a character of gold."""
    return sum(touches(one, gold) for one in cited) / len(cited)


def within(cited: Sequence[Place], documents: Collection[str]) -> float:
    """The share of what is cited that comes from gold documents."""
    return sum(one.document_id in documents for one in cited) / len(cited)


def touches(place: Place, gold: Sequence[Place]) -> bool:
    """Whether the place has a character of gold."""
    return any(place.shared(one) for one in gold)


def _characters(places: Sequence[Place]) -> set[tuple[str, int]]:
    return {(one.document_id, at) for one in places for at in range(one.start, one.end)}
