"""This project against LlamaIndex, txtai and Haystack: the same work, in the same run.

    make bench-peers

1,000 documents of scifact, one embedding model, each system in a process of its own, one after the
other and all of them again `--repeats` times, so that a drift of the machine meets all alike.
Prints medians and ratios, writes them to benchmarks/results/peers.json, and renews the table in
docs/results.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.publish import ROOT, write_result

SYSTEMS = {
    "Thrifty RAG": (sys.executable, "benchmarks.ours"),
    "LlamaIndex": (".venv-peers/bin/python", "benchmarks.peers.llamaindex_peer"),
    "txtai": (".venv-peers/bin/python", "benchmarks.peers.txtai_peer"),
    "Haystack": (".venv-peers/bin/python", "benchmarks.peers.haystack_peer"),
}


def measure(system: str, data: Path) -> dict[str, Any]:
    """One run of one system in its own process and environment."""
    python, module = SYSTEMS[system]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [python, "-m", module, "--data", str(data), "--out", str(out)]
        offline = os.environ | {"HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            command, cwd=ROOT, env=offline, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        return json.loads(out.read_text())


def summarise(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians over the runs of one system, and their spread."""
    ingest = [run["ingest_s"] for run in runs]
    query = [run["query_ms"]["median"] for run in runs]
    return {
        "versions": runs[0]["versions"],
        "settings": runs[0]["settings"],
        "ingest_s": {"median": statistics.median(ingest), "all": ingest},
        "query_ms": {"median": statistics.median(query), "all": query},
        "ndcg_at_10": runs[0]["ndcg_at_10"],
    }


def main() -> None:
    """Measure all, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    runs: dict[str, list[dict[str, Any]]] = {system: [] for system in SYSTEMS}
    for _ in range(arguments.repeats):
        for system, found in runs.items():
            found.append(measure(system, (arguments.data / "scifact").resolve()))
            print(system, found[-1]["ingest_s"], found[-1]["query_ms"], file=sys.stderr)
    systems = {name: summarise(found) for name, found in runs.items()}
    ours = systems["Thrifty RAG"]
    peers = [figures for name, figures in systems.items() if figures is not ours]
    fastest = {
        what: min(figures[what]["median"] for figures in peers) for what in ("ingest_s", "query_ms")
    }
    ratios = {what: round(ours[what]["median"] / figure, 3) for what, figure in fastest.items()}
    figures = {
        "repeats": arguments.repeats,
        "systems": systems,
        "ours_against_the_fastest_peer": ratios,
    }
    write_result("peers", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
