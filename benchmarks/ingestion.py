"""What ingestion promises, measured: in step, flat in memory, busy embedding, quick to forget.

    python -m benchmarks.ingestion --data ../shared/data

Ten thousand documents of the public sets become Markdown files. They are quoted and ingested
through the application itself while its memory and its embedder are watched; then one of them is
forgotten, a document of 200 pages gets one new paragraph, and a folder of 1,000 unchanged files is
ingested again by the command, from its start to its end.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from api.build import Application, build
from api.settings import load_settings
from benchmarks.publish import write_result
from benchmarks.service import COMMAND, environment
from indexing.ingesting.pipeline import IngestionPipeline
from rag.ports import Embedder
from rag.types import Embedding, Passage

DOCUMENTS = 10_000
UNCHANGED_FILES = 1_000
PARAGRAPHS = 2_000  # some 200 pages of ten paragraphs
COLLECTION = "default"


class WatchedEmbedder:
    """Passes everything on, and notes when the model was at work on documents."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._running = 0
        self._since = 0.0
        self.first: float | None = None
        self.last = 0.0
        self.busy_s = 0.0
        self.passages = 0

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        if not any(passage.role == "document" for passage in passages):
            return await self._embedder.embed(passages)
        now = time.perf_counter()
        self.first = now if self.first is None else self.first
        if not self._running:
            self._since = now
        self._running += 1
        try:
            return await self._embedder.embed(passages)
        finally:
            self.passages += len(passages)
            self._running -= 1
            self.last = time.perf_counter()
            if not self._running:
                self.busy_s += self.last - self._since


def texts(data: Path) -> Iterator[tuple[str, str]]:
    """Titles and texts of the public sets, near-duplicates left out."""
    for name in ("scifact", "nq_open", "clapnq", "anthropic_docs_rag"):
        with (data / name / "corpus.jsonl").open(encoding="utf-8") as file:
            for line in file:
                row = json.loads(line)
                yield row.get("title") or "", row["text"]
    with (data / "routellm" / "gsm8k.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield "", next(value for value in row.values() if isinstance(value, str))
    with (data / "banking77" / "train.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield "", row["text"]


def lay_out(folder: Path, documents: Sequence[tuple[str, str]]) -> None:
    """A Markdown file for each document, a hundred in a folder."""
    for number, (title, text) in enumerate(documents):
        path = folder / f"{number // 100:03}" / f"{number:05}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {title}\n\n{text}\n" if title else f"{text}\n", "utf-8")


def rss_mb() -> float:
    """Resident memory of this process and of its readers."""
    pids = [os.getpid()]
    for pid in pids:
        children = Path(f"/proc/{pid}/task/{pid}/children")
        pids += [int(child) for child in children.read_text().split()] if children.exists() else []
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return total / 1024


async def ingest_all(application: Application, watched: WatchedEmbedder, folder: Path) -> dict:
    """Quote and ingest a folder while memory and embedder are watched."""
    plan = await application.ingestion.plan([str(folder)], COLLECTION)
    watched.first, watched.busy_s, watched.passages = None, 0.0, 0
    memory: list[dict] = []
    started = time.perf_counter()

    async def watch() -> None:
        while True:
            documents = application.manifest.count(COLLECTION)
            memory.append(
                {
                    "s": round(time.perf_counter() - started, 1),
                    "documents": documents,
                    "mb": round(rss_mb()),
                }
            )
            await asyncio.sleep(5)

    watching = asyncio.create_task(watch())
    report = await application.ingestion.ingest([str(folder)], COLLECTION)
    watching.cancel()
    assert plan.quote is not None
    assert watched.first is not None
    return {
        "counts": report.counts(),
        "chunks": report.chunks,
        "chunks_embedded": report.chunks_embedded,
        "seconds": report.seconds,
        "quoted_seconds": plan.quote.seconds,
        "quoted_chunks": plan.quote.chunks,
        "quoted_tokens": plan.quote.tokens,
        "seconds_of_quoting": plan.seconds,
        "quote_over_actual": plan.quote.seconds / report.seconds,
        "embedder_busy_share": watched.busy_s / (watched.last - watched.first),
        "memory": memory,
        "most_mb": max(sample["mb"] for sample in memory),
    }


async def forget_some(application: Application, count: int = 5) -> dict:
    """Forget documents one at a time."""
    records = application.manifest.documents(COLLECTION)
    seconds = []
    for record in records[:: len(records) // count][:count]:
        started = time.perf_counter()
        [proof] = await application.ingestion.forget(COLLECTION, [record.document_id])
        seconds.append(time.perf_counter() - started)
        assert (proof.chunks_after, proof.found_after) == (0, 0)
    return {"documents": len(records), "seconds": seconds, "slowest_s": max(seconds)}


async def change_one_paragraph(application: Application, folder: Path, data: Path) -> dict:
    """Change one paragraph in a document of 200 pages."""
    pool = [text for _, text in texts(data) if 200 < len(text) < 600]
    paragraphs = [
        f"## Section {n // 10}\n\n{text}" if n % 10 == 0 else text
        for n, text in enumerate(islice(pool, PARAGRAPHS))
    ]
    path = folder / "long.md"
    path.write_text("# A long document\n\n" + "\n\n".join(paragraphs), "utf-8")
    first = await application.ingestion.ingest([str(path)], COLLECTION)
    middle = len(paragraphs) // 2 + 5
    paragraphs[middle] = "This paragraph is new: the limit was raised from 15 to 30 requests."
    path.write_text("# A long document\n\n" + "\n\n".join(paragraphs), "utf-8")
    second = await application.ingestion.ingest([str(path)], COLLECTION)
    return {
        "chunks": first.chunks,
        "chunks_embedded_after_the_change": second.chunks_embedded,
        "seconds": second.seconds,
    }


def unchanged_folder(scratch: Path, documents: Sequence[tuple[str, str]]) -> dict:
    """The command, from start to end, on a folder that it has ingested before."""
    folder, data_dir = scratch / "thousand", scratch / "thousand-data"
    lay_out(folder, documents[:UNCHANGED_FILES])
    seconds, report = [], {}
    for _ in range(4):
        started = time.perf_counter()
        done = subprocess.run(
            [COMMAND, "ingest", str(folder), "--json"],
            env=environment(data_dir),
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(time.perf_counter() - started)
        report = json.loads(done.stdout)
    return {
        "files": UNCHANGED_FILES,
        "first_s": seconds[0],
        "again_s": seconds[1:],
        "median_s": sorted(seconds[1:])[1],
        "chunks_embedded": report["chunks_embedded"],
        "counts": report["counts"],
    }


async def measure(data: Path, scratch: Path, count: int) -> dict:
    """All of it, in order."""
    documents = list(islice(texts(data), count))
    lay_out(scratch / "files", documents)
    settings = load_settings().model_copy(update={"data_dir": scratch / "data"})
    application = build(settings)
    watched = WatchedEmbedder(application.ingestion.parts.embedder)
    pipeline = IngestionPipeline(replace(application.ingestion.parts, embedder=watched))
    application = replace(application, ingestion=pipeline)
    results: dict = {"documents": len(documents)}
    results["ingestion"] = await ingest_all(application, watched, scratch / "files")
    results["forgetting"] = await forget_some(application)
    results["one_paragraph"] = await change_one_paragraph(application, scratch, data)
    await application.close()
    results["unchanged"] = unchanged_folder(scratch, documents)
    return results


def main() -> None:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        results = asyncio.run(measure(given.data, Path(scratch), given.documents))
    print(json.dumps(results, indent=2))
    write_result("ingestion", results)


if __name__ == "__main__":
    main()
