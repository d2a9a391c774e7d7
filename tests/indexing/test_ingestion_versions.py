"""Documents that are nearly the same, and what is used again: real engine and state."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import GatedEmbedder, HashingEmbedder, Indexing, MakeIndexing, OpenStore

from indexing.chunking import StructuralChunker
from indexing.embedding.packaged import PackagedTokenizer
from indexing.identity import content_version
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.ingesting.turns import Turns
from indexing.wording import wording
from rag.errors import GoneError, StateError, StoreError
from rag.sources import FailedPart, Found, Loaded, ReadResult
from rag.types import Document, EmbeddedChunk, Embedding, Passage, Question
from retrieval.hybrid import HybridRetriever

PAGE = """# Snapshots

A snapshot is saved every {minutes} minutes while the member runs, unless it is told otherwise.
Old snapshots are deleted as soon as five of them are there. The flag `--keep` is not needed.

## Restoring

To restore, stop the member first, remove its data folder, and name the snapshot to read from. The
member joins the cluster again under its own name and catches up with the others by itself.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = (tmp_path / "files").resolve()
    folder.mkdir()
    return folder


@pytest.fixture
def index(make_indexing: MakeIndexing) -> Indexing:
    return make_indexing()


def text_document(name: str, text: str, title: str = "T", **metadata: Any) -> Document:
    return Document(
        "help",
        name,
        content_version(title, text, metadata),
        title,
        text,
        (f"api:{name}",),
        metadata=metadata,
        wording=wording(title, text, metadata),
    )


async def test_versions_that_differ_in_a_number_are_both_kept_and_linked(
    index: Indexing, root: Path
) -> None:
    for number, minutes in enumerate((10, 30, 60)):
        (root / f"v{number}.md").write_text(PAGE.format(minutes=minutes))
    (root / "other.md").write_text("# Billing\n\nAn invoice is sent on the first of each month.\n")
    await index.pipeline.ingest([str(root)], "help")
    families = {record.title: set() for record in index.manifest.documents("help")}
    for record in index.manifest.documents("help"):
        families[record.title].add(record.family)
    assert index.manifest.count("help") == 4
    assert len(families["Snapshots"]) == 1
    assert families["Snapshots"].isdisjoint(families["Billing"])
    texts = [
        index.manifest.document("help", r.document_id).text
        for r in index.manifest.documents("help")
    ]
    for minutes in (10, 30, 60):
        assert any(f"every {minutes} minutes" in text for text in texts)


async def test_another_layout_of_the_same_words_is_one_more_source(
    index: Indexing, root: Path
) -> None:
    (root / "a.md").write_text(PAGE.format(minutes=10))
    await index.pipeline.ingest([str(root)], "help")
    laid_out = PAGE.format(minutes=10).replace("five of them", "**five** of\nthem")
    (root / "b.md").write_text(laid_out)
    report = await index.pipeline.ingest([str(root)], "help")
    assert [item.outcome for item in report.items] == ["unchanged", "duplicate"]
    [record] = index.manifest.documents("help")
    assert record.sources == (str(root / "a.md"), str(root / "b.md"))
    [chunk_id, *_] = await index.store.chunk_ids("help", record.document_id)
    [stored] = await index.store.fetch([chunk_id])
    assert stored.chunk.sources == record.sources


async def test_another_layout_of_the_same_file_is_a_change_of_its_text(
    index: Indexing, root: Path
) -> None:
    path = root / "a.md"
    path.write_text(PAGE.format(minutes=10))
    await index.pipeline.ingest([str(root)], "help")
    path.write_text(PAGE.format(minutes=10).replace("five of them", "**five** of them"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert [item.outcome for item in report.items] == ["changed"]
    [record] = index.manifest.documents("help")
    assert "**five**" in index.manifest.document("help", record.document_id).text


async def test_what_two_documents_share_is_embedded_once(index: Indexing) -> None:
    shared = "\n\n".join(f"## Part {n}\n\n{'Words that stand in both. ' * 30}{n}" for n in range(6))
    first = text_document("one", f"{shared}\n\n## Own\n\nThe limit is 5.")
    second = text_document("two", f"{shared}\n\n## Own\n\nThe limit is 7.")
    report = await index.pipeline.ingest_documents([first], "help")
    assert report.chunks_embedded == report.chunks > 6
    again = await index.pipeline.ingest_documents([second], "help")
    assert again.chunks == report.chunks
    assert again.chunks_embedded == 1
    both = await index.pipeline.ingest_documents(
        [replace(first, collection="other"), replace(second, collection="other")], "other"
    )
    assert (both.chunks, both.chunks_embedded) == (2 * report.chunks, report.chunks + 1)


async def test_other_rules_of_cutting_cut_anew_and_embed_what_is_new(
    index: Indexing, tokenizer: PackagedTokenizer
) -> None:
    document = text_document("one", PAGE.format(minutes=10) * 4)
    await index.pipeline.ingest_documents([document], "help")
    smaller = IngestionPipeline(
        replace(index.pipeline.parts, chunker=StructuralChunker(tokenizer, 64))
    )
    report = await smaller.ingest_documents([document], "help")
    assert [(i.outcome, i.reason) for i in report.items] == [("changed", "cut anew by other rules")]
    [record] = index.manifest.documents("help")
    assert record.chunks == await index.store.count("help") == report.chunks
    assert [i.outcome for i in (await smaller.ingest_documents([document], "help")).items] == [
        "unchanged"
    ]


async def test_a_reader_sees_a_document_as_it_was_and_then_as_it_is(
    make_indexing: MakeIndexing,
) -> None:
    index = make_indexing()
    retriever = HybridRetriever(HashingEmbedder(), index.store, index.manifest, 100, 0.5)
    editions = [
        text_document(
            "one", "\n\n".join(f"## Part {n}\n\nEdition {e} says {n}." for n in range(60))
        )
        for e in ("first", "second")
    ]
    await index.pipeline.ingest_documents(editions[:1], "help")
    seen: list[set[str]] = []

    async def look(writing: asyncio.Task[Any]) -> None:
        while not writing.done():
            hits = await retriever.retrieve(Question("edition says part", "help"), 100)
            seen.append(
                {word for h in hits for word in ("first", "second") if word in h.chunk.text}
            )
            await asyncio.sleep(0)

    for edition in [editions[1], editions[0]] * 4:
        await look(asyncio.create_task(index.pipeline.ingest_documents([edition], "help")))
    assert len(seen) > 20
    assert [words for words in seen if len(words) != 1] == []
    assert {"first"} in seen
    assert {"second"} in seen


async def test_the_next_batch_is_embedded_while_one_is_stored(
    make_indexing: MakeIndexing, root: Path
) -> None:
    """The store waits until a second batch is at the model: that it is proves that they overlap."""
    embedder = GatedEmbedder()
    embedder.gate.set()
    second = asyncio.Event()

    class SlowStore:
        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def upsert(self, chunks: Any) -> None:
            while len(embedder.calls) < 2:
                embedder.called.clear()
                await asyncio.wait_for(embedder.called.wait(), 20)
            second.set()
            await self._store.upsert(chunks)

    index = make_indexing(embedder, wrap_store=SlowStore)
    pipeline = IngestionPipeline(replace(index.pipeline.parts, batch_chunks=1))
    for number in range(4):
        (root / f"{number}.md").write_text(f"Text number {number} is here.")
    report = await pipeline.ingest([str(root)], "help")
    assert second.is_set()
    assert report.counts()["added"] == 4


async def test_a_disk_without_room_stops_it_before_it_writes_and_the_next_run_goes_on(
    index: Indexing, root: Path
) -> None:
    for number in range(3):
        (root / f"{number}.md").write_text(f"Text number {number} is here.")
    room = [True]

    def check_room() -> None:
        if not room:
            raise StateError("the disk is full: make room")
        room.pop()

    full = IngestionPipeline(replace(index.pipeline.parts, batch_chunks=1, check_room=check_room))
    with pytest.raises(StateError, match="disk is full"):
        await full.ingest([str(root)], "help")
    assert index.manifest.count("help") == 1
    report = await index.pipeline.ingest([str(root)], "help")
    assert report.counts() | {"added": 2, "unchanged": 1} == report.counts()


class ScriptedLoader:
    """Gives texts by source; None is gone."""

    def __init__(self) -> None:
        self.texts: dict[str, str | None] = {}
        self.skipped: list[str] = []

    async def discover(self, places: Any) -> Found:
        return Found(tuple(places), tuple(FailedPart(s, "it is skipped") for s in self.skipped))

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        text = self.texts[source]
        if text is None:
            raise GoneError(f"{source} is gone (status 404)")
        if text == known:
            return Loaded(text, None)
        document = replace(text_document("x", text), document_id=f"id-{source}", sources=(source,))
        return Loaded(text, ReadResult([document], []))


async def test_a_page_that_is_gone_fails_and_is_removed_by_a_sync(index: Indexing) -> None:
    loader = ScriptedLoader()
    pages = ["https://a.example/1", "https://a.example/2"]
    loader.texts = {page: f"This is page {page}." for page in pages}
    pipeline = IngestionPipeline(replace(index.pipeline.parts, loader=loader))
    await pipeline.ingest(pages, "help")
    loader.texts[pages[0]] = None
    report = await pipeline.ingest(pages, "help")
    assert [(i.source, i.outcome) for i in report.items] == [
        (pages[1], "unchanged"), (pages[0], "failed")
    ]  # fmt: skip
    assert index.manifest.count("help") == 2
    report = await pipeline.ingest_and_sync(pages, "help")
    assert [(i.source, i.outcome) for i in report.items] == [
        (pages[1], "unchanged"), (pages[0], "removed")
    ]  # fmt: skip
    assert index.manifest.count("help") == 1


async def test_what_could_not_be_looked_at_is_reported_and_not_removed(
    index: Indexing, root: Path
) -> None:
    loader = ScriptedLoader()
    inside = str(root / "closed" / "a.md")
    loader.texts = {inside: "This is a page."}
    pipeline = IngestionPipeline(replace(index.pipeline.parts, loader=loader))
    await pipeline.ingest([inside], "help")
    loader.skipped = [str(root / "closed")]
    report = await IngestionPipeline(
        replace(index.pipeline.parts, loader=EmptyFolder(loader))
    ).ingest_and_sync([str(root)], "help")
    assert [(i.source, i.outcome, i.reason) for i in report.items] == [
        (str(root / "closed"), "skipped", "it is skipped")
    ]
    assert index.manifest.count("help") == 1


class EmptyFolder(ScriptedLoader):
    """Finds nothing but what it skips."""

    def __init__(self, other: ScriptedLoader) -> None:
        super().__init__()
        self.skipped = other.skipped

    async def discover(self, places: Any) -> Found:
        return await super().discover(())


async def test_forgetting_in_another_process_leaves_what_is_being_written(
    make_indexing: MakeIndexing, root: Path
) -> None:
    """Two services on one store and state, as with a Qdrant server and PostgreSQL."""
    locks: dict[str, asyncio.Lock] = {}
    written, go = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def among_all(name: str) -> AsyncIterator[None]:
        async with locks.setdefault(name, asyncio.Lock()):
            yield

    class HeldStore:
        def __init__(self, store: Any) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

        async def upsert(self, chunks: Any) -> None:
            await self._store.upsert(chunks)
            written.set()
            await go.wait()

    index = make_indexing(wrap_store=HeldStore)
    one = IngestionPipeline(replace(index.pipeline.parts, turns=Turns(among_all)))
    other = IngestionPipeline(
        replace(index.pipeline.parts, store=index.store, turns=Turns(among_all), forgotten=set())
    )
    (root / "old.md").write_text("Old text stands here.")
    go.set()
    [old] = (await one.ingest([str(root)], "help")).items
    written.clear()
    go.clear()
    (root / "new.md").write_text("New text stands here.")
    ingestion = asyncio.create_task(one.ingest([str(root)], "help"))
    await written.wait()
    forgetting = asyncio.create_task(other.forget("help", [str(old.document_id)]))
    await asyncio.sleep(0.05)
    go.set()
    await ingestion
    [proof] = await forgetting
    assert proof.chunks_after == 0
    [record] = index.manifest.documents("help")
    assert record.title == "New"
    assert len(await index.store.chunk_ids("help", record.document_id)) == record.chunks == 1


async def test_a_store_that_holds_nothing_of_what_is_recorded_is_noticed(
    make_indexing: MakeIndexing, root: Path, open_store: OpenStore, tmp_path: Path
) -> None:
    index = make_indexing()
    (root / "a.md").write_text("A text stands here.")
    await index.pipeline.ingest([str(root)], "help")
    await index.pipeline.mend()
    empty = open_store(tmp_path / "other", index.embedder.fingerprint, index.embedder.dimension)
    switched = IngestionPipeline(replace(index.pipeline.parts, store=empty))
    with pytest.raises(StoreError, match=r"no chunk of the 1 documents in 'help': move"):
        await switched.mend()


async def test_what_a_killed_run_left_is_mended_before_anything_is_asked(
    index: Indexing, root: Path
) -> None:
    (root / "a.md").write_text("A text stands here.")
    await index.pipeline.ingest([str(root)], "help")
    document_id = index.manifest.documents("help")[0].document_id
    [chunk_id] = await index.store.chunk_ids("help", document_id)
    [stored] = await index.store.fetch([chunk_id])
    [vector] = await HashingEmbedder().embed([Passage("x", "document")])
    embedding = Embedding(vector.vector, np.zeros((1, len(vector.vector)), np.float32))
    stale = replace(stored.chunk, chunk_id=str(uuid.UUID(int=1)), revision="other")
    lost = replace(stale, chunk_id=str(uuid.UUID(int=2)), document_id="never-recorded")
    await index.store.upsert([EmbeddedChunk(stale, embedding), EmbeddedChunk(lost, embedding)])
    index.manifest.announce("help", [document_id, "never-recorded"])
    await index.pipeline.mend()
    assert await index.store.count("help") == 1
    assert await index.store.chunk_ids("help", document_id) == [chunk_id]
    assert index.manifest.collections_to_mend() == []
