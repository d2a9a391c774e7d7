"""What the server store keeps besides the contract: what it asks for, and what it says of faults.

Its own code runs against Qdrant's in-process mode, and against a small HTTP server.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from listening_server import Asked, Listening, Reply, listening, refusal, result
from patience import FAR_S
from qdrant_client import models
from store_makers import (
    DIMENSION,
    LocalQdrant,
    chunk,
    chunk_id,
    embedded,
    found,
    query,
    server_store,
)

from indexing.stores.payload import INDEXED_FIELDS
from indexing.stores.qdrant_server_layout import ServerLayout
from indexing.stores.qdrant_server_store import QdrantServerStore
from rag.errors import RagError, StoreError, StoreMismatchError, StoreUnavailableError

LAYOUT = ServerLayout(shards=3, replicas=2, write_consistency=2, quantization="int8", on_disk=True)
RECORD = {"thrifty_rag": {"schema": 2, "embedding": "test", "dimension": DIMENSION}}


class Pauses(list[float]):
    """Waits for nothing, and notes how long it should have waited."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@asynccontextmanager
async def connected(
    url: str, api_key: str | None = None, timeout_s: int = 30
) -> AsyncIterator[tuple[QdrantServerStore, Pauses]]:
    """A store at `url` whose pauses take no time."""
    pauses = Pauses()
    store = QdrantServerStore.connect(
        url,
        api_key,
        layout=ServerLayout(),
        fingerprint="test",
        dimension=DIMENSION,
        timeout_s=timeout_s,
        pause=pauses,
    )
    yield store, pauses
    await store.close()


def qdrant(asked: Asked, *, version: str = "1.20.0", **config: Any) -> Reply:
    """What a Qdrant server says that has our collection, and takes all that is written."""
    described = {
        "status": "green",
        "optimizer_status": "ok",
        "segments_count": 1,
        "payload_schema": {},
        "config": {
            "params": {"replication_factor": config.pop("replicas", 1)},
            "hnsw_config": {"m": 0, "ef_construct": 100, "full_scan_threshold": 10_000},
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 0,
                "flush_interval_sec": 5,
            },
            "metadata": RECORD,
            **config,
        },
    }
    match asked.method, asked.path.partition("?")[0].removeprefix("/collections/thrifty_rag"):
        case "GET", "/":
            body = b'{"title": "qdrant - vector search engine", "version": "%s"}'
            return 200, {}, body % version.encode()
        case "GET", "/exists":
            return result({"exists": True})
        case "GET", "":
            return result(described)
        case "POST", "/points/query/batch":
            return result([{"points": []} for _ in asked.body["searches"]])
        case "POST", "/points/count":
            return result({"count": 5})
        case "POST", "/points/scroll":
            return result({"points": [], "next_page_offset": None})
        case _:
            return result({"operation_id": 1, "status": "completed"})


# The Qdrant collection


async def test_the_collection_is_made_as_the_layout_says() -> None:
    client = LocalQdrant()
    store = QdrantServerStore(client, LAYOUT, "test", DIMENSION)
    assert await store.count("help") == 0
    made = client.layout
    assert (made["shard_number"], made["replication_factor"]) == (3, 2)
    assert (made["write_consistency_factor"], made["on_disk_payload"]) == (2, True)
    assert made["vectors_config"]["dense"].on_disk
    assert made["quantization_config"].scalar.type == models.ScalarType.INT8
    assert made["sparse_vectors_config"]["sparse"].modifier == models.Modifier.IDF
    assert (made["hnsw_config"].m, made["hnsw_config"].payload_m) == (0, 16)
    assert made["metadata"] == RECORD
    await store.close()


async def test_by_default_small_vectors_lie_in_memory_and_whole_ones_on_the_disk() -> None:
    client = LocalQdrant()
    store = server_store(client)
    await store.upsert([embedded(chunk(1))])
    small = client.layout["quantization_config"].turbo
    assert (small.bits, small.always_ram) == (models.TurboQuantBitSize.BITS4, True)
    assert client.layout["vectors_config"]["dense"].on_disk
    assert not client.layout["on_disk_payload"]
    await store.close()


async def test_our_collections_are_partitions_of_it() -> None:
    client = LocalQdrant()
    store = server_store(client)
    await store.upsert([embedded(chunk(1)), embedded(chunk(2, collection="other"))])
    made = (await client.get_collections()).collections
    assert [one.name for one in made] == ["thrifty_rag"]
    assert list(client.indexes) == ["collection", *INDEXED_FIELDS]
    assert [index.is_tenant for index in client.indexes.values()] == [True] + [False] * len(
        INDEXED_FIELDS
    )
    await store.close()


async def test_a_collection_of_another_program_is_refused_and_left_alone() -> None:
    client = LocalQdrant()
    vectors = models.VectorParams(size=4, distance=models.Distance.COSINE)
    await client.create_collection("thrifty_rag", vectors_config=vectors)
    with pytest.raises(StoreMismatchError, match=r"'thrifty_rag'.*another RAG_STORE__NAME"):
        await server_store(client).upsert([embedded(chunk(1))])
    assert (await client.count("thrifty_rag")).count == 0
    assert client.indexes == {}
    await client.close()


async def test_two_stores_that_make_it_at_once_both_find_it() -> None:
    class Slow(LocalQdrant):
        """Says once that nothing is there, as a server does to the one that asked first."""

        asked = 0

        async def collection_exists(self, collection_name: str, **_: Any) -> bool:
            self.asked += 1
            return self.asked > 1 and await super().collection_exists(collection_name)

    client = Slow()
    await server_store(client).upsert([embedded(chunk(1))])
    client.asked = 0
    assert await found(server_store(client)) == [1]
    await client.close()


async def test_a_server_that_is_too_old_is_refused() -> None:
    with listening(lambda asked, _: qdrant(asked, version="1.18.2")) as server:
        async with connected(server.url) as (store, _):
            with pytest.raises(StoreError, match=r"runs Qdrant 1\.18\.2: update it to 1\.19"):
                await store.count("help")


# Requests


async def test_the_key_goes_with_every_request_and_into_no_message() -> None:
    with listening(lambda *_: refusal(401, "Invalid API key")) as server:
        async with connected(server.url, api_key="geheim") as (store, _):
            with pytest.raises(StoreError) as refused:
                await store.count("help")
    assert {asked.headers["api-key"] for asked in server.asked} == {"geheim"}
    assert "geheim" not in str(refused.value)


async def test_a_search_is_one_request_with_the_idf_of_its_collection() -> None:
    with listening(lambda asked, _: qdrant(asked)) as server:
        async with connected(server.url, timeout_s=7) as (store, _):
            await store.search(query("zebra", filters={"lang": ("en",)}))
            before = len(server.asked)
            await store.search(query("a zebra and a lion", filters={"lang": ("en",)}))
    assert len(server.asked) == before + 1
    asked = server.asked[-1]
    assert "timeout=7" in asked.path
    assert "consistency" not in asked.path
    dense, sparse, *words = asked.body["searches"]
    partition = {"key": "collection", "match": {"value": "help"}}
    for one in (dense, sparse):
        assert [leg["using"] for leg in one["prefetch"]] == ["dense", "sparse"]
        assert all(partition in leg["filter"]["must"] for leg in one["prefetch"])
        assert all(len(leg["filter"]["must"]) == 2 for leg in one["prefetch"])
    assert sparse["params"]["idf"]["corpus"]["must"] == [partition]
    assert sparse["prefetch"][1]["params"] == sparse["params"]
    both = sparse["query"]["nearest"]
    assert len(both["indices"]) == len(words) == 2
    for word, index, value in zip(words, both["indices"], both["values"], strict=True):
        assert word["query"]["nearest"] == {"indices": [index], "values": [value]}
        assert (word["using"], word["limit"], word["params"]) == ("sparse", 1, sparse["params"])
        assert word["filter"]["must"] == [partition], "the best of all, whatever is filtered"


async def test_a_question_without_words_asks_the_dense_leg_alone() -> None:
    with listening(lambda asked, _: qdrant(asked)) as server:
        async with connected(server.url) as (store, _):
            await store.search(query("?!"))
    [dense] = server.asked[-1].body["searches"]
    assert [leg["using"] for leg in dense["prefetch"]] == ["dense"]


async def test_replicas_are_read_by_majority_and_quantized_vectors_scored_whole() -> None:
    quantized = {"scalar": {"type": "int8"}}
    with listening(
        lambda asked, _: qdrant(asked, replicas=3, quantization_config=quantized)
    ) as server:
        async with connected(server.url) as (store, _):
            await store.search(query("zebra"))
            await store.scan(None, 5)
    *_, search, scan = server.asked
    assert "consistency=majority" in search.path
    assert "consistency=majority" in scan.path
    dense, *_ = search.body["searches"]
    found = dense["prefetch"][0]["params"]["quantization"]
    assert found == {"rescore": True, "oversampling": 2.0}
    assert dense["params"]["quantization"]["ignore"] is True


async def test_writes_wait_until_they_are_done() -> None:
    with listening(lambda asked, _: qdrant(asked)) as server:
        async with connected(server.url) as (store, _):
            await store.upsert([embedded(chunk(1))])
            await store.delete("help", "doc_1")
            await store.delete_stale("help", "doc_1", "r1")
    writes = [asked for asked in server.asked if "/points" in asked.path]
    assert len(writes) == 3
    assert all("wait=true" in asked.path for asked in writes)
    assert writes[2].body["filter"]["must_not"] == [{"key": "revision", "match": {"value": "r1"}}]
    [point] = writes[0].body["points"]
    assert point["id"] == chunk_id(1)
    assert np.float32(point["vector"]["dense"]).tolist() == [1.0] + [0.0] * 7


# Faults


async def test_a_write_is_tried_again_until_the_fault_has_passed() -> None:
    faults = iter([refusal(503, "overloaded"), refusal(429, "slow", Retry_After="3")])

    def reply(asked: Asked, _: Listening) -> Reply:
        return next(faults, qdrant(asked)) if "/points?" in asked.path else qdrant(asked)

    with listening(reply) as server:
        async with connected(server.url) as (store, pauses):
            await store.upsert([embedded(chunk(1))])
    assert pauses == [0.2, 3]
    bodies = [asked.body for asked in server.asked if "/points?" in asked.path]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]


async def test_a_write_that_never_comes_through_is_given_up() -> None:
    def reply(asked: Asked, _: Listening) -> Reply:
        return refusal(500, "no space left") if "/points?" in asked.path else qdrant(asked)

    with listening(reply) as server:
        async with connected(server.url) as (store, pauses):
            with pytest.raises(StoreUnavailableError, match="no space left"):
                await store.upsert([embedded(chunk(1))])
    assert pauses == [0.2, 0.5, 1.0, 2.0]


async def test_a_refused_write_is_not_tried_again() -> None:
    def reply(asked: Asked, _: Listening) -> Reply:
        return refusal(403, "read only key") if "/points?" in asked.path else qdrant(asked)

    with listening(reply) as server:
        async with connected(server.url) as (store, pauses):
            with pytest.raises(StoreError, match="read only key"):
                await store.upsert([embedded(chunk(1))])
    assert pauses == []


FAULTS: list[tuple[str, Reply, bool, str]] = [
    ("key", refusal(401, "Invalid API key"), False, r"401: Invalid API key\).*RAG_STORE__API_KEY"),
    ("rights", refusal(403, "Forbidden"), False, r"403.*RAG_STORE__API_KEY.*read and write"),
    ("place", refusal(404, "Not found"), False, r"404.*RAG_STORE__URL and RAG_STORE__NAME"),
    ("request", refusal(400, "Wrong input"), False, r"400: Wrong input\): correct"),
    ("size", refusal(413, "too large"), False, r"413.*max_request_size_mb"),
    ("odd", refusal(299, "?"), False, r"299"),
    ("unnamed", refusal(599, "?"), True, r"599"),
    ("fault", refusal(500, "Service internal error"), True, r"500: Service internal error.*log"),
    ("gateway", (502, {}, b"<html>Bad Gateway</html>"), True, r"502: Bad Gateway"),
    ("start", refusal(503, "starting"), True, r"503: starting"),
    ("calls", refusal(429, "slow", Retry_After="9"), True, r"fewer calls \(slow\)"),
    ("calls, no time", refusal(429, "slow"), True, r"429: slow"),
    ("no JSON", (200, {}, b"<html>Welcome</html>"), False, r"no Qdrant server.*RAG_STORE__URL"),
    ("other JSON", (200, {}, b'{"hello": 1}'), False, r"no Qdrant server.*RAG_STORE__URL"),
]


@pytest.mark.parametrize(("name", "reply", "passes", "says"), FAULTS, ids=lambda one: str(one)[:14])
async def test_every_fault_of_a_server_is_an_error_of_the_project(
    name: str, reply: Reply, passes: bool, says: str
) -> None:
    with listening(lambda *_: reply) as server:
        async with connected(server.url) as (store, _):
            with pytest.raises(StoreError, match=says) as refused:
                await store.count("help")
    assert refused.value.retryable is passes
    assert isinstance(refused.value, StoreUnavailableError) is passes
    assert "\n" not in str(refused.value)
    assert server.url in str(refused.value)
    assert refused.value.retry_after_s == (9 if name == "calls" else None)


async def test_a_server_that_is_not_there_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with connected(f"http://127.0.0.1:{port}") as (store, pauses):
        with pytest.raises(StoreUnavailableError, match=rf"{port} cannot be reached.*start it"):
            await store.count("help")
    assert pauses == [0.1]


async def test_a_server_that_never_answers_is_left() -> None:
    def held(asked: Asked, server: Listening) -> Reply:
        server.release.wait(FAR_S)
        return qdrant(asked)

    with listening(held) as server:
        async with connected(server.url, timeout_s=1) as (store, _):
            with pytest.raises(StoreUnavailableError, match=r"within 1 s.*RAG_STORE__TIMEOUT_S"):
                await store.count("help")


async def test_a_server_that_hangs_up_is_an_error_of_the_project() -> None:
    def hang_up(asked: Asked, server: Listening) -> Reply:
        raise ConnectionResetError

    with listening(hang_up) as server:
        async with connected(server.url) as (store, _):
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                await store.count("help")


def test_an_address_that_is_none_is_refused() -> None:
    for url in ("ftp://127.0.0.1", "http://[::1"):
        with pytest.raises(StoreError, match="RAG_STORE__URL"):
            QdrantServerStore.connect(
                url, None, layout=ServerLayout(), fingerprint="test", dimension=DIMENSION
            )


async def test_every_error_of_the_client_is_of_the_project() -> None:
    client = LocalQdrant()
    store = server_store(client)
    await store.upsert([embedded(chunk(1))])
    bad_id = replace(chunk(1), chunk_id="not a UUID")
    calls: list[Callable[[], Any]] = [
        lambda: store.upsert([embedded(bad_id)]),
        lambda: store.search(query(candidates=0)),
    ]
    for call in calls:
        with pytest.raises(RagError):
            await call()
    await client.delete_collection("thrifty_rag")
    with pytest.raises(StoreError):
        await store.count("help")
    await store.close()
