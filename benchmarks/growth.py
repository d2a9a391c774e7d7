"""How query time, ingestion time, memory and disk grow with the number of chunks.

    python -m benchmarks.growth --data ../shared/data

Real chunks as far as they are embedded here, generated ones beyond (`benchmarks.embedded` says
how), and a second collection at the end, so that every search has to filter. A question is
embedded, searched and fused as in the service, in a process that does nothing else. What is not
measured: the manifest, which is asked by key.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

from benchmarks.embedded import AskedQuestion, EmbeddedSet, embedded_set, generated
from benchmarks.publish import write_result
from benchmarks.store_process import Order, ask_in_process
from indexing.embedding.packaged import PackagedEmbedder
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from indexing.stores.quantization import DEFAULT_QUANTIZATION
from rag.ports import Embedder
from rag.types import EmbeddedChunk

SIZES = (1_000, 10_000, 100_000)
QUICK_SIZES = (500, 1_000)
SETS = ("clapnq", "anthropic_docs_rag", "nq_open", "scifact")
QUICK_SETS = ("clapnq",)
REAL_CHUNKS = 10_000
QUESTIONS = 200
OTHER_CHUNKS = 1_000
REPEATS = 5
SEED = 7
_UPSERT = 1_000


async def measure(data: Path, scratch: Path, sizes: Sequence[int], cache: Path | None) -> dict:
    """All sizes, one after the other in the same store."""
    embedder = PackagedEmbedder(scratch / "models", threads=2)
    names = SETS if sizes == SIZES else QUICK_SETS
    started = time.perf_counter()
    sets = [await embedded_set(data, name, embedder, cache) for name in names]
    embedding_s = time.perf_counter() - started
    made = sum(len(one.chunks) for one in sets)
    real = list(islice(_in_turn(sets), REAL_CHUNKS))
    questions = _questions(sets)
    chunks = chain(
        (_placed(one) for one in real), generated(real, sizes[-1] - len(real), "first", SEED)
    )
    folder, steps, upsert_s, have = scratch / "store", [], 0.0, 0
    for size in sizes:
        upsert_s += await _fill(folder, embedder, islice(chunks, size - have))
        have = size
        asked = ask_in_process(_order(scratch, embedder, ("first",), questions))
        steps.append(_step(size, min(size, len(real)), upsert_s, folder, asked))
    await _fill(folder, embedder, generated(real, OTHER_CHUNKS, "second", SEED + 1))
    beside = ask_in_process(_order(scratch, embedder, ("first", "second"), questions))
    # of the quietest run each, since what else the machine does only ever adds
    first, last = (step["retrieve_ms"]["least"] for step in (steps[0], steps[-1]))
    filtered = beside["times"]["first"]["retrieve_ms"]["least"]
    return {
        "quantization": DEFAULT_QUANTIZATION,
        "questions": len(questions),
        "sets": names,
        "embedding": None if cache else {"chunks": made, "seconds": round(embedding_s, 1)},
        "steps": steps,
        "query_time_grows": round(last / first, 2),
        "beside_a_second_collection": {
            "chunks": {"first": sizes[-1], "second": OTHER_CHUNKS},
            "times": beside["times"],
            "query_time_grows": round(filtered / first, 2),
        },
    }


def _in_turn(sets: Sequence[EmbeddedSet]) -> Iterator[EmbeddedChunk]:
    """The chunks of the sets, one of each in turn, so that every size holds all kinds."""
    left = [iter(one.chunks) for one in sets]
    while left:
        for chunks in list(left):
            chunk = next(chunks, None)
            if chunk is None:
                left.remove(chunks)
            else:
                yield chunk


def _questions(sets: Sequence[EmbeddedSet]) -> tuple[AskedQuestion, ...]:
    return tuple(chain.from_iterable(one.questions[: QUESTIONS // len(sets)] for one in sets))


def _placed(one: EmbeddedChunk) -> EmbeddedChunk:
    return EmbeddedChunk(replace(one.chunk, collection="first"), one.embedding)


async def _fill(folder: Path, embedder: Embedder, chunks: Iterator[EmbeddedChunk]) -> float:
    """Seconds that the store took; making what is written is not counted."""
    store = QdrantEdgeStore(folder, embedder.fingerprint, embedder.dimension)
    seconds = 0.0
    while batch := list(islice(chunks, _UPSERT)):
        started = time.perf_counter()
        await store.upsert(batch)
        seconds += time.perf_counter() - started
    started = time.perf_counter()
    await store.optimize()
    await store.close()
    return seconds + time.perf_counter() - started


def _order(
    scratch: Path,
    embedder: Embedder,
    collections: tuple[str, ...],
    questions: tuple[AskedQuestion, ...],
) -> Order:
    return Order(
        folder=scratch / "store",
        models=scratch / "models",
        fingerprint=embedder.fingerprint,
        dimension=embedder.dimension,
        quantization=DEFAULT_QUANTIZATION,
        collections=collections,
        questions=questions,
        repeats=REPEATS,
    )


def _step(size: int, real: int, upsert_s: float, folder: Path, asked: dict[str, Any]) -> dict:
    return {
        "chunks": size,
        "real_chunks": real,
        "upsert_s": round(upsert_s, 2),
        **asked["times"]["first"],
        "memory_mb": asked["memory_mb"],
        "disk_mb": round(disk_mb(folder), 1),
    }


def disk_mb(folder: Path) -> float:
    """What the files take on the disk, their holes left out."""
    files = (Path(at) / name for at, _, names in os.walk(folder) for name in names)
    return sum(path.stat().st_blocks * 512 for path in files) / 1024**2


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="a folder that keeps embedded sets")
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is kept")
    given = parser.parse_args()
    sizes = QUICK_SIZES if given.quick else SIZES
    with tempfile.TemporaryDirectory() as scratch:
        results = asyncio.run(measure(given.data, Path(scratch), sizes, given.cache))
    print(json.dumps(results, indent=2))
    if not given.quick:
        write_result("growth", results)


if __name__ == "__main__":
    main()
