"""What every ChunkStore gives back to be stored again: vectors by content, and all in order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_makers import DIMENSION, Open, chunk, chunk_id, direction, embedded, hashed

from rag.ports import ChunkStore
from rag.types import EmbeddedChunk, Span


async def test_embeddings_are_found_by_content_in_one_collection(store: ChunkStore) -> None:
    texts = ["One. Two.", "Three.", "Four."]
    chunks = [
        chunk(
            number,
            text,
            content=f"c{number}",
            sentences=(Span(100, 104), Span(105, 109)) if number == 1 else (),
        )
        for number, text in enumerate(texts, start=1)
    ]
    given = await hashed(chunks)
    await store.upsert(given)
    await store.upsert([embedded(chunk(9, collection="other", content="c9"))])
    got = await store.embeddings("help", ["c3", "c1", "c9", "c7"])
    assert sorted(got) == ["c1", "c3"]
    assert got["c1"].vector.tobytes() == given[0].embedding.vector.tobytes()
    assert got["c3"].vector.tobytes() == given[2].embedding.vector.tobytes()
    cosines = (got["c1"].span_vectors * given[0].embedding.span_vectors).sum(axis=1)
    assert cosines == pytest.approx([1, 1], abs=1e-3)
    assert got["c3"].span_vectors.shape == (0, DIMENSION)
    assert await store.embeddings("help", []) == {}
    assert await store.embeddings("nobody", ["c1"]) == {}


async def test_embeddings_of_a_content_that_many_chunks_have(store: ChunkStore) -> None:
    """However many there are: the one that comes last in order of id is still found."""
    same = [embedded(chunk(number, content="same")) for number in range(1, 601)]
    await store.upsert([*same, embedded(chunk(700, content="last"), direction(0, 1))])
    got = await store.embeddings("help", ["same", "last", "none"])
    assert sorted(got) == ["last", "same"]
    assert got["last"].vector.tolist() == direction(0, 1).tolist()


async def test_embeddings_of_more_contents_than_a_page(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(n, content=f"c{n}")) for n in range(1, 601)])
    wanted = [f"c{n}" for n in range(1, 1_001)]
    assert sorted(await store.embeddings("help", wanted)) == sorted(wanted[:600])


async def test_what_is_found_again_is_stored_again_as_it_was(reopen: Open) -> None:
    store = reopen()
    text = "Zebra one. Zebra two. Lion."
    first = chunk(1, text, content="c", sentences=(Span(100, 110), Span(111, 121)))
    await store.upsert(await hashed([first]))
    before = await store.fetch([chunk_id(1)])
    for number in (2, 3):  # each time from what the time before has stored
        await store.upsert(
            [
                EmbeddedChunk(
                    replace(first, chunk_id=chunk_id(number)),
                    (await store.embeddings("help", ["c"]))["c"],
                )
            ]
        )
        await store.delete("help", "doc_9")
    again = await store.fetch([chunk_id(3)])
    assert again[0].sentence_vectors.tobytes() == before[0].sentence_vectors.tobytes()
    dense = {embedded.embedding.vector.tobytes() for embedded in await store.scan(None, 9)}
    assert len(dense) == 1


async def test_scan_gives_the_whole_store_in_order_of_id(store: ChunkStore) -> None:
    assert await store.scan(None, 5) == []
    numbers = [7, 3, 300, 12, 2**127, 256]
    chunks = [chunk(n, f"Text {n}.", collection=f"c{n % 2}") for n in numbers]
    given = {one.chunk.chunk_id: one for one in await hashed(chunks)}
    await store.upsert(list(given.values()))
    scanned = []
    after = None
    while page := await store.scan(after, 2):
        assert len(page) == 2
        scanned += page
        after = page[-1].chunk.chunk_id
    assert [one.chunk.chunk_id for one in scanned] == sorted(given)
    for one in scanned:
        wanted = given[one.chunk.chunk_id]
        assert one.chunk == wanted.chunk
        assert one.embedding.vector.tobytes() == wanted.embedding.vector.tobytes()
        assert (one.embedding.span_vectors * wanted.embedding.span_vectors).sum() > 0.999


async def test_scan_goes_on_behind_a_chunk_that_is_gone(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(n, document_id=f"doc_{n}")) for n in (1, 2, 3, 4)])
    await store.delete("help", "doc_2")
    page = await store.scan(chunk_id(2), 1)
    assert [one.chunk.chunk_id for one in page] == [chunk_id(3)]
    assert await store.scan(chunk_id(4), 10) == []
