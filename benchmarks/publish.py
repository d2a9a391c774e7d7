"""Writes the measured figures into the handbook, between the markers of each table.

    python -m benchmarks.publish

The figures are those in benchmarks/results/ and in generation/deciding/confidence.json, which the
other programs here leave there. A table without a result stays as it is.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CONFIDENCE = ROOT / "generation" / "deciding" / "confidence.json"
PAGES = (ROOT / "docs" / "quality.md", ROOT / "docs" / "guarantees.md")


def write_result(name: str, figures: dict[str, Any]) -> None:
    """Keep the figures of one benchmark with where they come from, and renew the page."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    origin = {"commit": commit, "python": platform.python_version(), "cores": os.cpu_count()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(origin | figures, indent=2) + "\n")
    publish()


def publish() -> None:
    """Renew every table for which there is a result."""
    for page in PAGES:
        text = page.read_text()
        for name, table in _TABLES.items():
            path = CONFIDENCE if name == "quotes" else RESULTS / f"{name}.json"
            begin, end = f"<!-- bench:{name}:begin -->", f"<!-- bench:{name}:end -->"
            if path.exists() and begin in text:
                before, rest = text.split(begin)
                after = rest.split(end)[1]
                text = f"{before}{begin}\n{table(json.loads(path.read_text()))}\n{end}{after}"
        page.write_text(text)


def _rows(head: list[str], rows: list[list[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _peers(result: dict[str, Any]) -> str:
    rows = [
        [
            name,
            f"{figures['ingest_s']['median']:.1f}",
            f"{figures['query_ms']['median']:.1f}",
            f"{figures['ndcg_at_10']:.3f}",
        ]
        for name, figures in result["systems"].items()
    ]
    table = _rows(["System", "Ingestion, s", "One hybrid query, ms", "nDCG@10"], rows)
    ratios = result["ours_against_the_fastest_peer"]
    return (
        f"{table}\n\nIn this run Thrifty RAG took {ratios['ingest_s']:.2f} times as long as the "
        f"fastest peer to ingest, and {ratios['query_ms']:.2f} times as long to answer a query "
        f"(medians of {result['repeats']} runs on {result['cores']} cores)."
    )


def _http(result: dict[str, Any]) -> str:
    rows = [
        [run["requests"], run["answers_per_s"], run["p50_ms"], run["p99_ms"], run["errors"]]
        for run in result["runs"]
    ]
    return _rows(["Requests", "Answers a second", "p50, ms", "p99, ms", "Errors"], rows)


def _citations(result: dict[str, Any]) -> str:
    rows = [[result[name] for name in ("questions", "answered", "citations", "wrong")]]
    return _rows(["Questions", "Answered", "Citations", "Not exact"], rows)


def _quotes(result: dict[str, Any]) -> str:
    names = {
        "right_when_answered": "Right when answered",
        "answerable_refused": "Answerable, refused",
        "unanswerable_refused": "Unanswerable, refused",
        "auroc_right": "AUROC, right or not",
        "auroc_answerable": "AUROC, answerable or not",
        "auroc_answerable_top_cosine": "The same by the top cosine alone",
        "ece": "Calibration error",
    }
    rows = [
        [source, int(figures["questions"]), *(figures.get(name, "") for name in names)]
        for source, figures in result["held_out"].items()
    ]
    threshold = f"The service abstains below {result['abstain_below']}."
    return _rows(["Question set", "Questions", *names.values()], rows) + f"\n\n{threshold}"


def _ingestion(result: dict[str, Any]) -> str:
    done, again, forgot = result["ingestion"], result["unchanged"], result["forgetting"]
    long = result["one_paragraph"]
    memory = [sample["mb"] for sample in done["memory"]]
    middle = len(memory) // 2
    rows: list[list[object]] = [
        [
            f"{again['files']:,} unchanged files again, the whole command",
            f"{again['median_s']:.2f} s, {again['chunks_embedded']} chunks embedded",
        ],
        [
            f"One new paragraph in a document of {long['chunks']:,} chunks",
            f"{long['chunks_embedded_after_the_change']} chunks embedded",
        ],
        [
            f"One document of {forgot['documents']:,} forgotten, the slowest of "
            f"{len(forgot['seconds'])}",
            f"{forgot['slowest_s']:.3f} s",
        ],
        [
            f"{result['documents']:,} documents ingested, {done['chunks']:,} chunks",
            f"{done['seconds']:.0f} s",
        ],
        [
            "Memory meanwhile, reader processes included: half way, and at most",
            f"{memory[middle]:,} MB, {done['most_mb']:,} MB",
        ],
        ["Time that the embedder was at work, of all after its start",
         f"{done['embedder_busy_share']:.0%}"],
        ["Time that was quoted, against the time that it took", f"{done['quote_over_actual']:.2f}"],
    ]  # fmt: skip
    return _rows(["What", "Measured"], rows)


def _near_duplicates(result: dict[str, Any]) -> str:
    pages = result["pages"]
    rows: list[list[object]] = [
        ["Documents stored", f"{result['documents']:,} of {pages:,}"],
        [
            "Chunks saved",
            f"{result['chunks_saved_share']:.1%} of {result['chunks_of_all_pages']:,}",
        ],
        ["Embeddings saved", f"{result['embeddings_saved_share']:.1%}"],
    ]
    table = _rows(["What", "Measured"], rows)
    asked = _rows(
        [f"{result['questions']} questions about what differs", "Newest first", "Hybrid alone"],
        [
            [name.replace("_", " "), figure, result["hybrid_alone"].get(name, 0)]
            for name, figure in result["newest_first"].items()
        ],
    )
    return f"{table}\n\n{asked}"


_TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "peers": _peers,
    "http": _http,
    "citations": _citations,
    "quotes": _quotes,
    "ingestion": _ingestion,
    "near_duplicates": _near_duplicates,
}


if __name__ == "__main__":
    publish()
