"""The embedded store and the server store find the same, with the same scores."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from fakes import FindData, OpenStore
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from store_makers import LocalQdrant, chunk, document, hashed, server_store

from indexing.embedding.packaged import PackagedEmbedder
from rag.ports import ChunkStore
from rag.types import Candidate, Chunk, EmbeddedChunk, Passage, Span, StoreQuery

Both = tuple[ChunkStore, ChunkStore]

CLOSE = 1e-4
ALL = 1_000
WORDS = (
    "refund parcel parcels Köln köln warranty 4.5 not shipping naïve a the zebra x9 漢字".split()
)
TEXTS = st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join)
CHUNKS = st.builds(
    chunk,
    st.integers(1, 60),
    TEXTS.map(lambda text: text or " "),
    prefix=st.sampled_from(["", "Guide > Install"]),
    document_id=st.sampled_from(["doc_1", "doc_2", "doc_3"]),
    revision=st.sampled_from(["r1", "r2"]),
    sources=st.sampled_from([("a.md",), ("b.md", "a.md"), ("c.md",)]),
    metadata=st.sampled_from([{}, {"n": 1}, {"n": 1.0}, {"n": True}, {"n": "1"}]),
    sentences=st.just((Span(100, 101),)),
)
MANY = st.lists(CHUNKS, min_size=1, max_size=20, unique_by=lambda one: one.chunk_id)
STEPS = st.one_of(
    st.tuples(st.just("upsert"), MANY),
    st.tuples(st.just("upsert"), MANY),
    st.tuples(st.just("describe"), MANY),
    st.tuples(st.just("delete"), st.sampled_from(["doc_1", "doc_2"])),
    st.tuples(st.just("delete_stale"), st.sampled_from(["doc_1", "doc_3"])),
)
FILTERS = st.sampled_from(
    [
        {},
        {"source": ("a.md",)},
        {"document_id": ("doc_1", "doc_2")},
        {"n": (1,)},
        {"n": (True, "1")},
        {"n": (9,)},
    ]
)
QUESTIONS = st.lists(st.tuples(TEXTS, FILTERS), min_size=10, max_size=10)


@pytest.fixture
async def both(open_store: OpenStore) -> Both:
    return open_store(), server_store(LocalQdrant())


@pytest.fixture
def names() -> Callable[[], str]:
    """Names of collections, each another one."""
    numbers = count()
    return lambda: f"c{next(numbers)}"


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=6), questions=QUESTIONS)
async def test_both_find_the_same_after_the_same_was_done(
    both: Both, names: Callable[[], str], steps: Any, questions: Any
) -> None:
    """Two hundred questions; what the examples before have left lies beside, in collections."""
    edge, server = both
    collection = names()
    for step, what in steps:
        for store in both:
            await take(step, what, store, collection)
    for text, filters in questions:
        [asked] = await hashed([chunk(1, text)])
        query = StoreQuery(asked.embedding.vector, text, collection, filters, ALL)
        found = await edge.search(query)
        assert_same(found, await server.search(query), ALL)
        ids = [one.chunk_id for one in found]
        assert [one.chunk for one in await edge.fetch(ids)] == [
            one.chunk for one in await server.fetch(ids)
        ]
    assert await edge.count(collection) == await server.count(collection)


async def take(step: str, what: Any, store: ChunkStore, collection: str) -> None:
    match step:
        case "upsert":
            await store.upsert(await hashed([placed(one, collection) for one in what]))
        case "describe":
            await store.describe(document(placed(what[0], collection), version="v2"))
        case "delete":
            await store.delete(collection, what)
        case "delete_stale":
            await store.delete_stale(collection, what, "r1")


def placed(one: Chunk, collection: str) -> Chunk:
    """The chunk in a collection, with an id that it has there alone."""
    own = uuid.uuid5(uuid.NAMESPACE_URL, f"{collection}/{one.chunk_id}")
    return replace(one, collection=collection, chunk_id=str(own))


def assert_same(left: list[Candidate], right: list[Candidate], candidates: int) -> None:
    """The same chunks and scores; where a leg's best end, equal scores may change places."""
    ours, theirs = ({one.chunk_id: one for one in found} for found in (left, right))
    for key in ours.keys() & theirs.keys():
        assert ours[key].dense_score == pytest.approx(theirs[key].dense_score, abs=CLOSE)
        assert ours[key].sparse_score == pytest.approx(theirs[key].sparse_score, abs=CLOSE)
    assert all(abs(one.dense_score) <= 1 + CLOSE for one in (*left, *right))
    assert all(0 <= one.sparse_score <= 1 for one in (*left, *right))
    dense = sorted((one.dense_score for one in left), reverse=True)
    sparse = sorted((one.sparse_score for one in left), reverse=True)
    for key in ours.keys() ^ theirs.keys():
        one = ours.get(key) or theirs[key]
        ends = (
            abs(one.dense_score - dense[candidates - 1]),
            abs(one.sparse_score - sparse[candidates - 1]),
        )
        assert min(ends) < CLOSE, f"only one store finds {one}"


async def test_both_find_the_same_abstracts(
    open_store: OpenStore, find_data: FindData, embedder: PackagedEmbedder
) -> None:
    """Forty questions over 1,000 abstracts, under the real vectors of how they begin."""
    folder = find_data("scifact")
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()[:1_000]]
    asked = [json.loads(line) for line in (folder / "queries.jsonl").read_text().splitlines()[:40]]
    beginnings = [Passage(f"{row['title']} {row['text']}"[:120], "document") for row in rows]
    embeddings = await embedder.embed(beginnings)
    chunks = [
        EmbeddedChunk(
            chunk(number, row["text"], prefix=row["title"], sentences=()),
            embedding,
        )
        for number, (row, embedding) in enumerate(zip(rows, embeddings, strict=True), start=1)
    ]
    edge = open_store(dimension=embedder.dimension)
    server = server_store(LocalQdrant(), dimension=embedder.dimension)
    for store in (edge, server):
        await store.upsert(chunks)
    vectors = await embedder.embed([Passage(one["text"], "question") for one in asked])
    found = 0
    for one, embedding in zip(asked, vectors, strict=True):
        query = StoreQuery(embedding.vector, one["text"], "help", {}, 30)
        ours = await edge.search(query)
        assert_same(ours, await server.search(query), 30)
        found += len(ours)
    assert found > 1_200
