"""What every ChunkStore finds: one suite, run on each adapter and on the fake."""

from __future__ import annotations

import math
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from fakes import bm25_words
from rank_bm25 import BM25Okapi
from store_makers import Open, chunk, chunk_id, direction, embedded, found, hashed, query

from rag.errors import FilterError
from rag.ports import ChunkStore
from rag.types import Chunk, Scalar

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


async def test_a_word_is_as_rare_as_in_what_is_there_now(reopen: Open) -> None:
    """Whether chunks were replaced or deleted before, and the store opened again or not."""
    store = reopen()
    said = {1: "zebra", 2: "zebra", 3: "zebra lion", 4: "lion", 5: "lion", 6: "lion owl", 7: "owl"}
    first = [chunk(n, text, document_id=f"doc_{n}") for n, text in said.items()]
    await store.upsert([embedded(one) for one in first])
    await store.upsert([embedded(chunk(1, "lion tiger", document_id="doc_1"))])
    replaced = await scores(store, "help")
    for number in (4, 5):
        await store.delete("help", f"doc_{number}")
    deleted = await scores(store, "help")
    await store.close()
    store = reopen()
    opened = await scores(store, "help")
    said[1] = "lion tiger"
    await store.upsert([embedded(placed(n, said, "replaced")) for n in said])
    await store.upsert([embedded(placed(n, said, "deleted")) for n in said if n not in (4, 5)])
    assert replaced == pytest.approx(await scores(store, "replaced"), abs=1e-4)
    assert deleted == pytest.approx(await scores(store, "deleted"), abs=1e-4)
    assert opened == pytest.approx(deleted, abs=1e-4)
    await store.close()


async def scores(store: ChunkStore, collection: str) -> list[float]:
    candidates = await store.search(query("zebra lion owl", collection=collection))
    return [one.sparse_score for one in candidates]


def placed(number: int, said: dict[int, str], collection: str) -> Chunk:
    """The chunk in another collection, with an id of its own; the order of ids stays."""
    own = number + 1_000 * len(collection)
    return chunk(own, said[number], document_id=f"doc_{number}", collection=collection)


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


# The share of what the words of a question score at most

SAID = {1: "zebra zebra lion", 2: "lion", 3: "tiger owl owl"}


def weight(often: int, words: int, having: int, chunks: int = len(SAID)) -> float:
    """What a word scores in a chunk of so many words, when so many of the chunks have it."""
    idf = math.log(1 + (chunks - having + 0.5) / (having + 0.5))
    return idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * words / 100))


ZEBRA = weight(2, words=3, having=1)  # in 1, which is best for it
LION_IN_1 = weight(1, words=3, having=2)
LION = weight(1, words=1, having=2)  # in 2, which is best for it
OWL = weight(2, words=3, having=1)


async def fill(store: ChunkStore) -> None:
    await store.upsert(
        [embedded(chunk(n, text, prefix="", document_id=f"doc_{n}")) for n, text in SAID.items()]
    )


async def shares(store: ChunkStore, text: str, **fields: Any) -> dict[int, float]:
    """By the number of the chunk, its share."""
    candidates = await store.search(query(text, **fields))
    return {uuid.UUID(one.chunk_id).int: one.sparse_score for one in candidates}


def near(expected: dict[int, float]) -> Any:
    return pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("zebra", {1: 1, 2: 0, 3: 0}),
        ("the zebra", {1: 1, 2: 0, 3: 0}),
        ("lion", {1: LION_IN_1 / LION, 2: 1, 3: 0}),
        (
            "a zebra and a lion",
            {1: (ZEBRA + LION_IN_1) / (ZEBRA + LION), 2: LION / (ZEBRA + LION), 3: 0},
        ),
        ("zebras owl", {1: ZEBRA / (ZEBRA + OWL), 2: 0, 3: OWL / (ZEBRA + OWL)}),
    ],
)
async def test_a_share_by_hand(store: ChunkStore, asked: str, expected: dict[int, float]) -> None:
    """Each word counts in the chunk that is best for it."""
    await fill(store)
    assert await shares(store, asked) == near(expected)


async def test_a_word_that_no_chunk_holds_counts_like_the_greatest_of_the_others(
    store: ChunkStore,
) -> None:
    await fill(store)
    assert await shares(store, "zebra unicorn") == near({1: 1 / 2, 2: 0, 3: 0})
    assert await shares(store, "lion unicorn") == near({1: LION_IN_1 / LION / 2, 2: 1 / 2, 3: 0})
    most = LION + ZEBRA + 2 * max(LION, ZEBRA)
    asked = await shares(store, "unicorn lion dragon zebra")
    assert asked == near({1: (ZEBRA + LION_IN_1) / most, 2: LION / most, 3: 0})
    assert await shares(store, "unicorn dragon") == {1: 0, 2: 0, 3: 0}


async def test_a_word_said_twice_counts_once(store: ChunkStore) -> None:
    await fill(store)
    assert await shares(store, "lion zebra lion") == near(await shares(store, "zebra lion"))


async def test_a_filter_changes_no_share(store: ChunkStore) -> None:
    await fill(store)
    whole = await shares(store, "zebra lion tiger")
    for number in SAID:
        filters = {"document_id": (f"doc_{number}",)}
        assert await shares(store, "zebra lion tiger", filters=filters) == near(
            {number: whole[number]}
        )


async def test_how_many_are_asked_for_changes_no_share(store: ChunkStore) -> None:
    await fill(store)
    whole = await shares(store, "zebra lion tiger")
    found = await shares(store, "zebra lion tiger", candidates=1)
    assert found == near({number: whole[number] for number in found})


async def test_another_collection_changes_no_share(store: ChunkStore) -> None:
    await fill(store)
    alone = await shares(store, "zebra lion unicorn")
    others = [
        chunk(n, text, prefix="", collection="other")
        for n, text in enumerate(("lion lion lion", "unicorn", "zebra"), start=10)
    ]
    await store.upsert([embedded(one) for one in others])
    assert await shares(store, "zebra lion unicorn") == near(alone)


async def test_a_chunk_that_is_deleted_is_no_longer_the_best_for_a_word(
    store: ChunkStore,
) -> None:
    await fill(store)
    await store.delete("help", "doc_2")
    assert await shares(store, "lion") == near({1: 1, 3: 0})


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
