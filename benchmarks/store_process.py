"""Asks a store in a process of its own, so that memory is that of the store and nothing else.

    python -m benchmarks.store_process ORDER.pickle

Prints JSON: how long searches and whole retrievals took, the vectors' memory, and all of it.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from api.settings import load_settings
from benchmarks.embedded import REVISION, AskedQuestion
from benchmarks.publish import ROOT
from indexing.embedding.packaged import PackagedEmbedder
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from indexing.stores.quantization import Quantization
from rag.types import Passage, Question, StoreQuery
from retrieval.hybrid import HybridRetriever

HITS = 10
_MAPPINGS = {"whole": "/vector_storage-dense/vectors", "small": "/vector_storage-dense/quantized"}


@dataclass(frozen=True, slots=True)
class Order:
    """What to ask of which store; each collection is asked every question, `repeats` times."""

    folder: Path
    models: Path
    fingerprint: str
    dimension: int
    quantization: Quantization
    collections: tuple[str, ...]
    questions: tuple[AskedQuestion, ...]
    repeats: int


class OneRevision:
    """Revisions of chunks that were never written twice."""

    async def current(self, collection: str, document_ids: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(document_ids, REVISION)

    async def holds(self, collection: str) -> bool:
        return True


def ask_in_process(order: Order) -> dict[str, Any]:
    """What the process prints."""
    with NamedTemporaryFile(suffix=".pickle") as file:
        file.write(pickle.dumps(order))
        file.flush()
        command = [sys.executable, "-m", "benchmarks.store_process", file.name]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


async def ask(order: Order) -> dict[str, Any]:
    """All questions once to warm up, then timed."""
    settings = load_settings().retrieval
    embedder = PackagedEmbedder(order.models, threads=2)
    await embedder.embed([Passage("How long?", "question")])
    before = memory()
    store = QdrantEdgeStore(order.folder, order.fingerprint, order.dimension, order.quantization)
    opened = memory()
    retriever = HybridRetriever(
        embedder, store, OneRevision(), settings.candidates, settings.dense_share
    )

    async def search(one: AskedQuestion, collection: str) -> None:
        await store.search(StoreQuery(one.vector, one.text, collection, {}, settings.candidates))

    async def retrieve(one: AskedQuestion, collection: str) -> None:
        await retriever.retrieve(Question(one.text, collection), HITS)

    times = {}
    for collection in order.collections:
        await _timed(search, order, collection)
        searched = await _timed(search, order, collection)
        retrieved = await _timed(retrieve, order, collection)
        times[collection] = {"search_ms": searched, "retrieve_ms": retrieved}
    asked = memory()
    vectors = {name: mapped_mb(part) for name, part in _MAPPINGS.items()}
    await store.close()
    return {
        "times": times,
        "memory_mb": {
            "opened": _more(opened, before),
            "asked": _more(asked, before),
            "vectors": vectors,
        },
    }


async def _timed(
    call: Callable[[AskedQuestion, str], Awaitable[None]], order: Order, collection: str
) -> Mapping[str, float]:
    """The median of all runs, and the least and the greatest median of a run."""
    runs = []
    for _ in range(order.repeats):
        took = []
        for one in order.questions:
            started = time.perf_counter()
            await call(one, collection)
            took.append((time.perf_counter() - started) * 1_000)
        runs.append(took)
    medians = [statistics.median(took) for took in runs]
    every = list(chain.from_iterable(runs))
    return {
        "median": round(statistics.median(every), 3),
        "least": round(min(medians), 3),
        "greatest": round(max(medians), 3),
        "p90": round(statistics.quantiles(every, n=10)[-1], 3),
    }


def _more(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {name: round(after[name] - before[name], 1) for name in before}


def memory() -> dict[str, float]:
    """Resident memory in MB: of the process alone, and of files that it has mapped."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = dict(line.split(":", 1) for line in lines)
    names = {"own": "RssAnon", "of_files": "RssFile"}
    return {name: int(found[field].split()[0]) / 1024 for name, field in names.items()}


def mapped_mb(part: str) -> float:
    """Resident MB of the files whose path has `part` in it, as far as they are mapped."""
    total, counts = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ", 1)[0]:
            counts = part in line
        elif counts and line.startswith("Pss:"):  # what is mapped twice counts once
            total += int(line.split()[1])
    return round(total / 1024, 1)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(ask(pickle.loads(Path(sys.argv[1]).read_bytes())))))
