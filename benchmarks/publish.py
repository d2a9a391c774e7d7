"""Writes the measured figures into the handbook: tables between their markers, and plots.

    python -m benchmarks.publish

The figures are those in benchmarks/results/ and in generation/confidence/quoted.json, which the
other programs here leave there. A table without a result stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.publishing import deciding, experimenting, money, quality, serving, speed
from benchmarks.publishing.markdown import Result
from benchmarks.publishing.origins import origin, origins
from benchmarks.publishing.plots import draw_plots
from benchmarks.publishing.summary import summary

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results"
CONFIDENCE = ROOT / "generation" / "confidence" / "quoted.json"
PAGE = ROOT / "docs" / "results.md"
IMAGES = ROOT / "docs" / "images"

TABLES: dict[str, Callable[[Result], str]] = {
    "retrieval": quality.retrieval,
    "spans": quality.spans,
    "compression": quality.compression,
    "context": quality.context,
    "abstention": quality.abstention,
    "quotes": quality.quotes,
    "citations": quality.citations,
    "embedding": speed.embedding,
    "vectors": speed.vectors,
    "growth": speed.growth,
    "ingestion": speed.ingestion,
    "near_duplicates": speed.near_duplicates,
    "readers": speed.readers,
    "http": speed.http,
    "peers": speed.peers,
    "budgets": money.budgets,
    "engine_overhead": money.engine_overhead,
    "model_serving": money.model_serving,
    "routing": deciding.routing,
    "calibration": deciding.calibration,
    "choosing": deciding.choosing,
    "thousand_answers": deciding.thousand_answers,
    "batch_allocation": deciding.batch_allocation,
    "deciding_speed": deciding.deciding_speed,
    "reuse_pairs": deciding.reuse_pairs,
    "reuse_attacks": deciding.reuse_attacks,
    "reuse_streams": deciding.reuse_streams,
    "reuse_bound": deciding.reuse_bound,
    "stale_reuse": deciding.stale_reuse,
    "reuse_lookup": deciding.reuse_lookup,
    "experiments": experimenting.experiments,
    "load": serving.load,
    "dashboard": serving.dashboard,
    "masking": serving.masking,
    "conversations": serving.conversations,
    "conversation_tokens": serving.conversation_tokens,
}
"""Tables of one result each."""

_OF_ALL: dict[str, Callable[[Mapping[str, Result]], str]] = {
    "summary": summary,
    "origins": origins,
}


def write_result(name: str, figures: dict[str, Any]) -> None:
    """Keep the figures of one benchmark with where they come from, and renew the page."""
    made = origin(ROOT)
    versions = {"versions": made["versions"] | figures.get("versions", {})}
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(made | figures | versions, indent=2)
    (RESULTS / f"{name}.json").write_text(f"{text}\n", "utf-8")
    publish()


def publish() -> None:
    """Renew every table and plot for which there is a result."""
    results = read_results()
    _write(PAGE, renewed(PAGE.read_text("utf-8"), results))
    for name, plot in draw_plots(results).items():
        _write(IMAGES / name, plot)


def read_results() -> dict[str, Result]:
    """By name, all figures that there are."""
    paths = {path.stem: path for path in sorted(RESULTS.glob("*.json"))}
    paths["quotes"] = CONFIDENCE
    return {name: json.loads(path.read_text("utf-8")) for name, path in paths.items()}


def renewed(text: str, results: Mapping[str, Result]) -> str:
    """A page whose tables say what the results say."""
    for name, all_table in _OF_ALL.items():
        text = _filled(text, name, all_table(results))
    for name, table in TABLES.items():
        if name in results:
            text = _filled(text, name, table(results[name]))
    return text


def _filled(text: str, name: str, content: str) -> str:
    begin, end = (f"<!-- bench:{name}:{at} -->" for at in ("begin", "end"))
    before, rest = text.split(begin)
    return f"{before}{begin}\n{content}\n{end}{rest.split(end)[1]}"


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text("utf-8") != text:
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    publish()
