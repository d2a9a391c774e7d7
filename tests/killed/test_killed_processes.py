"""kill -9 at random points, run again, and the whole state is that of a run that never was killed.

A real process on the real engine, state, reader processes and tokenizer; only the vectors come
from a fake, which needs no time. `make test-killed` runs it: it takes a few minutes.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import HashingEmbedder
from sqlalchemy import select

from api.state.opening import open_state
from indexing.manifest.tables import BANDS, DOCUMENTS, FILES, SOURCES
from indexing.stores.qdrant_edge_store import QdrantEdgeStore

KILLS = 50
FILES_BEFORE = 60
SEED = 3

SCRIPT = """
import asyncio, sys
sys.path[:0] = {path!r}
from pathlib import Path
from fakes import HashingEmbedder
from api.state.opening import open_state
from indexing.chunking import StructuralChunker
from indexing.embedding.packaged import PackagedTokenizer
from indexing.ingesting.parts import Parts
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.loading.fetching import Fetcher
from indexing.loading.sources import SourceLoader
from indexing.loading.web import WebLoader
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from indexing.readers.limits import ReadLimits
from indexing.readers.workers import WorkerReader
from indexing.stores.qdrant_edge_store import QdrantEdgeStore

async def main():
    data, embedder, tokenizer = Path({data!r}), HashingEmbedder(), PackagedTokenizer()
    state = open_state(data)
    reader = WorkerReader(ReadLimits(), workers=1)
    loader = SourceLoader(reader, WebLoader(Fetcher(), reader, "r"), "r", 10_000_000)
    store = QdrantEdgeStore(data / "store", embedder.fingerprint, embedder.dimension)
    pipeline = IngestionPipeline(Parts(
        reader=reader, loader=loader, chunker=StructuralChunker(tokenizer, 128),
        tokenizer=tokenizer, embedder=embedder, store=store, manifest=Manifest(state),
        quotes=Quotes(state), batch_chunks=8,
    ))
    print("started", flush=True)
    await pipeline.ingest_and_sync([{files!r}], "help")
    print("done", flush=True)
    await loader.close()
    await store.close()

asyncio.run(main())
"""


def start(files: Path, data: Path) -> subprocess.Popen[bytes]:
    """An ingestion in a process of its own, under way."""
    script = SCRIPT.format(path=sys.path, data=str(data), files=str(files))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    return process


def ingest(files: Path, data: Path) -> float:
    """A whole ingestion; gives the seconds that it took once it had started."""
    process = start(files, data)
    assert process.stdout is not None
    started = time.perf_counter()
    assert process.stdout.readline() == b"done\n"
    seconds = time.perf_counter() - started
    process.stdout.close()
    assert process.wait(30) == 0
    return seconds


def ingest_killed(files: Path, data: Path, after_s: float) -> bool:
    """An ingestion that is killed; gives whether that came before its end."""
    process = start(files, data)
    assert process.stdout is not None
    time.sleep(after_s)
    process.kill()
    rest = process.stdout.read()
    process.stdout.close()
    process.wait(30)
    return b"done" not in rest


def page(number: int, edition: int) -> str:
    """A page of some sections, which shares most of them with its other editions."""
    sections = [
        f"## Part {part}\n\nTopic {number % 40} has a part {part}. "
        f"It was written for edition {edition if part == 2 else 0} of page {number % 40}. "
        f"Whoever reads part {part} of {number % 40} knows what it says.\n"
        for part in range(5)
    ]
    return f"# Page {number % 40}\n\n" + "\n".join(sections)


def lay_out_before(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(FILES_BEFORE):  # the last twenty repeat the first
        (folder / f"{number:02}.md").write_text(page(number, 1))
    rows = [{"id": f"row-{n}", "text": page(n + 100, 7)} for n in range(20)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))


def lay_out_after(folder: Path) -> None:
    lay_out_before(folder)
    for number in range(0, FILES_BEFORE, 3):
        (folder / f"{number:02}.md").write_text(page(number, 2))
    for number in range(1, FILES_BEFORE, 6):
        (folder / f"{number:02}.md").rename(folder / f"renamed-{number:02}.md")
    for number in range(2, FILES_BEFORE, 9):
        (folder / f"{number:02}.md").unlink(missing_ok=True)
    for number in range(200, 212):
        (folder / f"{number}.md").write_text(page(number + 1000, 3))
    rows = [{"id": f"row-{n}", "text": page(n + 100, 7 + n % 2)} for n in range(5, 25)]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))


def copy_data(origin: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    # the engine's files are mostly holes, which need not be copied
    subprocess.run(["cp", "-a", "--sparse=always", str(origin), str(target)], check=True)


async def whole_state(data: Path) -> dict[str, Any]:
    """All that is kept, but for times, and for ids that a repeated run may choose otherwise."""
    state = open_state(data)
    with state.connect() as connection:
        documents = connection.execute(select(DOCUMENTS)).all()
        sources = connection.execute(select(SOURCES).order_by(SOURCES.c.position)).all()
        files = connection.execute(select(FILES.c.file, FILES.c.mark)).all()
        bands = connection.execute(select(BANDS)).all()
    state.dispose()
    text_of = {row.document_id: row.text for row in documents}
    embedder = HashingEmbedder()
    store = QdrantEdgeStore(data / "store", embedder.fingerprint, embedder.dimension)
    points = await store.scan(None, 1_000_000)
    await store.close()
    assert all(row.indexed_at for row in documents), "a document is not settled"
    assert {row.document_id for row in sources} == text_of.keys()
    return {
        "documents": sorted(
            (r.text, r.version, r.revision, r.wording, r.title, r.metadata, r.chunks, r.page_starts)
            for r in documents
        ),
        "families": sorted(
            sorted(text_of[r.document_id] for r in documents if r.family == family)
            for family in {row.family for row in documents}
        ),
        "sources": sorted((text_of[row.document_id], row.source, row.file) for row in sources),
        "first sources": {text_of[row.document_id]: row.source for row in reversed(sources)},
        "files": sorted((row.file, row.mark.split()[1]) for row in files),
        "bands": sorted((text_of[row.document_id], row.band) for row in bands),
        "points": sorted(
            (
                text_of[point.chunk.document_id],
                point.chunk.start,
                point.chunk.text,
                point.chunk.revision,
                point.chunk.sources,
                point.chunk.version,
                point.chunk.prefix,
                point.embedding.vector.round(5).tolist(),
                point.embedding.span_vectors.round(2).tolist(),
            )
            for point in points
        ),
    }


@pytest.mark.timeout(1_800)
def test_killed_at_random_points_and_repeated(tmp_path: Path) -> None:
    files = tmp_path / "files"
    lay_out_before(files)
    ingest(files, tmp_path / "before")
    shutil.rmtree(files)
    lay_out_after(files)
    copy_data(tmp_path / "before", tmp_path / "whole")
    seconds = ingest(files, tmp_path / "whole")
    expected = asyncio.run(whole_state(tmp_path / "whole"))
    assert len(expected["documents"]) > 50

    chance = random.Random(SEED)
    equal = killed = 0
    while killed < KILLS:
        copy_data(tmp_path / "before", tmp_path / "killed")
        was_killed = ingest_killed(files, tmp_path / "killed", chance.uniform(0, seconds))
        if was_killed and chance.random() < 0.3:  # some are killed twice
            ingest_killed(files, tmp_path / "killed", chance.uniform(0, seconds / 2))
        ingest(files, tmp_path / "killed")
        found = asyncio.run(whole_state(tmp_path / "killed"))
        killed += was_killed
        for part, value in expected.items():
            assert found[part] == value, (part, killed)
        equal += was_killed
    print(f"{equal} of {killed} as if never killed; a whole run takes {seconds:.1f} s")
