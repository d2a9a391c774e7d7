"""What every ChunkStore finds: one suite, run on each adapter and on the fake."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import bm25_words
from rank_bm25 import BM25Okapi
from store_makers import chunk, chunk_id, direction, embedded, found, hashed, query

from rag.errors import FilterError
from rag.ports import ChunkStore
from rag.types import Scalar

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
    6: {"seventh": 647 / 7, "big": 2**53 + 1, "small": -7, "zero": 0, "tiny": 1e-9},
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
    ({"seventh": (647 / 7,)}, [6]),
    ({"seventh": (647 / 7 + 1e-9,)}, []),
    ({"tiny": (0,)}, []),
    ({"lang": ("de", "fr"), "year": (2024,), "rating": (4.0,)}, [2]),
    ({"lang": ("en",), "year": (2024,)}, []),
    ({"document_id": ("doc_2",)}, [2]),
    ({"document_id": ("doc_1", "doc_2"), "lang": ("de",)}, [2]),
    ({"source": ("2.md", "3.md")}, [2, 3]),
    ({"source": ("copy of 4.md",)}, [4]),
    ({"source": ("copy of 4.md", "4.md", "5.md")}, [4, 5]),
    ({"sources": ("4.md",)}, []),
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
                    sources=(f"{number}.md", f"copy of {number}.md"),
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
    with pytest.raises(FilterError):
        await store.search(query(filters={"n": (2**70,)}))
