"""An ingestion that is killed and repeated comes to the state of one that never was.

First at every single write, around a store in memory and real state; then as it happens: a process
on the real engine that is killed from outside.
"""

from __future__ import annotations

import copy
import inspect
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fakes import (
    CHUNK_TOKENS,
    Disk,
    FileLoader,
    HashingEmbedder,
    MakeIndexing,
    MemoryStore,
    ThreadReader,
    WordTokenizer,
)
from sqlalchemy import Engine, event

from api.state.opening import open_state
from indexing.chunking import StructuralChunker
from indexing.identity import document_id_for
from indexing.ingesting.parts import Parts
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from rag.errors import NotFoundError
from rag.types import Passage, StoreQuery

WRITES = {
    *("upsert", "describe", "delete", "delete_stale"),
    *("announce", "commit", "settle", "release", "remove_document"),
}


class KilledError(BaseException):
    """No Exception: nobody can catch it and tidy up."""


@dataclass
class Fuse:
    """Burns down with every write; kills before the one at which it is burnt, and all later."""

    left: int
    writes: int = 0
    is_burnt: bool = False

    def burn(self) -> None:
        self.writes += 1
        self.left -= 1
        self.is_burnt = self.is_burnt or self.left == 0
        if self.is_burnt:
            raise KilledError


class Fused:
    """Passes everything on; writes burn the fuse."""

    def __init__(self, wrapped: object, fuse: Fuse) -> None:
        self._wrapped = wrapped
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._wrapped, name)
        if name not in WRITES:
            return found
        if inspect.iscoroutinefunction(found):

            async def write_async(*arguments: Any) -> Any:
                self._fuse.burn()
                return await found(*arguments)

            return write_async

        def write(*arguments: Any) -> Any:
            self._fuse.burn()
            return found(*arguments)

        return write


@dataclass
class World:
    """Files, store and state, which outlive a process."""

    folder: Path
    disk: Disk

    @property
    def files(self) -> Path:
        return self.folder / "files"

    async def run(self, work: Work, fuse: Fuse | None = None) -> None:
        """Work as a new process would; it may be killed."""
        fuse = fuse or Fuse(0)
        state = self._open_state()
        store = MemoryStore(self.disk, "hashing", 32)
        parts = Parts(
            reader=ThreadReader(),
            loader=FileLoader(ThreadReader()),
            chunker=StructuralChunker(WordTokenizer(), 64),
            tokenizer=WordTokenizer(),
            embedder=HashingEmbedder(),
            store=Fused(store, fuse),  # type: ignore[arg-type]
            manifest=Fused(Manifest(state), fuse),  # type: ignore[arg-type]
            quotes=Quotes(state),
            batch_chunks=4,
        )
        pipeline = IngestionPipeline(parts)
        try:
            await work(pipeline, self.files)
        finally:
            self.disk.held = False
            state.dispose()

    def observed(self) -> dict[str, Any]:
        """What anyone could see: documents by text, with sources; and chunks that are found."""
        state = self._open_state()
        seen = observed(Manifest(state), [point[0] for point in self.disk.points.values()])
        state.dispose()
        return seen

    def saved(self) -> Callable[[], None]:
        """A way back to how store and state are now."""
        points = dict(self.disk.points)
        backup = self.folder / "saved"
        shutil.copytree(self.folder / "data", backup)

        def restore() -> None:
            self.disk.points = dict(points)
            shutil.rmtree(self.folder / "data")
            shutil.copytree(backup, self.folder / "data")

        return restore

    def _open_state(self) -> Engine:
        state = open_state(self.folder / "data")
        # the disk outlives a process that is killed: no need to wait for it
        event.listen(state, "connect", lambda one, _: one.execute("PRAGMA synchronous=OFF"))
        return state


Work = Callable[[IngestionPipeline, Path], Awaitable[object]]


def observed(manifest: Manifest, chunks: list[Any]) -> dict[str, Any]:
    documents = {}
    for record in manifest.documents("help"):
        whole = manifest.document("help", record.document_id)
        mine = sorted((c for c in chunks if c.document_id == record.document_id), key=by_start)
        documents[whole.text] = {
            "id": record.document_id,
            "sources": sorted(record.sources),
            "metadata": dict(whole.metadata),
            "chunks": record.chunks == len(mine),
            "text": "".join(chunk.text for chunk in mine) == whole.text,
            "named": {(c.source, c.title, c.version) for c in mine}
            == {(record.sources[0], record.title, record.version)},
        }
    known = {one["id"] for one in documents.values()}
    return {
        "documents": documents,
        "strays": sorted(c.text for c in chunks if c.document_id not in known),
    }


def by_start(chunk: Any) -> int:
    start: int = chunk.start
    return start


def text_of(what: str, changed: str = "", paragraphs: int = 6) -> str:
    parts = [f"{what} {n} stands here and says that {what} is {n}." for n in range(paragraphs)]
    half = paragraphs // 2
    return "\n\n".join([*parts[:half], *([changed] if changed else []), *parts[half:]])


def rows_of(**texts: str) -> str:
    rows = [{"id": name, "text": text_of(what)} for name, what in texts.items()]
    return "\n".join(map(json.dumps, rows))


BEFORE = {
    "changes.md": text_of("apples"),
    "copied.md": text_of("bears"),
    "gone.md": text_of("cherries"),
    "renamed.md": text_of("dates"),
    "twin1.md": text_of("elks"),
    "twin2.md": text_of("elks"),
    "twin3.md": text_of("elks"),
    "swap1.md": text_of("figs"),
    "swap2.md": text_of("geese"),
    "rows.jsonl": rows_of(x="herons", y="irises", z="jays"),
}
AFTER = {
    "changes.md": text_of("apples", "One paragraph is new."),
    "copied.md": text_of("koalas"),
    "copied_old.md": text_of("bears"),
    "new.md": text_of("lemons"),
    "new_twin.md": text_of("lemons"),
    "renamed_since.md": text_of("dates"),
    "twin1.md": text_of("moose"),
    "twin2.md": text_of("elks"),
    "twin3.md": text_of("lemons"),
    "swap1.md": text_of("geese"),
    "swap2.md": text_of("figs"),
    "rows.jsonl": rows_of(x="herons", z="nuts", w="oaks"),
    "rows2.jsonl": rows_of(y="irises"),
}


def lay_out(folder: Path, files: dict[str, str]) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)


async def sync(pipeline: IngestionPipeline, files: Path) -> None:
    await pipeline.ingest_and_sync([str(files)], "help")


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """With everything of BEFORE indexed."""
    made = World(tmp_path / "world", Disk())
    lay_out(made.files, BEFORE)
    await made.run(sync)
    return made


def steps(writes: int) -> range:
    """Where to kill: at every third write, or with RAG_TEST_EVERY_WRITE at each."""
    return range(1, writes + 1, 1 if "RAG_TEST_EVERY_WRITE" in os.environ else 3)


def check_sound(seen: dict[str, Any]) -> None:
    assert seen["strays"] == []
    for document in seen["documents"].values():
        assert document["chunks"]
        assert document["text"]
        assert document["named"]


async def reference(world: World, restore: Callable[[], None], work: Work) -> tuple[Any, int]:
    """What comes of it when nobody kills, and in how many steps."""
    fuse = Fuse(0)
    await world.run(work, fuse)
    seen = world.observed()
    check_sound(seen)
    restore()
    return seen, fuse.writes


def without_ids(seen: dict[str, Any]) -> dict[str, Any]:
    """A repeated run may give an heir another id."""
    bare = copy.deepcopy(seen)
    for document in bare["documents"].values():
        del document["id"]
    return bare


async def test_killed_at_every_write_and_repeated(world: World) -> None:
    lay_out(world.files, AFTER)
    restore = world.saved()
    expected, writes = await reference(world, restore, sync)
    assert set(expected["documents"]) >= set(AFTER.values()) - {
        AFTER["rows.jsonl"], AFTER["rows2.jsonl"]
    }  # fmt: skip
    assert writes > 20
    for step in steps(writes):
        with suppress(KilledError):
            await world.run(sync, Fuse(step))
        await world.run(sync)
        assert without_ids(world.observed()) == without_ids(expected), step
        restore()


async def test_killed_at_every_write_and_put_back(world: World) -> None:
    """The files are as they were again before the run is repeated."""
    expected = world.observed()
    lay_out(world.files, AFTER)
    restore = world.saved()
    _, writes = await reference(world, restore, sync)
    for step in steps(writes):
        with suppress(KilledError):
            await world.run(sync, Fuse(step))
        lay_out(world.files, BEFORE)
        await world.run(sync)
        assert without_ids(world.observed()) == without_ids(expected), step
        restore()
        lay_out(world.files, AFTER)


async def test_killed_at_every_write_of_a_first_run_whose_files_are_gone(tmp_path: Path) -> None:
    """What was never recorded is found nowhere."""
    world = World(tmp_path / "world", Disk())
    lay_out(world.files, AFTER)
    (world.folder / "data").mkdir()
    restore = world.saved()
    _, writes = await reference(world, restore, sync)
    for step in steps(writes):
        with suppress(KilledError):
            await world.run(sync, Fuse(step))
        lay_out(world.files, {})
        await world.run(sync)
        assert world.observed() == {"documents": {}, "strays": []}, step
        restore()
        lay_out(world.files, AFTER)


async def test_forgetting_killed_at_every_write_and_repeated(world: World) -> None:
    forgotten = [document_id_for(str(world.files / name)) for name in ("twin1.md", "gone.md")]

    async def forget(pipeline: IngestionPipeline, files: Path) -> None:
        for name in forgotten:
            with suppress(NotFoundError):  # where a killed one had come that far
                await pipeline.forget("help", [name])

    restore = world.saved()
    expected, writes = await reference(world, restore, forget)
    assert len(expected["documents"]) == len(world.observed()["documents"]) - 2
    for step in steps(writes):
        with suppress(KilledError):
            await world.run(forget, Fuse(step))
        await world.run(forget)
        assert world.observed() == expected, step
        restore()


# Killed from outside, on the real engine

SCRIPT = """
import asyncio, sys
sys.path[:0] = {path!r}
from pathlib import Path
from fakes import FileLoader, HashingEmbedder, ThreadReader
from api.state.opening import open_state
from indexing.chunking import StructuralChunker
from indexing.embedding.packaged import PackagedTokenizer
from indexing.ingesting.parts import Parts
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.manifest.manifest import Manifest
from indexing.manifest.quotes import Quotes
from indexing.stores.qdrant_edge_store import QdrantEdgeStore

async def main():
    data = Path({data!r})
    embedder = HashingEmbedder()
    state, tokenizer = open_state(data), PackagedTokenizer()
    pipeline = IngestionPipeline(Parts(
        reader=ThreadReader(), loader=FileLoader(ThreadReader()),
        chunker=StructuralChunker(tokenizer, {tokens}), tokenizer=tokenizer, embedder=embedder,
        store=QdrantEdgeStore(data / "store", embedder.fingerprint, embedder.dimension),
        manifest=Manifest(state), quotes=Quotes(state),
    ))
    tell = lambda progress: print(progress.chunks, flush=True)
    print("started", flush=True)
    await pipeline.ingest_and_sync([{files!r}], "help", on_progress=tell)

asyncio.run(main())
"""


def killed_after(lines: int, files: Path, data: Path) -> None:
    """Ingest in a process of its own, and kill it after so many of its progress lines."""
    script = SCRIPT.format(path=sys.path, data=str(data), files=str(files), tokens=CHUNK_TOKENS)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(lines):
            assert process.stdout.readline(), "it ended before it could be killed"
        process.kill()


def many_files(folder: Path, edition: str) -> None:
    lay_out(folder, {})
    for number in range(60):
        sections = [
            f"## Part {part}\n\n{text_of(f'topic{number % 50}x{part}')}\n\n" for part in range(8)
        ]
        if number % 3 == 0:
            sections.insert(4, f"## Edition\n\n{text_of(edition)}\n\n")
        (folder / f"{number:02}.md").write_text("".join(sections))


async def test_killed_processes_leave_what_a_whole_run_leaves(
    make_indexing: MakeIndexing, tmp_path: Path
) -> None:
    files, data = tmp_path / "files", tmp_path / "killed"
    many_files(files, "first")
    killed_after(30, files, data)  # into an empty folder, between two batches or within one
    killed_after(5, files, data)
    index = make_indexing(folder=data)
    await index.pipeline.ingest_and_sync([str(files)], "help")
    await index.store.close()
    index.state.dispose()
    many_files(files, "second")
    (files / "07.md").unlink()
    killed_after(45, files, data)
    index = make_indexing(folder=data)
    await index.pipeline.ingest_and_sync([str(files)], "help")

    whole = make_indexing(folder=tmp_path / "whole")
    await whole.pipeline.ingest_and_sync([str(files)], "help")
    found, expected = [await state_of(one) for one in (index, whole)]
    assert found["chunks"] == expected["chunks"]
    assert found["documents"] == expected["documents"]
    assert found["answers"] == pytest.approx(expected["answers"], abs=1e-4)


async def state_of(index: Any) -> dict[str, Any]:
    records = index.manifest.documents("help")
    chunks = {
        record.document_id: await index.store.chunk_ids("help", record.document_id)
        for record in records
    }
    question = "topic7x3 stands here"
    [asked] = await HashingEmbedder().embed([Passage(question, "question")])
    found = await index.store.search(StoreQuery(asked.vector, question, "help", {}, 10_000))
    assert sum(map(len, chunks.values())) == await index.store.count("help")
    return {
        "chunks": chunks,
        "documents": [(r.document_id, r.version, r.chunks, set(r.sources)) for r in records],
        "answers": {one.chunk_id: one.dense_score for one in found}
        | {f"{one.chunk_id} sparse": one.sparse_score for one in found},
    }
