"""What every ChunkStore keeps: one suite, run on each adapter and on the fake."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from store_makers import (
    DIMENSION,
    Open,
    chunk,
    chunk_id,
    direction,
    document,
    embedded,
    found,
    hashed,
    query,
    same_state,
    state_of,
)

from rag.errors import StoreError, StoreLockedError, StoreMismatchError
from rag.ports import ChunkStore
from rag.types import EmbeddedChunk, Embedding, Span

# Keeping


async def test_gives_back_all_that_a_chunk_holds(store: ChunkStore) -> None:
    text = "First one. Zweiter Satz – 漢字 🙂.\n\n"
    whole = chunk(
        1,
        text,
        sentences=(Span(100, 110), Span(111, 131)),
        metadata={"lang": "en", "year": 2024, "rating": 4.5, "public": True, "": "x", "a.b": "c"},
    )
    vectors = np.stack([direction(1, 2, 3), direction(-1, 0.01)]).astype(np.float32)
    await store.upsert([EmbeddedChunk(whole, Embedding(direction(1), vectors))])
    [stored] = await store.fetch([whole.chunk_id])
    assert stored.chunk == whole
    assert stored.sentence_vectors.shape == (2, DIMENSION)
    assert stored.sentence_vectors.dtype == np.float32
    assert np.linalg.norm(stored.sentence_vectors, axis=1) == pytest.approx(1)
    assert (stored.sentence_vectors * vectors).sum(axis=1) == pytest.approx(1, abs=1e-4)


async def test_keeps_a_chunk_without_pages_sentences_and_headings(store: ChunkStore) -> None:
    bare = chunk(1, " ", sentences=(), page=None, page_breaks=(), headings=(), prefix="")
    await store.upsert([embedded(bare)])
    [stored] = await store.fetch([bare.chunk_id])
    assert stored.chunk == bare
    assert len(stored.sentence_vectors) == 0


async def test_upsert_replaces_by_chunk_id(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1, "Old words."), direction(1))])
    await store.upsert([embedded(chunk(1, "New words."), direction(0, 1))])
    [stored] = await store.fetch([chunk_id(1)])
    assert stored.chunk.text == "New words."
    assert await store.count("help") == 1
    [candidate] = await store.search(query("old", direction(0, 1)))
    assert candidate.dense_score == pytest.approx(1, abs=1e-3)
    assert candidate.sparse_score == 0


async def test_upsert_of_nothing_is_no_error(store: ChunkStore) -> None:
    await store.upsert([])
    assert await store.count("help") == 0


async def test_upserts_more_than_a_batch(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(number)) for number in range(1, 601)])
    assert await store.count("help") == 600
    assert await store.chunk_ids("help", "doc_1") == [chunk_id(n) for n in range(1, 601)]


async def test_describe_replaces_what_chunks_say_of_their_document(store: ChunkStore) -> None:
    old = chunk(1, "Alpha. Beta.", metadata={"lang": "en", "gone": 1})
    vectors = direction(1, 2)[None].astype(np.float32)
    await store.upsert([EmbeddedChunk(old, Embedding(direction(3, 1), vectors))])
    said: dict[str, Any] = {
        "version": "v2",
        "sources": ("other.md", "copy.md"),
        "dated": "2025-01-02",
        "family": "fam_2",
        "metadata": {"lang": "de"},
    }
    await store.describe(document(old, **said))
    [stored] = await store.fetch([old.chunk_id])
    assert stored.chunk == replace(old, **said)
    assert stored.sentence_vectors @ vectors[0] == pytest.approx(1, abs=1e-4)
    [candidate] = await store.search(query("beta", direction(3, 1)))
    assert candidate.dense_score == pytest.approx(1, abs=1e-3)
    assert candidate.sparse_score > 0
    assert await found(store, lang=("en",)) == []
    assert await found(store, lang=("de",), family=("fam_2",), source=("copy.md",)) == [1]


async def test_describe_reaches_all_chunks_of_a_document_and_no_others(store: ChunkStore) -> None:
    others = [
        chunk(700, document_id="doc_2"),
        chunk(701, collection="other"),
    ]
    await store.upsert([embedded(chunk(number)) for number in range(1, 301)])
    await store.upsert([embedded(one) for one in others])
    await store.describe(document(chunk(1), version="v2"))
    stored = await store.fetch([chunk_id(number) for number in range(1, 301)])
    assert [one.chunk.version for one in stored] == ["v2"] * 300
    assert [one.chunk.version for one in await store.fetch([chunk_id(700), chunk_id(701)])] == [
        "v1",
        "v1",
    ]


async def test_describing_a_document_without_chunks_is_no_error(store: ChunkStore) -> None:
    await store.describe(document(chunk(1), version="v2"))
    assert await store.count("help") == 0


async def test_describe_tells_numbers_and_truths_apart(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1, metadata={"flag": 1}))])
    await store.describe(document(chunk(1), metadata={"flag": True}))
    assert await found(store, flag=(True,)) == [1]
    assert await found(store, flag=(1,)) == []


async def test_delete_removes_a_document_from_everywhere(store: ChunkStore) -> None:
    await store.upsert(
        [
            embedded(chunk(1)),
            embedded(chunk(2, revision="r2")),
            embedded(chunk(3, document_id="doc_2")),
            embedded(chunk(4, collection="other")),
        ]
    )
    await store.delete("help", "doc_1")
    await store.delete("help", "doc_9")
    await store.delete("nobody", "doc_1")
    assert await store.chunk_ids("help", "doc_1") == []
    assert await store.fetch([chunk_id(1), chunk_id(2)]) == []
    assert await found(store) == [3]
    assert (await store.count("help"), await store.count("other")) == (1, 1)
    assert list(await store.embeddings("other", [chunk(1).content])) == [chunk(1).content]


async def test_delete_removes_a_document_of_many_chunks(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(number)) for number in range(1, 1_201)])
    await store.upsert([embedded(chunk(2_000, document_id="doc_2"))])
    await store.delete("help", "doc_1")
    assert await store.count("help") == 1


async def test_delete_stale_keeps_the_revision_that_is_named(store: ChunkStore) -> None:
    await store.upsert(
        [
            embedded(chunk(1, revision="old")),
            embedded(chunk(2, revision="new")),
            embedded(chunk(3, revision="older")),
            embedded(chunk(4, revision="old", document_id="doc_2")),
            embedded(chunk(5, revision="old", collection="other")),
        ]
    )
    await store.delete_stale("help", "doc_1", "new")
    assert await store.chunk_ids("help", "doc_1") == [chunk_id(2)]
    assert await found(store) == [2, 4]
    assert await store.count("other") == 1
    await store.delete_stale("help", "doc_9", "new")
    assert await store.count("help") == 2


async def test_fetch_keeps_the_order_that_is_asked_for(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(number)) for number in range(1, 6)])
    asked = [chunk_id(number) for number in (4, 99, 1, 5)]
    stored = await store.fetch(asked)
    assert [one.chunk.chunk_id for one in stored] == [asked[0], asked[2], asked[3]]
    assert await store.fetch([]) == []


async def test_chunk_ids_are_those_of_one_document_in_one_collection(store: ChunkStore) -> None:
    await store.upsert(
        [
            embedded(chunk(2)),
            embedded(chunk(1)),
            embedded(chunk(3, document_id="doc_2")),
            embedded(chunk(4, collection="other")),
        ]
    )
    assert await store.chunk_ids("help", "doc_1") == [chunk_id(1), chunk_id(2)]
    assert await store.chunk_ids("help", "doc_9") == []
    assert (await store.count("help"), await store.count("nobody")) == (3, 0)


# Opening and closing


async def test_reopening_keeps_all(reopen: Open) -> None:
    store = reopen()
    texts = ["Zebra one.", "Lion two.", "Zebra three."]
    await store.upsert(await hashed([chunk(n, text) for n, text in enumerate(texts, 1)]))
    await store.upsert([embedded(chunk(9, document_id="doc_2"))])
    await store.describe(document(chunk(1), sources=("renamed.md",)))
    await store.delete("help", "doc_2")
    before = await state_of(store)
    await store.close()
    assert same_state(await state_of(reopen()), before)


async def test_optimizing_changes_no_answer(store: ChunkStore) -> None:
    await store.upsert(await hashed([chunk(n, f"Word{n} zebra.") for n in range(1, 50)]))
    before = await state_of(store)
    await store.optimize()
    assert same_state(await state_of(store), before)


async def test_another_model_is_refused_with_what_to_do(reopen: Open) -> None:
    await used_and_closed(reopen())
    with pytest.raises(StoreMismatchError, match=r"test.*other.*set them back.*ingest again"):
        await reopen(fingerprint="other").count("help")


async def test_another_dimension_is_refused_with_what_to_do(reopen: Open) -> None:
    await used_and_closed(reopen())
    with pytest.raises(StoreMismatchError, match=r"8.*16.*set them back.*ingest again"):
        await reopen(dimension=16).count("help")


async def used_and_closed(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1))])
    await store.close()


@pytest.mark.parametrize("reopen", ["edge", "memory"], indirect=True)
async def test_a_second_open_is_refused_until_the_first_closes(reopen: Open) -> None:
    store = reopen()
    with pytest.raises(StoreLockedError, match=r"wait for it or end it") as refused:
        reopen()
    assert refused.value.retryable
    await store.upsert([embedded(chunk(1))])
    await store.close()
    assert await reopen().count("help") == 1


# Errors


async def test_a_vector_of_the_wrong_length_is_a_store_error(store: ChunkStore) -> None:
    short = np.ones(DIMENSION - 1, np.float32)
    bad = EmbeddedChunk(chunk(1), Embedding(short, short[None]))
    with pytest.raises(StoreError):
        await store.upsert([bad])
    await store.upsert([embedded(chunk(2))])
    with pytest.raises(StoreError):
        await store.search(query(vector=short))
    assert await found(store) == [2]


async def test_every_call_on_a_closed_store_is_a_store_error(store: ChunkStore) -> None:
    await store.close()
    calls = [
        lambda: store.search(query()),
        lambda: store.fetch([chunk_id(1)]),
        lambda: store.upsert([embedded(chunk(1))]),
        lambda: store.describe(document(chunk(1))),
        lambda: store.delete("help", "doc_1"),
        lambda: store.delete_stale("help", "doc_1", "r1"),
        lambda: store.embeddings("help", ["c"]),
        lambda: store.scan(None, 1),
        lambda: store.chunk_ids("help", "doc_1"),
        lambda: store.count("help"),
        store.optimize,
        store.close,
    ]
    for call in calls:
        with pytest.raises(StoreError):
            await call()


async def test_metadata_that_no_store_can_hold_are_a_store_error(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1))])
    for number in (float("inf"), float("nan")):
        with pytest.raises(StoreError, match="finite"):
            await store.upsert([embedded(chunk(2, metadata={"n": number}))])
        with pytest.raises(StoreError, match="finite"):
            await store.describe(document(chunk(1), metadata={"n": number}))
    assert await store.count("help") == 1


# At the same time


async def test_searches_during_upserts_see_whole_chunks(store: ChunkStore) -> None:
    await store.upsert(await hashed([chunk(n, f"Zebra {n}.") for n in range(1, 50)]))
    done = asyncio.Event()

    async def write() -> None:
        for number in range(50, 200, 10):
            batch = [chunk(n, f"Zebra {n}.") for n in range(number, number + 10)]
            batch[0] = replace(batch[0], document_id=f"doc_{number}")
            await store.upsert(await hashed(batch))
            await store.describe(document(batch[0], version="v2"))
            await store.delete("help", f"doc_{number}")
        done.set()

    async def read() -> int:
        searches = 0
        while not done.is_set():
            candidates = await store.search(query("zebra", direction(1, 1), candidates=400))
            ids = [one.chunk_id for one in candidates]
            assert ids == sorted(set(ids))
            assert len(ids) >= 49
            stored = await store.fetch(ids)
            assert all(one.chunk.text.startswith("Zebra") for one in stored)
            assert all(len(one.sentence_vectors) == 1 for one in stored)
            searches += 1
            await asyncio.sleep(0)
        return searches

    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(read()) for _ in range(3)]
        group.create_task(write())
    assert all(reader.result() > 0 for reader in readers)
    assert await store.count("help") == 49 + 150 - 15
