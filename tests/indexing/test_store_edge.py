"""What the embedded store keeps besides the contract: its folder, alone and whole."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import OpenStore
from patience import FAR_S
from store_makers import DIMENSION, chunk, embedded

from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.errors import RagError, StoreError


def test_a_killed_process_loses_nothing_that_was_upserted(tmp_path: Path) -> None:
    script = f"""
import asyncio, os, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from store_makers import chunk, embedded, DIMENSION
from indexing.stores.qdrant_edge_store import QdrantEdgeStore

async def main():
    store = QdrantEdgeStore(Path({str(tmp_path / "store")!r}), "test", DIMENSION)
    await store.upsert([embedded(chunk(number)) for number in range(1, 301)])
    await store.upsert([embedded(chunk(301, document_id="gone"))])
    await store.delete("help", "gone")
    await store.delete_stale("help", "doc_1", "r1")
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, timeout=FAR_S, check=False)
    assert ended.returncode == -9, ended.stderr.decode()

    async def count() -> int:
        store = QdrantEdgeStore(tmp_path / "store", "test", DIMENSION)
        counted = await store.count("help")
        await store.close()
        return counted

    assert asyncio.run(count()) == 300


async def test_a_store_whose_making_was_killed_is_made_anew(
    tmp_path: Path, open_store: OpenStore
) -> None:
    half = tmp_path / ".store.new"
    (half / "segments").mkdir(parents=True)
    (half / "wal").mkdir()
    store = QdrantEdgeStore(tmp_path / "store", "test", DIMENSION)
    await store.upsert([embedded(chunk(1))])
    assert await store.count("help") == 1
    await store.close()
    assert not half.exists()


@pytest.mark.parametrize("damage", ["record", "segments", "file", "foreign"])
async def test_a_damaged_folder_is_a_store_error(
    damage: str, tmp_path: Path, open_store: OpenStore
) -> None:
    folder = tmp_path / "store"
    if damage == "file":
        folder.write_text("no folder")
    elif damage == "foreign":
        folder.mkdir()
        (folder / "thesis.docx").write_text("of someone else")
    else:
        store = open_store(folder)
        await store.upsert([embedded(chunk(1))])
        await store.close()
        if damage == "record":
            (folder / "store.json").write_text('{"schema": ')
        else:
            (folder / "edge_config.json").write_text("not JSON")
    with pytest.raises(StoreError, match=re.escape(str(folder))):
        open_store(folder)
    if damage == "foreign":
        assert (folder / "thesis.docx").read_text() == "of someone else"


async def test_every_error_of_the_engine_is_of_the_project(open_store: OpenStore) -> None:
    store = open_store()
    bad_id = replace(chunk(1), chunk_id="not a UUID")
    for call in (
        lambda: store.upsert([embedded(bad_id)]),
        lambda: store.fetch(["not a UUID"]),
        lambda: store.scan("not a UUID", 1),
    ):
        with pytest.raises(RagError):
            await call()
