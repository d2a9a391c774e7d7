"""What an ingestion or a forgetting did, item by item: the words of the tables that people see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from indexing.manifest.quotes import Quote

Outcome = Literal["added", "changed", "unchanged", "duplicate", "removed", "skipped", "failed"]
OUTCOMES = get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Item:
    """What became of one source. `reason` says why it failed, or of what it is a duplicate."""

    source: str
    outcome: Outcome
    document_id: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an ingestion has come. `files_total` is known from the start."""

    files_done: int
    files_total: int
    documents: int
    chunks: int
    chunks_embedded: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class IngestionReport:
    """What an ingestion did. `chunks_embedded` of the `chunks` written needed the model.

    `quote` is what it was said to take, where that was asked before; for a dry run, what the real
    one would take.
    """

    collection: str
    items: tuple[Item, ...]
    chunks: int
    chunks_embedded: int
    seconds: float
    quote: Quote | None = None

    def counts(self) -> dict[str, int]:
        """How many items came to each outcome, all outcomes present."""
        found = Counter(item.outcome for item in self.items)
        return {outcome: found.get(outcome, 0) for outcome in OUTCOMES}


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """Proof that a document is gone: what was there before, and what is there after.

    `found_after` counts the hits of this document in a search for its own words, and
    `answers_removed` what was kept of answers that were made from it; `sources` are the places
    where it was found, from which an ingestion would bring it back.
    """

    document_id: str
    sources: tuple[str, ...]
    chunks_before: int
    chunks_after: int
    documents_before: int
    documents_after: int
    found_after: int
    answers_removed: int
