"""Lets concurrent callers of an embedder share its batches.

While one batch runs, new calls wait together and become the next batch: no timer, so a single
call never waits. A failed batch answers every waiter; a caller who has left is dropped before his
work starts (as text-embeddings-inference does it).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rag.ports import Embedder
from rag.types import Embedding, Passage


@dataclass(frozen=True, slots=True)
class _Waiter:
    passages: Sequence[Passage]
    embeddings: asyncio.Future[list[Embedding]]


class BatchingEmbedder:
    """An Embedder that sends at most `max_passages` at once to the embedder it wraps."""

    def __init__(self, embedder: Embedder, max_passages: int = 32) -> None:
        self._embedder = embedder
        self._max_passages = max_passages
        self._waiting: list[_Waiter] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def fingerprint(self) -> str:
        """That of the wrapped embedder."""
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        """That of the wrapped embedder."""
        return self._embedder.dimension

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        """One embedding for each passage, in order."""
        waiter = _Waiter(passages, asyncio.get_running_loop().create_future())
        self._waiting.append(waiter)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await waiter.embeddings

    async def _run(self) -> None:
        while batch := self._next_batch():
            try:
                found = await self._embedder.embed([p for w in batch for p in w.passages])
            except Exception as error:
                for waiter in batch:
                    if not waiter.embeddings.done():
                        waiter.embeddings.set_exception(error)
                continue
            for waiter in batch:
                mine, found = found[: len(waiter.passages)], found[len(waiter.passages) :]
                if not waiter.embeddings.done():
                    waiter.embeddings.set_result(mine)

    def _next_batch(self) -> list[_Waiter]:
        self._waiting = [waiter for waiter in self._waiting if not waiter.embeddings.done()]
        batch: list[_Waiter] = []
        size = 0
        while self._waiting:
            size += len(self._waiting[0].passages)
            if batch and size > self._max_passages:
                break
            batch.append(self._waiting.pop(0))
        return batch
