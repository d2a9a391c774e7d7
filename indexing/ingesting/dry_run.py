"""An ingestion that embeds and writes nothing, and comes to the same outcomes and counts.

It tells what the real one would take: the tokens of the chunks that are new are counted, some of
them are embedded to see how fast this machine does it today, and the rest is measured by doing it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from decimal import Decimal

from indexing.chunking import passage_of
from indexing.ingesting.parts import Parts
from indexing.ingesting.run import Run
from indexing.ingesting.writing import Prepared, Stored, Writer
from indexing.manifest.changes import Change
from indexing.manifest.quotes import Quote
from rag.types import Chunk, Passage

_SAMPLE_CHUNKS = 96
_LOOKED_UP_AT_ONCE = 256
_STORE_S_PER_CHUNK = 0.0005
"""Seconds of one core to store a chunk, the manifest included (measured on ten thousand documents).

Embedding takes all cores, and what runs beside it takes its share of them."""


class DryRun(Run):
    """A Run that keeps in mind what it would have written."""

    async def quote(self) -> Quote:
        """What the ingestion would take; call it after `finish`."""
        return await self._counter.quote(time.perf_counter() - self._started)

    def _make_writer(self, on_stored: Callable[[Stored], None]) -> Writer:
        self._counter = _Counter(self._parts, self._collection, on_stored)
        return self._counter

    async def _settle(self) -> None:
        pass


class _Counter(Writer):
    """Counts what it is given to write."""

    def __init__(self, parts: Parts, collection: str, on_stored: Callable[[Stored], None]) -> None:
        super().__init__(parts, collection, on_stored)
        self._seen: set[str] = set()
        self._waiting: dict[str, Chunk] = {}
        self._sample: list[Passage] = []
        self._documents = self._chunks = self._tokens = self._new = 0

    async def write(self, step: Prepared | Change) -> None:
        """Count one step more."""
        if isinstance(step, Prepared):
            self._documents += 1
            self._chunks += len(step.chunks)
            fresh = {c.content: c for c in step.chunks if c.content not in self._seen}
            self._seen |= fresh.keys()
            self._waiting |= fresh
            if len(self._waiting) >= _LOOKED_UP_AT_ONCE:
                await self.flush()

    async def flush(self) -> None:
        """Look up which of the chunks are new to the store."""
        waiting, self._waiting = self._waiting, {}
        known = await self._parts.store.embeddings(self._collection, list(waiting))
        passages = [passage_of(c) for content, c in waiting.items() if content not in known]
        self._new += len(passages)
        self._tokens += await asyncio.to_thread(self._count_tokens, passages)
        self._keep_some(passages)
        self._on_stored(Stored([], self._chunks, self._new))

    async def quote(self, seconds: float) -> Quote:
        """The counts, and the time; `seconds` is what all but embedding and storing took."""
        embedding_s = await self._embedding_s()
        return Quote(
            documents=self._documents,
            chunks=self._chunks,
            chunks_embedded=self._new,
            tokens=self._tokens,
            seconds=embedding_s + (seconds + _STORE_S_PER_CHUNK * self._chunks) / _cores(),
            usd=Decimal(0),  # every embedding model runs on this machine
        )

    async def _embedding_s(self) -> float:
        """Seconds to embed what is new, judged by a sample."""
        if not self._sample:
            return 0.0
        await self._parts.embedder.embed(self._sample[:8])  # the first call of a model is slow
        started = time.perf_counter()
        await self._parts.embedder.embed(self._sample)
        elapsed = time.perf_counter() - started
        tokens = await asyncio.to_thread(self._count_tokens, self._sample)
        return elapsed * self._tokens / max(tokens, 1)

    def _keep_some(self, passages: Sequence[Passage]) -> None:
        """Keep a sample that is spread evenly over all passages."""
        pool = [*self._sample, *passages]
        step = max(1, len(pool) // _SAMPLE_CHUNKS)
        self._sample = pool[::step][:_SAMPLE_CHUNKS]

    def _count_tokens(self, passages: Sequence[Passage]) -> int:
        return sum(len(self._parts.tokenizer.token_spans(p.text)) for p in passages)


def _cores() -> int:
    return os.cpu_count() or 1
