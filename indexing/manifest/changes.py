"""What one batch of an ingestion changes in the manifest, in order."""

from __future__ import annotations

from dataclasses import dataclass

from rag.types import Document


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document was found: a source, the id it goes by there, and the file that holds it."""

    source: str
    own_id: str
    file: str


@dataclass(frozen=True, slots=True)
class PutDocument:
    """Record a document as it is now, found at `places`; its `bands` are those of its sketch.

    `chunks` is None where the number of its chunks stays.
    """

    document: Document
    revision: str
    chunks: int | None
    bands: tuple[int, ...]
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class AddPlace:
    """A document was found at one more place."""

    document_id: str
    place: Place


@dataclass(frozen=True, slots=True)
class RemoveSources:
    """Documents are at these sources no more."""

    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file is being recorded anew: until it is closed, nobody shall take it for unchanged."""

    file: str


@dataclass(frozen=True, slots=True)
class CloseFile:
    """All of a file is recorded; `mark` is what it was then."""

    file: str
    mark: str


Change = AddPlace | RemoveSources | OpenFile | CloseFile
