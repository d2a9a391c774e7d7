"""What an ingestion works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from indexing.ingesting.turns import Turns
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from rag.ports import Chunker, ChunkStore, Embedder, Loader, Reader, Tokenizer

DropAnswers = Callable[[str, Sequence[str]], Awaitable[int]]


async def _keep_none(collection: str, document_ids: Sequence[str]) -> int:
    """Where no answers are kept, none is dropped."""
    return 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What an ingestion works with.

    Chunks are embedded and stored `batch_chunks` at a time, or a document if that has more.
    `check_room` raises when the disk has no room for more. `drop_answers` deletes what is
    kept of answers made from one of the documents of a collection, and gives how many there were.
    `forgotten` are documents that were deleted while an ingestion runs, which must not bring them
    back.
    """

    reader: Reader
    loader: Loader
    chunker: Chunker
    tokenizer: Tokenizer
    embedder: Embedder
    store: ChunkStore
    manifest: Manifest
    quotes: Quotes
    batch_chunks: int = 256
    check_room: Callable[[], None] = lambda: None
    drop_answers: DropAnswers = _keep_none
    turns: Turns = field(default_factory=Turns)
    forgotten: set[tuple[str, str]] = field(default_factory=set)
