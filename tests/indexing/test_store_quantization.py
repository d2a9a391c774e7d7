"""What the setting `quantization` changes in the embedded store, and what it does not."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from store_makers import chunk, query

from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from indexing.stores.quantization import DEFAULT_QUANTIZATION, Quantization
from rag.types import Candidate, EmbeddedChunk, Embedding

DIMENSION = 64
CHUNKS = 1_500
QUESTIONS = 20
CANDIDATES = 30
BITS = {"turbo": "bits4", "int8": "bits8", "binary": "bits1"}


def directions(count: int, seed: int) -> Any:
    """Unit vectors in a dozen clouds, as the vectors of texts lie."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((12, DIMENSION))
    drawn = centres[rng.integers(12, size=count)] + rng.standard_normal((count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


VECTORS = directions(CHUNKS, seed=1)
ASKED = directions(QUESTIONS, seed=2)


async def filled(folder: Path, quantization: Quantization) -> QdrantEdgeStore:
    store = QdrantEdgeStore(folder, "test", DIMENSION, quantization)
    none = np.zeros((0, DIMENSION), np.float32)
    await store.upsert(
        [
            EmbeddedChunk(chunk(number, sentences=()), Embedding(vector, none))
            for number, vector in enumerate(VECTORS, start=1)
        ]
    )
    return store


async def answers(store: QdrantEdgeStore) -> list[list[Candidate]]:
    """By the dense leg alone: the question has no words."""
    return [await store.search(query("", vector, candidates=CANDIDATES)) for vector in ASKED]


def assert_exact(found: Sequence[Sequence[Candidate]], least_recall: float = 0.999) -> None:
    """The nearest are found, and their scores are those of a plain product with whole vectors."""
    hits = 0
    for candidates, vector in zip(found, ASKED, strict=True):
        exact = VECTORS @ vector
        nearest = {uuid.UUID(int=int(at) + 1) for at in np.argsort(-exact)[:CANDIDATES]}
        for one in candidates:
            key = uuid.UUID(one.chunk_id)
            assert one.dense_score == pytest.approx(float(exact[key.int - 1]), abs=1e-5)
            hits += key in nearest
    assert hits >= least_recall * CANDIDATES * QUESTIONS


def quantized(folder: Path) -> set[str | None]:
    """The bits that the engine's segments say their small vectors have."""
    found = set()
    for path in (folder / "segments").glob("*/segment.json"):
        dense = json.loads(path.read_text())["config"]["vector_data"]["dense"]
        found.add((dense.get("quantization_config") or {"turbo": {"bits": None}})["turbo"]["bits"])
    return found


@pytest.mark.parametrize("quantization", get_args(Quantization))
async def test_small_vectors_find_the_nearest_and_whole_ones_score(
    quantization: Quantization, tmp_path: Path
) -> None:
    store = await filled(tmp_path / "store", quantization)
    found = await answers(store)
    await store.close()
    assert quantized(tmp_path / "store") == {BITS.get(quantization)}
    assert_exact(found, least_recall=0.85 if quantization == "binary" else 0.999)


@pytest.mark.parametrize(("made", "opened"), [("none", "turbo"), ("turbo", "none")])
async def test_a_folder_follows_the_setting_when_it_is_optimized(
    made: Quantization, opened: Quantization, tmp_path: Path
) -> None:
    folder = tmp_path / "store"
    await (await filled(folder, made)).close()
    store = QdrantEdgeStore(folder, "test", DIMENSION, opened)
    assert quantized(folder) == {BITS.get(made)}
    assert_exact(await answers(store))
    await store.optimize()
    assert await store.count("help") == CHUNKS
    assert_exact(await answers(store))
    await store.close()
    assert quantized(folder) == {BITS.get(opened)}


async def test_what_was_deleted_is_cleared_when_it_is_a_fifth(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    store = await filled(folder, DEFAULT_QUANTIZATION)
    others = [
        EmbeddedChunk(
            chunk(CHUNKS + number, document_id="doc_2", sentences=()),
            Embedding(vector, np.zeros((0, DIMENSION), np.float32)),
        )
        for number, vector in enumerate(VECTORS, start=1)
    ]
    await store.upsert(others)
    await store.delete("help", "doc_2")
    segments = {path.name for path in (folder / "segments").iterdir()}
    await store.optimize()
    assert await store.count("help") == CHUNKS
    assert_exact(await answers(store))
    await store.close()
    assert segments.isdisjoint(path.name for path in (folder / "segments").iterdir())


async def test_what_a_killed_process_left_half_built_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    await (await filled(folder, DEFAULT_QUANTIZATION)).close()
    left = folder / "temp_segments" / "segment_builder_x"
    left.mkdir(parents=True)
    (left / "half").write_text("…")
    store = QdrantEdgeStore(folder, "test", DIMENSION)
    assert not left.exists()
    assert await store.count("help") == CHUNKS
    await store.close()
