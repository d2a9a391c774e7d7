"""What stands at the places where documents come from: found, read or failed."""

from __future__ import annotations

from dataclasses import dataclass

from rag.types import Document


@dataclass(frozen=True, slots=True)
class FailedPart:
    """A part of a file that could not be read. `reason` is one line fit for a person."""

    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What is at some places: `sources` in order, each once.

    `skipped` are the files, folders and pages that are left out, with the reason. What lies under
    a skipped one was not seen: that it is no source does not say that it is gone.
    """

    sources: tuple[str, ...]
    skipped: tuple[FailedPart, ...]


@dataclass(frozen=True, slots=True)
class ReadResult:
    """What a reader made of one file: at least one document or one part that failed."""

    documents: list[Document]
    failed: list[FailedPart]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What stands at a source. `mark` is a text that changes when what stands there does.

    `result` is None where the mark is the one that the caller knew: nothing was read.
    """

    mark: str
    result: ReadResult | None
