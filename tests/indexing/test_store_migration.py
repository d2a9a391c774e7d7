"""A store copied into another: nothing embedded again, nothing lost, the same hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fakes import Disk, MemoryStore, OpenStore
from qdrant_over_http import qdrant_over_http
from store_makers import (
    DIMENSION,
    LocalQdrant,
    chunk,
    chunk_id,
    connected_store,
    embedded,
    hashed,
    query,
    server_store,
)

from indexing.stores.migration import CopyReport, copy_store
from rag.errors import StoreError
from rag.ports import ChunkStore
from rag.types import EmbeddedChunk

TEXTS = ["Zebra crossing.", "A lion sleeps.", "Parcels and refunds.", "Zebra, zebra, lion.", " "]


async def corpus(count: int) -> list[EmbeddedChunk]:
    return await hashed(
        [
            chunk(
                number * 7_919 % 10_007,
                TEXTS[number % len(TEXTS)],
                collection="help" if number % 3 else "other",
                document_id=f"doc_{number % 10}",
                sources=(f"{number % 10}.md", "all.md"),
                metadata={"n": number, "public": bool(number % 2), "share": number / 8},
            )
            for number in range(1, count + 1)
        ]
    )


@pytest.fixture(params=["edge to server", "server to edge"])
def two(request: pytest.FixtureRequest, open_store: OpenStore) -> Iterator[Any]:
    """The store to copy, and the one to fill; the way between is HTTP."""
    with qdrant_over_http() as there:
        edge, server = open_store(), connected_store(there.url)
        yield (edge, server) if request.param == "edge to server" else (server, edge)


async def test_the_hits_are_the_same_and_so_is_every_byte(two: Any) -> None:
    origin, target = two
    await origin.upsert(await corpus(600))
    progress: list[int] = []
    report = await copy_store(origin, target, progress.append)
    assert report == CopyReport(600, {"help": 400, "other": 200})
    assert progress == [512, 600]
    for asked in ("zebra", "lion parcels", "", "all of the refunds"):
        for collection in ("help", "other"):
            filters = {"source": ("3.md",)} if asked == "zebra" else {}
            question = query(asked, collection=collection, filters=filters, candidates=600)
            before, after = await origin.search(question), await target.search(question)
            assert [one.chunk_id for one in before] == [one.chunk_id for one in after]
            assert [one.dense_score for one in before] == pytest.approx(
                [one.dense_score for one in after], abs=1e-5
            )
            assert [one.sparse_score for one in before] == pytest.approx(
                [one.sparse_score for one in after], abs=1e-4
            )
    assert_same_bytes(await origin.scan(None, 2_000), await target.scan(None, 2_000))


def assert_same_bytes(left: Sequence[EmbeddedChunk], right: Sequence[EmbeddedChunk]) -> None:
    assert [one.chunk for one in left] == [one.chunk for one in right]
    for one, other in zip(left, right, strict=True):
        assert one.embedding.vector.tobytes() == other.embedding.vector.tobytes()
        assert one.embedding.span_vectors.tobytes() == other.embedding.span_vectors.tobytes()


async def test_there_and_back_changes_nothing(open_store: OpenStore) -> None:
    first, server, last = open_store(), server_store(LocalQdrant()), memory()
    await first.upsert(await corpus(50))
    await copy_store(first, server, lambda _: None)
    await copy_store(server, last, lambda _: None)
    assert_same_bytes(await first.scan(None, 99), await last.scan(None, 99))


def memory() -> ChunkStore:
    return MemoryStore(Disk(), "test", DIMENSION)


class Failing(MemoryStore):
    """Takes two pages, and then no more until it is mended."""

    pages = 0

    async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        self.pages += 1
        if self.pages == 3:
            raise StoreError("the disk is full: make room")
        await super().upsert(chunks)


async def test_interrupted_and_repeated_it_ends_the_same() -> None:
    origin, target = memory(), Failing(Disk(), "test", DIMENSION)
    await origin.upsert(await corpus(1_300))
    with pytest.raises(StoreError, match="disk is full"):
        await copy_store(origin, target, lambda _: None)
    assert await target.count("help") + await target.count("other") == 1_024
    report = await copy_store(origin, target, lambda _: None)
    assert report.chunks == 1_300
    assert_same_bytes(await origin.scan(None, 2_000), await target.scan(None, 2_000))
    assert await copy_store(origin, target, lambda _: None) == report


async def test_a_store_that_holds_other_chunks_is_refused_before_anything_is_written() -> None:
    origin, target = memory(), memory()
    await origin.upsert([embedded(chunk(1)), embedded(chunk(2))])
    await target.upsert([embedded(chunk(2)), embedded(chunk(3, document_id="doc_9"))])
    with pytest.raises(StoreError, match=r"doc_9.*'help'.*empty it, or fill another"):
        await copy_store(origin, target, lambda _: None)
    assert await target.chunk_ids("help", "doc_1") == [chunk_id(2)]


async def test_a_store_that_is_written_to_meanwhile_is_noticed() -> None:
    origin, target = memory(), memory()
    await origin.upsert(await corpus(600))
    late = embedded(chunk(1))  # behind what is copied already

    async def write_late() -> None:
        await origin.upsert([late])

    pending = [write_late()]

    class Busy(MemoryStore):
        async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
            await super().upsert(chunks)
            for call in pending:
                await call
            pending.clear()

    target = Busy(Disk(), "test", DIMENSION)
    with pytest.raises(StoreError, match=r"400 chunks.*'help'.*401.*copy again"):
        await copy_store(origin, target, lambda _: None)


async def test_an_empty_store_is_copied_too() -> None:
    assert await copy_store(memory(), memory(), lambda _: None) == CopyReport(0, {})
