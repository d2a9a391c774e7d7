"""What small vectors cost in quality, and what they save in memory and time.

    python -m benchmarks.vectors --data ../shared/data

For each value of `store.quantization`: how many of the nearest chunks are found, against a plain
product of all whole vectors; nDCG@10 by the dense leg and by both, as the service fuses them; and
the memory, disk and time of a larger store of generated chunks (`benchmarks.embedded` says how).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, get_args

import numpy as np

from api.settings import load_settings
from benchmarks.embedded import AskedQuestion, EmbeddedSet, embedded_set, generated
from benchmarks.growth import disk_mb
from benchmarks.publish import write_result
from benchmarks.store_process import Order, ask_in_process
from benchmarks.workload import ndcg_at_10
from indexing.embedding.packaged import PackagedEmbedder
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from indexing.stores.quantization import DEFAULT_QUANTIZATION, OVERSAMPLING, Quantization
from rag.types import Candidate, EmbeddedChunk, StoreQuery
from retrieval.hybrid import fused_scores

SETS = ("scifact", "anthropic_docs_rag", "clapnq")
QUICK_SETS = ("clapnq",)
GENERATED = 50_000
QUICK_GENERATED = 2_000
QUESTIONS = 200
SEED = 11
_UPSERT = 1_000
_EQUAL = 1e-6
_Ids = dict[str, str]


async def measure(
    data: Path, scratch: Path, names: Sequence[str], count: int, cache: Path | None
) -> dict[str, Any]:
    """Quality on each set, then memory and time on generated chunks around all of them."""
    embedder = PackagedEmbedder(scratch / "models", threads=2)
    sets = [await embedded_set(data, name, embedder, cache) for name in names]
    quality = {}
    for one in sets:
        quality[one.name] = {
            "chunks": len(one.chunks),
            "questions": len(one.questions),
            "by": {
                value: await _quality(one, scratch / f"{one.name}-{value}", value)
                for value in get_args(Quantization)
            },
        }
    real = [chunk for one in sets for chunk in one.chunks]
    questions = tuple(islice((asked for one in sets for asked in one.questions), QUESTIONS))
    size = {}
    for value in get_args(Quantization):
        folder = scratch / f"generated-{value}"
        store = QdrantEdgeStore(folder, embedder.fingerprint, embedder.dimension, value)
        await _fill(store, generated(real, count, "default", SEED))
        await store.close()
        asked = ask_in_process(
            Order(
                folder=folder,
                models=scratch / "models",
                fingerprint=embedder.fingerprint,
                dimension=embedder.dimension,
                quantization=value,
                collections=("default",),
                questions=questions,
                repeats=1,
            )
        )
        size[value] = {
            "search_ms": asked["times"]["default"]["search_ms"],
            "small_mb": asked["memory_mb"]["vectors"]["small"],
            "whole_mb_read": asked["memory_mb"]["vectors"]["whole"],
            "disk_mb": round(disk_mb(folder), 1),
        }
    return {
        "default": DEFAULT_QUANTIZATION,
        "oversampling": OVERSAMPLING,
        "candidates": load_settings().retrieval.candidates,
        "quality": quality,
        "generated": {
            "chunks": count,
            "whole_mb": round(count * embedder.dimension * 4 / 1024**2, 1),
            "questions": len(questions),
            "by": size,
        },
    }


async def _quality(one: EmbeddedSet, folder: Path, quantization: Quantization) -> dict[str, float]:
    settings = load_settings().retrieval
    dimension = len(one.questions[0].vector)
    store = QdrantEdgeStore(folder, "benchmark", dimension, quantization)
    await _fill(store, iter(one.chunks))
    vectors = np.array([chunk.embedding.vector for chunk in one.chunks])
    places = {chunk.chunk.chunk_id: at for at, chunk in enumerate(one.chunks)}
    documents = {chunk.chunk.chunk_id: chunk.chunk.document_id for chunk in one.chunks}
    recalls: dict[int, list[float]] = {10: [], settings.candidates: []}
    differences, dense_ndcg, hybrid_ndcg = [0.0], [], []
    for asked in one.questions:
        near = await _searched(store, asked, "", one.name, settings.candidates)
        exact = vectors @ asked.vector
        ranked = sorted(near, key=lambda found: -found.dense_score)
        for k, shares in recalls.items():
            least = np.sort(exact)[-k] - _EQUAL  # equal ones may change places
            shares.append(fmean(exact[places[found.chunk_id]] >= least for found in ranked[:k]))
        differences += [abs(exact[places[f.chunk_id]] - f.dense_score) for f in near]
        if asked.gold:
            grades = dict.fromkeys(asked.gold, 1)
            both = await _searched(store, asked, asked.text, one.name, settings.candidates)
            fused = fused_scores(both, settings.dense_share)
            dense_ndcg.append(
                ndcg_at_10(_best(near, [f.dense_score for f in near], documents), grades)
            )
            hybrid_ndcg.append(ndcg_at_10(_best(both, fused, documents), grades))
    await store.close()
    return {
        **{f"recall_at_{k}": round(fmean(shares), 5) for k, shares in recalls.items()},
        "greatest_score_difference": float(max(differences)),
        "ndcg_at_10_dense": round(fmean(dense_ndcg), 4),
        "ndcg_at_10_hybrid": round(fmean(hybrid_ndcg), 4),
    }


async def _searched(
    store: QdrantEdgeStore, asked: AskedQuestion, text: str, collection: str, candidates: int
) -> list[Candidate]:
    """With an empty text, what the dense leg finds alone."""
    return await store.search(StoreQuery(asked.vector, text, collection, {}, candidates))


def _best(found: Sequence[Candidate], scores: Sequence[float], documents: _Ids) -> list[str]:
    """Documents by their best chunk."""
    order = sorted(range(len(found)), key=lambda at: (-scores[at], found[at].chunk_id))
    return list(dict.fromkeys(documents[found[at].chunk_id] for at in order))


async def _fill(store: QdrantEdgeStore, chunks: Iterator[EmbeddedChunk]) -> None:
    while batch := list(islice(chunks, _UPSERT)):
        await store.upsert(batch)
    await store.optimize()


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="a folder that keeps embedded sets")
    parser.add_argument("--quick", action="store_true", help="small sets, nothing is kept")
    given = parser.parse_args()
    names, count = (QUICK_SETS, QUICK_GENERATED) if given.quick else (SETS, GENERATED)
    with tempfile.TemporaryDirectory() as scratch:
        results = asyncio.run(measure(given.data, Path(scratch), names, count, given.cache))
    print(json.dumps(results, indent=2))
    if not given.quick:
        write_result("vectors", results)


if __name__ == "__main__":
    main()
