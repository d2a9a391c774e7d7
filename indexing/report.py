"""What an ingestion or a forgetting did, item by item: the words of the tables that people see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["added", "changed", "unchanged", "duplicate", "removed", "failed"]


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
    """What an ingestion did. `chunks_embedded` of the `chunks` written needed the model."""

    collection: str
    items: tuple[Item, ...]
    chunks: int
    chunks_embedded: int
    seconds: float

    def counts(self) -> dict[str, int]:
        """How many items came to each outcome, all outcomes present."""
        found = Counter(item.outcome for item in self.items)
        return {
            outcome: found.get(outcome, 0)
            for outcome in ("added", "changed", "unchanged", "duplicate", "removed", "failed")
        }


@dataclass(frozen=True, slots=True)
class ForgetReport:
    """Proof that a document is gone: what was there before, and what is there after."""

    document_id: str
    chunks_before: int
    chunks_after: int
    documents_before: int
    documents_after: int
