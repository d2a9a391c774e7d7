"""What every ChunkStore keeps: one suite, run on each adapter and on the fake."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Disk, HashingEmbedder, MemoryStore, OpenStore, bm25_words
from rank_bm25 import BM25Okapi

from rag.errors import FilterError, RagError, StoreError, StoreLockedError, StoreMismatchError
from rag.ports import ChunkStore
from rag.types import (
    Candidate,
    Chunk,
    EmbeddedChunk,
    Embedding,
    Passage,
    Scalar,
    Span,
    StoredChunk,
    StoreQuery,
)

DIMENSION = 8
Open = Callable[..., ChunkStore]


@pytest.fixture(params=["edge", "memory"])
def reopen(request: pytest.FixtureRequest, open_store: OpenStore) -> Open:
    """Opens one and the same store, once or again, for a model and a dimension."""
    if request.param == "edge":

        def open_edge(fingerprint: str = "test", dimension: int = DIMENSION) -> ChunkStore:
            return open_store(fingerprint=fingerprint, dimension=dimension)

        return open_edge
    disk = Disk()

    def open_memory(fingerprint: str = "test", dimension: int = DIMENSION) -> ChunkStore:
        return MemoryStore(disk, fingerprint, dimension)

    return open_memory


@pytest.fixture
async def store(reopen: Open) -> ChunkStore:
    return reopen()


def chunk_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def chunk(number: int, text: str = "Some text here.", **fields: Any) -> Chunk:
    made = Chunk(
        chunk_id=chunk_id(number),
        collection="help",
        document_id="doc_1",
        version="v1",
        title="Guide",
        source="guide.md",
        headings=("Install", "Linux"),
        prefix="Guide > Install > Linux",
        start=100,
        end=100 + len(text),
        text=text,
        sentences=(Span(100, 100 + len(text)),),
        page=3,
        page_breaks=(105, 110),
        metadata={},
    )
    return replace(made, **fields)


def direction(*numbers: float) -> Any:
    vector = np.zeros(DIMENSION, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


def embedded(made: Chunk, vector: Any = None) -> EmbeddedChunk:
    vector = direction(1) if vector is None else vector
    spans = np.tile(vector, (len(made.sentences), 1)).astype(np.float32)
    return EmbeddedChunk(made, Embedding(vector, spans))


async def hashed(chunks: Sequence[Chunk]) -> list[EmbeddedChunk]:
    """With vectors that depend on the texts."""
    embeddings = await HashingEmbedder(DIMENSION).embed(
        [Passage(one.text, "document", (Span(0, len(one.text)),)) for one in chunks]
    )
    return list(map(EmbeddedChunk, chunks, embeddings))


def query(text: str = "text", vector: Any = None, **fields: Any) -> StoreQuery:
    vector = direction(1) if vector is None else vector
    return replace(StoreQuery(vector, text, "help", {}, 10), **fields)


async def found(store: ChunkStore, **filters: tuple[Scalar, ...]) -> list[int]:
    candidates = await store.search(query(filters=filters))
    return [uuid.UUID(candidate.chunk_id).int for candidate in candidates]


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


async def test_describe_replaces_everything_but_the_vectors(store: ChunkStore) -> None:
    old = chunk(1, "Alpha. Beta.", metadata={"lang": "en", "gone": 1})
    vectors = direction(1, 2)[None].astype(np.float32)
    await store.upsert([EmbeddedChunk(old, Embedding(direction(3, 1), vectors))])
    new = replace(
        old,
        version="v2",
        title="Other",
        source="other.md",
        start=500,
        end=512,
        sentences=(Span(500, 512),),
        page=None,
        page_breaks=(),
        metadata={"lang": "de"},
    )
    await store.describe([new])
    [stored] = await store.fetch([old.chunk_id])
    assert stored.chunk == new
    assert stored.sentence_vectors @ vectors[0] == pytest.approx(1, abs=1e-4)
    [candidate] = await store.search(query("beta", direction(3, 1)))
    assert candidate.dense_score == pytest.approx(1, abs=1e-3)
    assert candidate.sparse_score > 0
    assert await found(store, lang=("en",)) == []
    assert await found(store, lang=("de",), version=("v2",)) == [1]


async def test_describe_gives_a_page_to_a_chunk_that_had_none(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1, page=None))])
    await store.describe([chunk(1, page=7)])
    assert (await store.fetch([chunk_id(1)]))[0].chunk.page == 7


async def test_delete_removes_from_everywhere(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(number)) for number in (1, 2, 3)])
    await store.delete([chunk_id(2), chunk_id(99)])
    await store.delete([])
    assert await store.count("help") == 2
    assert await store.chunk_ids("help", "doc_1") == [chunk_id(1), chunk_id(3)]
    assert await found(store) == [1, 3]
    assert [one.chunk.chunk_id for one in await store.fetch([chunk_id(2), chunk_id(3)])] == [
        chunk_id(3)
    ]


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


# Searching


async def test_search_is_the_union_of_both_legs_with_both_scores(store: ChunkStore) -> None:
    await store.upsert(
        [
            embedded(chunk(1, "Zebra crossing."), direction(0, 1)),
            embedded(chunk(2, "Nothing alike."), direction(1)),
            embedded(chunk(3, "Nothing at all."), direction(0, 0, 1)),
            embedded(chunk(4, "Zebra stripes, zebra hide."), direction(0.6, 0.8)),
        ]
    )
    candidates = await store.search(query("zebra", direction(1), candidates=1))
    assert [uuid.UUID(one.chunk_id).int for one in candidates] == [2, 4]
    by_dense, by_sparse = candidates
    assert by_dense.dense_score == pytest.approx(1, abs=1e-3)
    assert by_dense.sparse_score == 0
    assert by_sparse.dense_score == pytest.approx(0.6, abs=1e-3)
    assert by_sparse.sparse_score > 0


async def test_cosine_may_be_negative(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1), direction(-1))])
    [candidate] = await store.search(query(vector=direction(1)))
    assert candidate.dense_score == pytest.approx(-1, abs=1e-3)


async def test_more_than_there_is_gives_all_in_order_of_id(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(number)) for number in (3, 1, 2)])
    candidates = await store.search(query(candidates=1_000))
    assert [one.chunk_id for one in candidates] == [chunk_id(n) for n in (1, 2, 3)]


async def test_a_question_without_a_known_word_still_finds_by_vector(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1))])
    for text in ("", "   ", "?!…", "the of and", "🙂", "zzzunknown"):
        [candidate] = await store.search(query(text))
        assert candidate.sparse_score == 0
        assert candidate.dense_score == pytest.approx(1, abs=1e-3)


async def test_an_empty_collection_gives_nothing(store: ChunkStore) -> None:
    assert await store.search(query()) == []
    await store.upsert([embedded(chunk(1, collection="other"))])
    assert await store.search(query()) == []


async def test_collections_do_not_see_each_other(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1)), embedded(chunk(2, collection="other"))])
    assert await found(store) == [1]
    [candidate] = await store.search(query(collection="other"))
    assert candidate.chunk_id == chunk_id(2)


async def test_each_collection_has_its_own_idf(store: ChunkStore) -> None:
    """A word is worth as much as it is rare in its own collection, whatever is in others."""
    mine = [chunk(n, "zebra lion" if n == 1 else "lion only") for n in range(1, 6)]
    await store.upsert([embedded(one) for one in mine])
    alone = await store.search(query("zebra lion", candidates=5))
    others = [chunk(n, "zebra here", collection="other") for n in range(10, 60)]
    await store.upsert([embedded(one) for one in others])
    beside = await store.search(query("zebra lion", candidates=5))
    assert [one.chunk_id for one in beside] == [one.chunk_id for one in alone]
    assert [one.sparse_score for one in beside] == pytest.approx(
        [one.sparse_score for one in alone], abs=1e-4
    )


CORPUS = """
Refunds are paid within fourteen days after the parcel comes back
A parcel that was damaged in transit is replaced without charge
Shipping is free for orders above fifty euros within the country
Express shipping takes one day and costs nine euros per parcel
Orders can be cancelled until the parcel leaves our warehouse
The warranty covers defects of material for two years
Batteries are not covered by the warranty of the device
Charge the device for three hours before using it first
Reset the password through the link in the confirmation mail
Customers outside the country pay customs and import duties
Invoices are sent by mail after the order is paid
Gift cards cannot be refunded or exchanged for cash
Refund refund refund of the warranty
""".strip().split("\n")


ASKED = [
    "parcel damaged in transit",
    "shipping euros",
    "warranty of the device",
    "cancelled orders parcel",
    "password link mail",
    "charge the device",
]


async def test_sparse_scores_rank_as_bm25_does(store: ChunkStore) -> None:
    await store.upsert(
        await hashed([chunk(n, text, prefix="") for n, text in enumerate(CORPUS, start=1)])
    )
    reference = BM25Okapi([bm25_words(text) for text in CORPUS])
    for asked in ASKED:
        candidates = await store.search(query(asked, candidates=len(CORPUS)))
        assert len(candidates) == len(CORPUS)
        ours = [one.sparse_score for one in candidates]  # in order of id, and so of the corpus
        theirs = reference.get_scores(bm25_words(asked))
        assert int(np.argmax(ours)) == int(np.argmax(theirs)), asked
        assert rank_correlation(ours, theirs) > 0.8, asked


def rank_correlation(left: Sequence[float], right: Sequence[float]) -> float:
    def ranks(scores: Sequence[float]) -> Any:
        rounded = np.round(scores, 4)
        return np.array([(rounded < one).sum() + (rounded == one).sum() / 2 for one in rounded])

    return float(np.corrcoef(ranks(left), ranks(right))[0, 1])


# Filters

METADATA: dict[int, dict[str, Scalar]] = {
    1: {"lang": "en", "year": 2023, "rating": 4.5, "public": True},
    2: {"lang": "de", "year": 2024, "rating": 4.0, "public": False},
    3: {"lang": "fr", "year": 2024, "rating": 3, "public": 1},
    4: {"lang": "true", "year": "2024", "public": "true"},
    5: {"a.b": "x", "a b": "y", "größe[0]": "z", "$where": "w"},
    6: {"big": 2**53 + 1, "small": -7, "zero": 0, "tiny": 1e-9},
}


FILTERS: list[tuple[dict[str, tuple[Scalar, ...]], list[int]]] = [
    ({"lang": ("en",)}, [1]),
    ({"lang": ("en", "de")}, [1, 2]),
    ({"lang": ("EN",)}, []),
    ({"year": (2024,)}, [2, 3]),
    ({"year": (2024.0,)}, [2, 3]),
    ({"year": ("2024",)}, [4]),
    ({"year": (2023, "2024")}, [1, 4]),
    ({"rating": (4.5,)}, [1]),
    ({"rating": (4,)}, [2]),
    ({"rating": (3.0, 4.5)}, [1, 3]),
    ({"public": (True,)}, [1]),
    ({"public": (False,)}, [2]),
    ({"public": (True, False)}, [1, 2]),
    ({"public": (1,)}, [3]),
    ({"public": ("true",)}, [4]),
    ({"zero": (False,)}, []),
    ({"zero": (0,)}, [6]),
    ({"small": (-7,)}, [6]),
    ({"big": (2**53 + 1,)}, [6]),
    ({"big": (2**53 + 3,)}, []),
    ({"tiny": (1e-9,)}, [6]),
    ({"tiny": (0,)}, []),
    ({"lang": ("de", "fr"), "year": (2024,), "rating": (4.0,)}, [2]),
    ({"lang": ("en",), "year": (2024,)}, []),
    ({"document_id": ("doc_2",)}, [2]),
    ({"document_id": ("doc_1", "doc_2"), "lang": ("de",)}, [2]),
    ({"source": ("2.md", "3.md")}, [2, 3]),
    ({"title": ("Title 3",)}, [3]),
    ({"a.b": ("x",)}, [5]),
    ({"a b": ("y",)}, [5]),
    ({"größe[0]": ("z",)}, [5]),
    ({"$where": ("w",)}, [5]),
    ({"a": ("x",)}, []),
    ({"nobody": ("x",)}, []),
    ({"collection": ("help",)}, []),
    ({"text": ("Some text here.",)}, []),
    ({"chunk_id": (chunk_id(1),)}, []),
]


async def test_filters(store: ChunkStore) -> None:
    await store.upsert(
        [
            embedded(
                chunk(
                    number,
                    document_id=f"doc_{number}",
                    source=f"{number}.md",
                    title=f"Title {number}",
                    metadata=metadata,
                )
            )
            for number, metadata in METADATA.items()
        ]
    )
    for filters, expected in FILTERS:
        assert await found(store, **filters) == expected, filters


async def test_a_filter_that_cannot_be_understood_is_refused(store: ChunkStore) -> None:
    await store.upsert([embedded(chunk(1))])
    for name in ('a"b', '"', "", "a\\b"):
        with pytest.raises(FilterError):
            await store.search(query(filters={name: ("x",)}))
    with pytest.raises(FilterError):
        await store.search(query(filters={"lang": ()}))


# Opening and closing


async def test_reopening_keeps_all(reopen: Open) -> None:
    store = reopen()
    texts = ["Zebra one.", "Lion two.", "Zebra three."]
    await store.upsert(await hashed([chunk(n, text) for n, text in enumerate(texts, 1)]))
    await store.describe([chunk(2, "Lion two.", title="Renamed")])
    await store.delete([chunk_id(3)])
    before = await state_of(store)
    await store.close()
    assert same_state(await state_of(reopen()), before)


async def state_of(store: ChunkStore) -> tuple[list[str], list[StoredChunk], list[Candidate]]:
    ids = await store.chunk_ids("help", "doc_1")
    return ids, await store.fetch(ids), await store.search(query("zebra", direction(1, 1)))


def same_state(left: Any, right: Any) -> bool:
    chunks = [[one.chunk for one in stored] for _, stored, _ in (left, right)]
    vectors = [[one.sentence_vectors.tolist() for one in stored] for _, stored, _ in (left, right)]
    return (left[0], left[2], chunks[0], vectors[0]) == (right[0], right[2], chunks[1], vectors[1])


async def test_optimizing_changes_no_answer(store: ChunkStore) -> None:
    await store.upsert(await hashed([chunk(n, f"Word{n} zebra.") for n in range(1, 50)]))
    before = await state_of(store)
    await store.optimize()
    assert same_state(await state_of(store), before)


async def test_another_model_is_refused_with_what_to_do(reopen: Open) -> None:
    await reopen().close()
    with pytest.raises(StoreMismatchError, match=r"test.*other.*set them back.*ingest again"):
        reopen(fingerprint="other")


async def test_another_dimension_is_refused_with_what_to_do(reopen: Open) -> None:
    await reopen().close()
    with pytest.raises(StoreMismatchError, match=r"8.*16.*set them back.*ingest again"):
        reopen(dimension=16)


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
        lambda: store.describe([chunk(1)]),
        lambda: store.delete([chunk_id(1)]),
        lambda: store.chunk_ids("help", "doc_1"),
        lambda: store.count("help"),
        store.optimize,
        store.close,
    ]
    for call in calls:
        with pytest.raises(StoreError):
            await call()


# At the same time


async def test_searches_during_upserts_see_whole_chunks(store: ChunkStore) -> None:
    await store.upsert(await hashed([chunk(n, f"Zebra {n}.") for n in range(1, 50)]))
    done = asyncio.Event()

    async def write() -> None:
        for number in range(50, 400, 10):
            batch = [chunk(n, f"Zebra {n}.") for n in range(number, number + 10)]
            await store.upsert(await hashed(batch))
            await store.describe(batch[:3])
            await store.delete([chunk_id(number)])
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
    assert await store.count("help") == 49 + 350 - 35


# The embedded store alone


def test_a_killed_process_loses_nothing_that_was_upserted(tmp_path: Path) -> None:
    script = f"""
import asyncio, os, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from test_store_contract import chunk, embedded, DIMENSION
from indexing.stores.qdrant_edge_store import QdrantEdgeStore

async def main():
    store = QdrantEdgeStore(Path({str(tmp_path / "store")!r}), "test", DIMENSION)
    await store.upsert([embedded(chunk(number)) for number in range(1, 301)])
    await store.delete([chunk(300).chunk_id])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert ended.returncode == -9, ended.stderr.decode()

    async def count() -> int:
        from indexing.stores.qdrant_edge_store import QdrantEdgeStore

        store = QdrantEdgeStore(tmp_path / "store", "test", DIMENSION)
        counted = await store.count("help")
        await store.close()
        return counted

    assert asyncio.run(count()) == 299


async def test_a_store_whose_making_was_killed_is_made_anew(
    tmp_path: Path, open_store: OpenStore
) -> None:
    from indexing.stores.qdrant_edge_store import QdrantEdgeStore

    half = tmp_path / ".store.new"
    (half / "segments").mkdir(parents=True)
    (half / "wal").mkdir()
    store = QdrantEdgeStore(tmp_path / "store", "test", DIMENSION)
    await store.upsert([embedded(chunk(1))])
    assert await store.count("help") == 1
    await store.close()
    assert not half.exists()


@pytest.mark.parametrize("damage", ["record", "segments", "file", "foreign"])
async def test_a_damaged_folder_is_a_store_error(
    damage: str, tmp_path: Path, open_store: OpenStore
) -> None:
    folder = tmp_path / "store"
    if damage == "file":
        folder.write_text("no folder")
    elif damage == "foreign":
        folder.mkdir()
        (folder / "thesis.docx").write_text("of someone else")
    else:
        store = open_store(folder)
        await store.upsert([embedded(chunk(1))])
        await store.close()
        if damage == "record":
            (folder / "store.json").write_text('{"schema": ')
        else:
            (folder / "edge_config.json").write_text("not JSON")
    with pytest.raises(StoreError, match=re.escape(str(folder))):
        open_store(folder)
    if damage == "foreign":
        assert (folder / "thesis.docx").read_text() == "of someone else"


async def test_every_error_of_the_engine_is_of_the_project(open_store: OpenStore) -> None:
    store = open_store()
    bad_id = replace(chunk(1), chunk_id="not a UUID")
    half = chunk(1, metadata={"infinite": float("inf")})
    for call in (
        lambda: store.upsert([embedded(bad_id)]),
        lambda: store.upsert([embedded(half)]),
        lambda: store.describe([bad_id]),
        lambda: store.delete(["not a UUID"]),
        lambda: store.fetch(["not a UUID"]),
        lambda: store.search(query(filters={"n": (2**70,)})),
    ):
        with pytest.raises(RagError):
            await call()
