"""Files and texts into the index and out of it again: real files, engine and state.

The embedder is a fake where nothing depends on what vectors mean.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fakes import GatedEmbedder, HashingEmbedder, Indexing, MakeIndexing

from indexing.embedding.packaged import PackagedEmbedder
from indexing.identity import content_version, document_id_for
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.ingesting.report import IngestionReport, Progress
from rag.errors import InputError, NotFoundError, StoreError
from rag.sources import ReadResult
from rag.types import Chunk, Document, Embedding, Passage, StoreQuery

SECTION = "Sentence {n} of the {what} is about {what} number {n} and nothing else at all. "


def prose(what: str, sentences: int = 3) -> str:
    return "".join(SECTION.format(n=n, what=what) for n in range(sentences)).strip()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def write_rows(path: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    return write(path, "\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))


def outcomes(report: IngestionReport, root: Path) -> dict[str, str]:
    """Outcome by source, relative to the folder; each source has one."""
    assert len({item.source for item in report.items}) == len(report.items)
    return {item.source.removeprefix(f"{root}/"): item.outcome for item in report.items}


async def all_chunks(index: Indexing, collection: str = "help") -> list[Chunk]:
    """Every chunk that a question can find, whoever it belongs to."""
    query = StoreQuery(
        (await index.embedder.embed([Passage("anything", "question")]))[0].vector,
        "anything",
        collection,
        {},
        10_000,
    )
    index.embedder.texts.pop()
    found = await index.store.search(query)
    assert len(found) == await index.store.count(collection)
    return [stored.chunk for stored in await index.store.fetch([one.chunk_id for one in found])]


async def texts_by_document(index: Indexing, collection: str = "help") -> dict[str, str]:
    """The documents as their chunks have them."""
    found: dict[str, str] = {}
    for chunk in sorted(await all_chunks(index, collection), key=lambda chunk: chunk.start):
        found[chunk.document_id] = found.get(chunk.document_id, "") + chunk.text
    return found


async def check_in_step(index: Indexing, collection: str = "help") -> None:
    """Store and manifest say the same, and no more than that."""
    records = index.manifest.documents(collection)
    chunks = await all_chunks(index, collection)
    counts = Counter(chunk.document_id for chunk in chunks)
    assert {record.document_id: record.chunks for record in records} == dict(counts)
    assert await texts_by_document(index, collection) == {
        record.document_id: index.manifest.document(collection, record.document_id).text
        for record in records
    }
    for record in records:
        document = index.manifest.document(collection, record.document_id)
        assert document.sources == record.sources != ()
        for chunk in chunks:
            if chunk.document_id == record.document_id:
                assert chunk.text == document.text[chunk.start : chunk.end]
                assert chunk.version == document.version
                assert chunk.sources == document.sources
                assert chunk.family == document.family
                assert chunk.metadata == document.metadata


def sources(index: Indexing, root: Path, collection: str = "help") -> dict[str, list[str]]:
    """The sources of each document, relative to the folder, by the first words of its text."""
    return {
        index.manifest.document(collection, record.document_id).text[:20]: [
            source.removeprefix(f"{root}/") for source in record.sources
        ]
        for record in index.manifest.documents(collection)
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = (tmp_path / "files").resolve()
    folder.mkdir()
    return folder


@pytest.fixture
def index(make_indexing: MakeIndexing) -> Indexing:
    return make_indexing()


# Outcomes


async def test_added_then_unchanged_then_changed(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "sub" / "b.txt", prose("bears"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "added", "sub/b.txt": "added"}
    assert report.counts() == {
        "added": 2, "changed": 0, "unchanged": 0, "duplicate": 0, "removed": 0, "skipped": 0,
        "failed": 0,
    }  # fmt: skip
    assert (report.chunks, report.chunks_embedded) == (2, 2)
    assert report.seconds > 0
    assert report.items[0].document_id == document_id_for(str(root / "a.md"))
    await check_in_step(index)

    index.embedder.forget()
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "unchanged", "sub/b.txt": "unchanged"}
    assert index.embedder.texts == []

    write(root / "a.md", prose("avocados"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "changed", "sub/b.txt": "unchanged"}
    assert report.items[0].document_id == document_id_for(str(root / "a.md"))
    assert len(index.embedder.texts) == 1
    assert set((await texts_by_document(index)).values()) == {prose("avocados"), prose("bears")}
    await check_in_step(index)


async def test_a_file_that_only_looks_changed_is_unchanged(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    index.embedder.forget()
    write(root / "a.md", prose("apples") + "   \r\n\n")
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "unchanged"}
    assert index.embedder.texts == []
    await check_in_step(index)


async def test_new_metadata_is_a_change_that_embeds_nothing(index: Indexing, root: Path) -> None:
    row = {"id": "r1", "title": "T", "text": prose("apples")}
    write_rows(root / "a.jsonl", [row | {"metadata": {"lang": "en", "old": 1}}])
    await index.pipeline.ingest([str(root)], "help")
    index.embedder.forget()
    write_rows(root / "a.jsonl", [row | {"metadata": {"lang": "de"}}])
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.jsonl#r1": "changed"}
    assert index.embedder.texts == []
    assert (report.chunks, report.chunks_embedded) == (0, 0)
    [chunk] = await all_chunks(index)
    assert chunk.metadata == {"lang": "de"}
    await check_in_step(index)


async def test_a_change_of_one_paragraph_embeds_only_what_it_touches(
    index: Indexing, root: Path
) -> None:
    sections = [f"## Section {n}\n\n{prose(f'topic{n}', 12)}\n\n" for n in range(40)]
    write(root / "long.md", "# Long\n\n" + "".join(sections))
    first = await index.pipeline.ingest([str(root)], "help")
    assert first.chunks >= 40
    index.embedder.forget()
    sections[20] = sections[20].replace(
        "Sentence 5", "A wholly new sentence stands here. Sentence 5"
    )
    write(root / "long.md", "# Long\n\n" + "".join(sections))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"long.md": "changed"}
    assert 1 <= report.chunks_embedded == len(index.embedder.texts) <= 3
    await check_in_step(index)


async def test_a_document_longer_than_a_batch(index: Indexing, root: Path) -> None:
    text = "# Long\n\n" + "".join(f"## S{n}\n\n{prose(f'topic{n}', 14)}\n\n" for n in range(300))
    write(root / "long.md", text)
    write(root / "short.md", prose("apples"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert report.chunks > 256
    await check_in_step(index)


async def test_a_failing_file_keeps_no_other_out(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "empty.md", "")
    (root / "broken.pdf").write_bytes(b"%PDF-1.7 nothing more")
    write_rows(root / "rows.jsonl", [{"id": "r1", "text": prose("bears")}, "{not JSON"])
    write(root / "z.md", prose("zebras"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {
        "a.md": "added",
        "broken.pdf": "failed",
        "empty.md": "failed",
        "rows.jsonl#r1": "added",
        "rows.jsonl#line-2": "failed",
        "z.md": "added",
    }
    assert all(item.reason for item in report.items if item.outcome == "failed")
    await check_in_step(index)
    again = await index.pipeline.ingest([str(root)], "help")
    assert Counter(item.outcome for item in again.items)["failed"] == 3
    await check_in_step(index)


async def test_a_file_that_fails_later_keeps_what_was_indexed(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    write(root / "a.md", "")
    report = await index.pipeline.ingest_and_sync([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "failed"}
    assert list((await texts_by_document(index)).values()) == [prose("apples")]
    write(root / "a.md", prose("apples"))
    assert outcomes(await index.pipeline.ingest([str(root)], "help"), root) == {"a.md": "unchanged"}


async def test_a_path_that_is_not_there_is_refused_before_anything_is_done(
    index: Indexing, root: Path
) -> None:
    write(root / "a.md", prose("apples"))
    with pytest.raises(InputError, match=r"nowhere.* does not exist"):
        await index.pipeline.ingest([str(root), str(root / "nowhere")], "help")
    assert index.manifest.count("help") == 0


async def test_nothing_to_ingest_is_no_error(index: Indexing, root: Path) -> None:
    report = await index.pipeline.ingest([str(root)], "help")
    assert (report.items, report.chunks) == ((), 0)
    assert (await index.pipeline.ingest_documents([], "help")).items == ()


async def test_collections_are_apart(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    for collection in ("help", "other"):
        report = await index.pipeline.ingest([str(root)], collection)
        assert outcomes(report, root) == {"a.md": "added"}
        await check_in_step(index, collection)
    [report] = await index.pipeline.forget("other", [document_id_for(str(root / "a.md"))])
    assert index.manifest.collections() == ["help"]
    await check_in_step(index)


# Duplicates


async def test_identical_content_is_stored_once_with_all_its_sources(
    index: Indexing, root: Path
) -> None:
    for name in ("a.md", "b.md", "sub/c.md"):
        write(root / name, prose("apples"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {
        "a.md": "added", "b.md": "duplicate", "sub/c.md": "duplicate"
    }  # fmt: skip
    assert report.items[1].reason == f"says the same as {report.items[0].document_id}"
    assert sources(index, root) == {prose("apples")[:20]: ["a.md", "b.md", "sub/c.md"]}
    assert len(index.embedder.texts) == 1
    await check_in_step(index)


async def test_identical_content_of_a_later_run(index: Indexing, root: Path) -> None:
    write(root / "b.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    index.embedder.forget()
    write(root / "a.md", prose("apples"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "duplicate", "b.md": "unchanged"}
    assert index.embedder.texts == []
    assert sources(index, root) == {prose("apples")[:20]: ["b.md", "a.md"]}
    again = await index.pipeline.ingest([str(root)], "help")
    assert set(outcomes(again, root).values()) == {"unchanged"}
    await check_in_step(index)


async def test_a_file_that_becomes_a_duplicate_leaves_its_old_content(
    index: Indexing, root: Path
) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "b.md", prose("bears"))
    await index.pipeline.ingest([str(root)], "help")
    write(root / "b.md", prose("apples"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "unchanged", "b.md": "duplicate"}
    assert list((await texts_by_document(index)).values()) == [prose("apples")]
    await check_in_step(index)


async def test_a_duplicate_that_changes_becomes_a_document_of_its_own(
    index: Indexing, root: Path
) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "b.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    write(root / "b.md", prose("bears"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "unchanged", "b.md": "changed"}
    assert sources(index, root) == {
        prose("apples")[:20]: ["a.md"], prose("bears")[:20]: ["b.md"]
    }  # fmt: skip
    await check_in_step(index)


async def test_when_the_first_of_the_duplicates_changes_the_others_keep_the_content(
    index: Indexing, root: Path
) -> None:
    for name in ("a.md", "b.md", "c.md"):
        write(root / name, prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    write(root / "a.md", prose("avocados"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "changed", "b.md": "unchanged", "c.md": "unchanged"}
    assert sources(index, root) == {
        "Sentence 0 of the ap": ["b.md", "c.md"], "Sentence 0 of the av": ["a.md"]
    }  # fmt: skip
    await check_in_step(index)
    write(root / "a.md", prose("apples"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root)["a.md"] == "duplicate"
    assert sources(index, root) == {"Sentence 0 of the ap": ["b.md", "c.md", "a.md"]}
    await check_in_step(index)


async def test_a_file_that_changes_while_its_old_content_appears_elsewhere(
    index: Indexing, root: Path
) -> None:
    """`cp a.md a_old.md`, then edit a.md: both are indexed."""
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    shutil.copy(root / "a.md", root / "a_old.md")
    write(root / "a.md", prose("bears"))
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "changed", "a_old.md": "added"}
    assert sources(index, root) == {
        prose("apples")[:20]: ["a_old.md"], prose("bears")[:20]: ["a.md"]
    }  # fmt: skip
    await check_in_step(index)


async def test_two_files_that_swap_their_contents(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "b.md", prose("bears"))
    await index.pipeline.ingest([str(root)], "help")
    write(root / "a.md", prose("bears"))
    write(root / "b.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    assert sources(index, root) == {
        prose("apples")[:20]: ["b.md"], prose("bears")[:20]: ["a.md"]
    }  # fmt: skip
    await check_in_step(index)
    again = await index.pipeline.ingest([str(root)], "help")
    assert set(outcomes(again, root).values()) == {"unchanged"}


async def test_an_heir_takes_no_id_that_another_document_has(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "b.md", prose("bears"))
    write(root / "c.md", prose("bears"))
    await index.pipeline.ingest([str(root)], "help")
    write(root / "b.md", prose("apples"))  # c.md keeps what was the document of b.md
    await index.pipeline.ingest([str(root)], "help")
    write(root / "a.md", prose("avocados"))  # b.md is to keep the apples
    await index.pipeline.ingest([str(root)], "help")
    assert sources(index, root) == {
        "Sentence 0 of the ap": ["b.md"],
        "Sentence 0 of the av": ["a.md"],
        "Sentence 0 of the be": ["c.md"],
    }
    await check_in_step(index)


# Removing


async def test_sync_removes_what_is_gone_and_only_under_the_roots(
    index: Indexing, root: Path
) -> None:
    for name in ("one/a.md", "one/deep/b.md", "one_more/c.md", "two/d.md"):
        write(root / name, prose(name))
    await index.pipeline.ingest([str(root)], "help")
    for name in ("one/a.md", "one/deep/b.md", "one_more/c.md", "two/d.md"):
        (root / name).unlink()
    write(root / "one" / "new.md", prose("new"))
    report = await index.pipeline.ingest([str(root / "one")], "help")
    assert outcomes(report, root) == {"one/new.md": "added"}
    report = await index.pipeline.ingest_and_sync([str(root / "one")], "help")
    assert outcomes(report, root) == {
        "one/a.md": "removed", "one/deep/b.md": "removed", "one/new.md": "unchanged"
    }  # fmt: skip
    assert set((await texts_by_document(index)).values()) == {
        prose("new"), prose("one_more/c.md"), prose("two/d.md")
    }  # fmt: skip
    await check_in_step(index)
    report = await index.pipeline.ingest_and_sync([str(root)], "help")
    assert list((await texts_by_document(index)).values()) == [prose("new")]
    await check_in_step(index)


async def test_sync_of_one_collection_leaves_the_others(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "b.md", prose("bears"))
    for collection in ("help", "other"):
        await index.pipeline.ingest([str(root)], collection)
    (root / "a.md").unlink()
    await index.pipeline.ingest_and_sync([str(root)], "help")
    assert (index.manifest.count("help"), index.manifest.count("other")) == (1, 2)
    await check_in_step(index, "other")


async def test_sync_removes_no_uploaded_text(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest_documents([text_document("memo", prose("memos"))], "help")
    await index.pipeline.ingest_and_sync([str(root), "/proc/self/fdinfo"], "help")
    assert index.manifest.count("help") == 2


async def test_the_first_of_the_duplicates_is_removed(index: Indexing, root: Path) -> None:
    for name in ("a.md", "b.md", "c.md"):
        write(root / name, prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    index.embedder.forget()
    (root / "a.md").unlink()
    report = await index.pipeline.ingest_and_sync([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "removed", "b.md": "unchanged", "c.md": "unchanged"}
    assert sources(index, root) == {prose("apples")[:20]: ["b.md", "c.md"]}
    assert index.embedder.texts == []
    await check_in_step(index)


async def test_a_renamed_file_keeps_its_document(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    first = await index.pipeline.ingest([str(root)], "help")
    index.embedder.forget()
    (root / "a.md").rename(root / "b.md")
    report = await index.pipeline.ingest_and_sync([str(root)], "help")
    assert outcomes(report, root) == {"a.md": "removed", "b.md": "duplicate"}
    assert index.embedder.texts == []
    [record] = index.manifest.documents("help")
    assert record.document_id == first.items[0].document_id
    assert record.sources == (str(root / "b.md"),)
    await check_in_step(index)


async def test_a_new_file_in_the_place_of_a_renamed_one(index: Indexing, root: Path) -> None:
    """Its id is taken by the renamed file; it changes twice, and leaves nothing behind."""
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    (root / "a.md").rename(root / "b.md")
    await index.pipeline.ingest_and_sync([str(root)], "help")
    for what in ("cherries", "dates", "figs"):
        write(root / "a.md", prose(what))
        report = await index.pipeline.ingest_and_sync([str(root)], "help")
        assert outcomes(report, root)["b.md"] == "unchanged"
        assert set((await texts_by_document(index)).values()) == {prose("apples"), prose(what)}
        await check_in_step(index)


async def test_a_row_that_is_gone_from_its_file_is_removed(index: Indexing, root: Path) -> None:
    rows = [{"id": f"r{n}", "text": prose(f"topic{n}")} for n in range(4)]
    write_rows(root / "rows.jsonl", rows)
    await index.pipeline.ingest([str(root)], "help")
    write_rows(root / "rows.jsonl", [rows[0], rows[3]])
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"rows.jsonl#r0": "unchanged", "rows.jsonl#r3": "unchanged"}
    assert set(await texts_by_document(index)) == {"r0", "r3"}
    await check_in_step(index)


async def test_a_row_that_fails_now_keeps_what_was_indexed(index: Indexing, root: Path) -> None:
    rows = [{"id": "r0", "text": prose("apples")}, {"id": "r1", "text": prose("bears")}]
    write_rows(root / "rows.jsonl", rows)
    await index.pipeline.ingest([str(root)], "help")
    write_rows(root / "rows.jsonl", [rows[0], {"id": "r1", "text": 5}])
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"rows.jsonl#r0": "unchanged", "rows.jsonl#r1": "failed"}
    assert set(await texts_by_document(index)) == {"r0", "r1"}


# Ids


async def test_an_id_that_another_file_holds_is_refused_until_it_is_free(
    index: Indexing, root: Path
) -> None:
    write_rows(root / "a.jsonl", [{"id": "x", "text": prose("apples")}])
    write_rows(root / "b.jsonl", [{"id": "x", "text": prose("bears")}])
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.jsonl#x": "added", "b.jsonl#x": "failed"}
    assert "the id 'x' is taken by" in str(report.items[1].reason)
    await check_in_step(index)
    again = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(again, root) == {"a.jsonl": "unchanged", "b.jsonl#x": "failed"}
    (root / "a.jsonl").unlink()
    await index.pipeline.ingest_and_sync([str(root)], "help")
    last = await index.pipeline.ingest([str(root)], "help")
    assert "failed" not in outcomes(last, root).values()
    assert await texts_by_document(index) == {"x": prose("bears")}
    await check_in_step(index)


async def test_rows_of_one_id_and_content_in_two_files_of_which_one_changes(
    index: Indexing, root: Path
) -> None:
    """Two texts cannot have one id: the changed one is refused, and neither is lost."""
    for name in ("a.jsonl", "b.jsonl"):
        write_rows(root / name, [{"id": "x", "text": prose("apples")}])
    await index.pipeline.ingest([str(root)], "help")
    write_rows(root / "a.jsonl", [{"id": "x", "text": prose("bears")}])
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {"a.jsonl#x": "failed", "b.jsonl": "unchanged"}
    assert await texts_by_document(index) == {"x": prose("apples")}
    await check_in_step(index)


async def test_a_row_that_moves_to_another_file_and_changes(index: Indexing, root: Path) -> None:
    write_rows(root / "a.jsonl", [{"id": i, "text": prose(i)} for i in ("x", "y")])
    write_rows(root / "b.jsonl", [{"id": "z", "text": prose("z")}])
    await index.pipeline.ingest([str(root)], "help")
    write_rows(root / "a.jsonl", [{"id": "y", "text": prose("y")}])
    write_rows(root / "b.jsonl", [{"id": i, "text": prose(f"{i} new")} for i in ("x", "z")])
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root) == {
        "a.jsonl#y": "unchanged", "b.jsonl#x": "added", "b.jsonl#z": "changed"
    }  # fmt: skip
    assert await texts_by_document(index) == {
        "x": prose("x new"), "y": prose("y"), "z": prose("z new")
    }  # fmt: skip
    await check_in_step(index)


# Texts that came from no file


def text_document(name: str, text: str, **metadata: Any) -> Document:
    version = content_version(None, text, metadata)
    return Document("help", name, version, name, text, (f"api:{name}",), metadata=metadata)


async def test_texts_are_ingested_by_their_source(index: Indexing) -> None:
    first = text_document("memo", prose("apples"))
    report = await index.pipeline.ingest_documents(
        [first, text_document("copy", prose("apples")), text_document("other", prose("bears"))],
        "help",
    )
    assert [item.outcome for item in report.items] == ["added", "duplicate", "added"]
    assert index.manifest.document("help", "copy").document_id == "memo"
    changed = text_document("memo", prose("avocados"))
    report = await index.pipeline.ingest_documents([changed, first], "help")
    assert [item.outcome for item in report.items] == ["changed", "duplicate"]
    assert index.manifest.document("help", "copy").text == prose("apples")
    await check_in_step(index)


async def test_one_id_twice_in_one_call_means_the_last(index: Indexing) -> None:
    versions = [text_document("memo", prose(what)) for what in ("apples", "bears", "cherries")]
    report = await index.pipeline.ingest_documents(versions, "help")
    assert [item.outcome for item in report.items] == ["added", "changed", "changed"]
    assert await texts_by_document(index) == {"memo": prose("cherries")}
    await check_in_step(index)


# Dry run


async def test_a_dry_run_writes_nothing_and_foretells_every_outcome(
    index: Indexing, root: Path
) -> None:
    for name in ("a.md", "b.md", "c.md", "old.md", "one.md", "two.md", "same.md"):
        write(root / name, prose("apples" if name in ("b.md", "c.md") else name))
    write_rows(root / "rows.jsonl", [{"id": i, "text": prose(i)} for i in ("x", "y")])
    first = await index.pipeline.plan([str(root)], "help")
    assert index.manifest.documents(None) == []
    assert await index.store.count("help") == 0
    assert outcomes(first, root) == outcomes(await index.pipeline.ingest([str(root)], "help"), root)

    shutil.copy(root / "a.md", root / "a_old.md")  # the old content appears elsewhere
    write(root / "a.md", prose("avocados"))
    write(root / "b.md", prose("bears"))  # the first of two duplicates changes
    write(root / "new.md", prose("new"))
    write(root / "new_twin.md", prose("new"))
    write(root / "one.md", prose("two.md"))  # they swap
    write(root / "two.md", prose("one.md"))
    write(root / "empty.md", "")
    write_rows(root / "rows.jsonl", [{"id": "y", "text": prose("y")}])
    write_rows(root / "s.jsonl", [{"id": i, "text": prose(f"{i} new")} for i in ("x", "y", "w")])
    write_rows(root / "t.jsonl", [{"id": i, "text": prose(f"{i} other")} for i in ("w", "v")])
    before = await state_of(index)
    plan = await index.pipeline.plan([str(root)], "help")
    assert await state_of(index) == before
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(plan, root) == outcomes(report, root)
    assert (plan.chunks, plan.chunks_embedded) == (report.chunks, report.chunks_embedded)
    assert 0 < plan.chunks_embedded < plan.chunks  # content that moves is embedded once
    assert plan.quote is not None
    assert (plan.quote.chunks, plan.quote.usd) == (plan.chunks, 0)
    assert report.quote == plan.quote
    assert (await index.pipeline.ingest([str(root)], "help")).quote is None
    await check_in_step(index)


async def test_a_dry_run_of_a_sync_foretells_what_is_removed(index: Indexing, root: Path) -> None:
    for name in ("a.md", "b.md"):
        write(root / name, prose(name))
    await index.pipeline.ingest([str(root)], "help")
    (root / "a.md").unlink()
    before = await state_of(index)
    plan = await index.pipeline.plan_sync([str(root)], "help")
    assert outcomes(plan, root) == {"a.md": "removed", "b.md": "unchanged"}
    assert await state_of(index) == before


async def state_of(index: Indexing, collection: str = "help") -> Any:
    """All that is stored, but for times."""
    chunks = sorted(await all_chunks(index, collection), key=lambda chunk: chunk.chunk_id)
    ids = [record.document_id for record in index.manifest.documents(collection)]
    return (
        chunks,
        index.manifest.documents(collection),
        [index.manifest.document(collection, name) for name in ids],
        [index.manifest.places(collection, name) for name in ids],
        index.manifest.marks(collection),
    )


# Forgetting


async def test_forgetting_deletes_everywhere_and_proves_it(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples", 60))
    write(root / "b.md", prose("bears"))
    await index.pipeline.ingest([str(root)], "help")
    document_id = document_id_for(str(root / "a.md"))
    [report] = await index.pipeline.forget("help", [document_id])
    assert report.document_id == document_id
    assert report.chunks_before > 1
    assert (report.chunks_after, report.documents_before, report.documents_after) == (0, 2, 1)
    assert set((await texts_by_document(index)).values()) == {prose("bears")}
    await check_in_step(index)
    with pytest.raises(NotFoundError, match=f"no document '{document_id}' in collection 'help'"):
        await index.pipeline.forget("help", [document_id])
    report_again = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report_again, root) == {"a.md": "added", "b.md": "unchanged"}


async def test_a_document_is_forgotten_by_the_id_of_a_duplicate(
    index: Indexing, root: Path
) -> None:
    write(root / "a.md", prose("apples"))
    write(root / "b.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    names = [document_id_for(str(root / name)) for name in ("b.md", "a.md")]
    [report] = await index.pipeline.forget("help", names)
    assert report.document_id == names[1]
    assert await index.store.count("help") == index.manifest.count("help") == 0
    again = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(again, root) == {"a.md": "added", "b.md": "duplicate"}


async def test_one_unknown_id_keeps_all_from_being_forgotten(index: Indexing, root: Path) -> None:
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    with pytest.raises(NotFoundError):
        await index.pipeline.forget("help", [document_id_for(str(root / "a.md")), "doc_nobody"])
    with pytest.raises(NotFoundError):
        await index.pipeline.forget("other", [document_id_for(str(root / "a.md"))])
    await check_in_step(index)
    assert index.manifest.count("help") == 1


async def test_one_row_of_a_file_is_forgotten_alone(index: Indexing, root: Path) -> None:
    write_rows(root / "rows.jsonl", [{"id": f"r{n}", "text": prose(f"t{n}")} for n in range(3)])
    await index.pipeline.ingest([str(root)], "help")
    await index.pipeline.forget("help", ["r1"])
    assert set(await texts_by_document(index)) == {"r0", "r2"}
    report = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(report, root)["rows.jsonl#r1"] == "added"
    await check_in_step(index)


# Progress and taking turns


async def test_progress_grows_and_ends_right(index: Indexing, root: Path) -> None:
    for number in range(6):
        write(root / f"{number}.md", prose(f"topic{number // 2}", 30))  # three pairs
    write(root / "empty.md", "")
    told: list[Progress] = []
    report = await index.pipeline.ingest([str(root)], "help", on_progress=told.append)
    assert all(one.files_total == 7 for one in told)
    for field in ("files_done", "documents", "chunks", "chunks_embedded"):
        numbers = [getattr(one, field) for one in told]
        assert numbers == sorted(numbers)
    last = told[-1]
    assert (last.files_done, last.documents) == (7, 3)
    assert (last.chunks, last.chunks_embedded) == (report.chunks, report.chunks_embedded)
    told.clear()
    await index.pipeline.ingest([str(root)], "help", on_progress=told.append)
    assert told[-1] == Progress(7, 7, 0, 0, 0)


async def test_a_second_ingestion_waits_for_the_first(
    make_indexing: MakeIndexing, root: Path
) -> None:
    embedder = GatedEmbedder()
    index = make_indexing(embedder)
    write(root / "one" / "a.md", prose("apples"))
    write(root / "two" / "b.md", prose("apples"))
    write(root / "two" / "c.md", prose("cherries"))
    first = asyncio.create_task(index.pipeline.ingest([str(root / "one")], "help"))
    await embedder.called.wait()
    second = asyncio.create_task(index.pipeline.ingest([str(root / "two")], "help"))
    embedder.called.clear()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(embedder.called.wait(), 0.1)
    embedder.gate.set()
    assert outcomes(await first, root) == {"one/a.md": "added"}
    assert outcomes(await second, root) == {"two/b.md": "duplicate", "two/c.md": "added"}
    await check_in_step(index)


class GatedForDocuments(GatedEmbedder):
    """Questions need not wait."""

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        if all(passage.role == "question" for passage in passages):
            return await HashingEmbedder.embed(self, passages)
        return await super().embed(passages)


async def test_what_is_forgotten_during_an_ingestion_is_gone_at_once_and_stays_so(
    make_indexing: MakeIndexing, root: Path
) -> None:
    embedder = GatedForDocuments()
    embedder.gate.set()
    index = make_indexing(embedder)
    for name in ("a.md", "b.md", "c.md"):
        write(root / name, prose(name))
    await index.pipeline.ingest([str(root)], "help")
    embedder.gate.clear()
    embedder.called.clear()
    for name in ("a.md", "b.md"):
        write(root / name, prose(f"new {name}"))
    write(root / "d.md", prose("c.md"))  # to be one more source of c.md
    ingestion = asyncio.create_task(index.pipeline.ingest([str(root)], "help"))
    await embedder.called.wait()
    ids = [document_id_for(str(root / name)) for name in ("a.md", "c.md")]
    proofs = await index.pipeline.forget("help", ids)
    assert not ingestion.done()
    assert [(one.chunks_after, one.found_after) for one in proofs] == [(0, 0)] * 2
    embedder.gate.set()
    await ingestion
    assert set((await texts_by_document(index)).values()) == {prose("new b.md")}
    await check_in_step(index)
    again = await index.pipeline.ingest([str(root)], "help")
    assert outcomes(again, root) == {
        "a.md": "added", "b.md": "unchanged", "c.md": "added", "d.md": "duplicate"
    }  # fmt: skip


async def test_an_ingestion_that_is_cancelled_leaves_nothing_to_find_after_the_next(
    make_indexing: MakeIndexing, root: Path
) -> None:
    embedder = GatedEmbedder()
    index = make_indexing(embedder)
    uploaded = text_document("memo", prose("memos"))
    cancelled = asyncio.create_task(index.pipeline.ingest_documents([uploaded], "help"))
    await embedder.called.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    embedder.gate.set()
    write(root / "a.md", prose("apples"))
    await index.pipeline.ingest([str(root)], "help")
    assert index.manifest.count("help") == 1
    await check_in_step(index)


async def test_an_ingestion_that_is_cancelled_stops_reading(
    make_indexing: MakeIndexing, root: Path
) -> None:
    reader = StuckReader()
    parts = replace(make_indexing().pipeline.parts, reader=reader)
    files = {f"upload:{name}": write(root / name, "words") for name in ("a.md", "b.md")}
    ingestion = IngestionPipeline(parts).ingest_files(files, "help")
    cancelled = asyncio.create_task(ingestion)
    await reader.called.wait()
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    assert reader.reading == 0


class StuckReader:
    """A Reader that never comes to an end; `reading` counts what it is at."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.reading = 0

    async def read(self, path: Path, collection: str, source: str) -> ReadResult:
        self.called.set()
        self.reading += 1
        try:
            return await asyncio.Event().wait()  # type: ignore[return-value]
        finally:
            self.reading -= 1


async def test_a_failed_ingestion_lets_the_next_one_in(
    make_indexing: MakeIndexing, root: Path
) -> None:
    embedder = GatedEmbedder()
    embedder.gate.set()
    index = make_indexing(embedder)
    write(root / "a.md", prose("apples"))
    text = f"A\n{prose('apples')}"
    embedder.poison[text] = StoreError("no room is left")
    with pytest.raises(StoreError):
        await index.pipeline.ingest([str(root)], "help")
    assert index.manifest.documents("help") == []
    embedder.poison.clear()
    assert outcomes(await index.pipeline.ingest([str(root)], "help"), root) == {"a.md": "added"}
    await check_in_step(index)


# The real model


async def test_with_the_real_model_a_question_finds_its_document(
    make_indexing: MakeIndexing, embedder: PackagedEmbedder, root: Path
) -> None:
    index = make_indexing(embedder)
    write(root / "refunds.md", "# Refunds\n\nYour money comes back within fourteen days.")
    write(root / "shipping.md", "# Shipping\n\nA parcel takes three days to arrive.")
    write(root / "boats.md", "# Boats\n\nThe harbour was quiet on that evening.")
    await index.pipeline.ingest([str(root)], "help")
    await check_in_step(index)
    question = "When do I get a refund?"
    [asked] = await embedder.embed([Passage(question, "question")])
    found = await index.store.search(StoreQuery(asked.vector, question, "help", {}, 10))
    best = max(found, key=lambda candidate: candidate.dense_score)
    [stored] = await index.store.fetch([best.chunk_id])
    assert stored.chunk.title == "Refunds"
    scores = stored.sentence_vectors @ asked.vector
    sentences = [stored.chunk.slice(span) for span in stored.chunk.sentences]
    assert sentences == ["# Refunds", "Your money comes back within fourteen days."]
    assert scores.max() > 0.4
