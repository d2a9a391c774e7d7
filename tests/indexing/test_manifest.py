"""The manifest: what it keeps, in which order, and what outlives a process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from indexing.manifest import DocumentRecord, Entry, Manifest, Place
from rag.errors import NotFoundError
from rag.types import Document

OpenManifest = Callable[..., tuple[Manifest, Engine]]

DOCUMENT = Document(
    collection="help",
    document_id="doc_1",
    version="v1",
    title="Guide – 漢字",
    text="First page.\nSecond page 🙂.",
    sources=("/docs/guide.pdf",),
    page_starts=(0, 12),
    metadata={"lang": "en", "year": 2024, "rating": 4.5, "public": True},
)


@pytest.fixture
def manifest(open_manifest: OpenManifest) -> Manifest:
    return open_manifest()[0]


def place(source: str, own_id: str = "doc_1") -> Place:
    return Place(source, own_id, source.split("#", maxsplit=1)[0])


def put(manifest: Manifest, document: Document = DOCUMENT, *others: Place) -> None:
    """Record a document with one chunk, as a finished ingestion does."""
    own = place(document.sources[0], document.document_id)
    manifest.put([Entry(document, 1, (own, *others))])
    manifest.settle(document.collection, [document.document_id])


def test_a_document_comes_back_as_it_was(manifest: Manifest) -> None:
    put(manifest)
    assert manifest.document("help", "doc_1") == DOCUMENT
    assert manifest.documents("help") == [
        DocumentRecord("help", "doc_1", DOCUMENT.title, DOCUMENT.sources, 1, "v1")
    ]


def test_all_outlives_the_process(open_manifest: OpenManifest, tmp_path: Path) -> None:
    manifest, engine = open_manifest(tmp_path)
    put(manifest)
    manifest.put_file_hash("help", "/docs/guide.pdf", "abc")
    engine.dispose()
    again, _ = open_manifest(tmp_path)
    assert again.document("help", "doc_1") == DOCUMENT
    assert again.file_hash("help", "/docs/guide.pdf") == "abc"


def test_an_unknown_document_is_not_found_in_one_line(manifest: Manifest) -> None:
    put(manifest)
    for collection, name in (("help", "doc_2"), ("other", "doc_1")):
        assert manifest.find(collection, name) is None
        with pytest.raises(NotFoundError, match=f"no document '{name}' in collection"):
            manifest.document(collection, name)


def test_putting_again_replaces(manifest: Manifest) -> None:
    put(manifest)
    put(manifest, replace(DOCUMENT, version="v2", text="Other.", metadata={}, page_starts=()))
    assert manifest.document("help", "doc_1").text == "Other."
    assert manifest.count("help") == 1
    assert manifest.with_version("help", "v1") is None
    assert manifest.with_version("help", "v2") == "doc_1"


def test_sources_stand_in_order_of_discovery(manifest: Manifest) -> None:
    put(manifest, DOCUMENT, place("/z.md", "doc_z"), place("/a.md", "doc_a"))
    assert manifest.document("help", "doc_1").sources == ("/docs/guide.pdf", "/z.md", "/a.md")
    put(manifest, DOCUMENT)
    assert manifest.places("help", "doc_1")[0].source == "/docs/guide.pdf"


def test_an_id_that_a_duplicate_asked_for_leads_to_the_document(manifest: Manifest) -> None:
    put(manifest, DOCUMENT, place("/copy.md", "doc_copy"))
    assert manifest.document("help", "doc_copy").document_id == "doc_1"


def test_a_source_moves_to_the_document_that_it_was_found_in_last(manifest: Manifest) -> None:
    put(manifest, DOCUMENT, place("/b.md", "doc_b"))
    put(manifest, replace(DOCUMENT, document_id="doc_2", version="v2", sources=("/2.md",)))
    manifest.add_source("help", "doc_2", place("/docs/guide.pdf"))
    assert manifest.document("help", "doc_1").sources == ("/b.md",)
    assert manifest.document("help", "doc_2").sources == ("/2.md", "/docs/guide.pdf")
    assert manifest.document_of_source("help", "/docs/guide.pdf") == "doc_2"
    assert manifest.unsettled("help") == ["doc_1"]  # its chunks name the source that left


def test_a_document_without_a_source_is_unfinished(manifest: Manifest) -> None:
    put(manifest, DOCUMENT, place("/b.md", "doc_b"))
    manifest.remove_sources("help", ["/docs/guide.pdf", "/nowhere.md"])
    assert manifest.unfinished("help") == []
    manifest.remove_sources("help", ["/b.md"])
    assert manifest.unfinished("help") == ["doc_1"]
    manifest.remove_document("help", "doc_1")
    assert (manifest.unfinished("help"), manifest.count("help")) == ([], 0)


def test_what_is_only_announced_is_no_document_yet(manifest: Manifest) -> None:
    manifest.announce("help", ["doc_1"])
    assert manifest.unfinished("help") == ["doc_1"]
    assert manifest.find("help", "doc_1") is None
    assert manifest.documents(None) == []
    assert manifest.collections() == []
    assert (manifest.count("help"), manifest.with_version("help", "v1")) == (0, None)
    put(manifest)
    assert (manifest.unfinished("help"), manifest.unsettled("help")) == ([], [])


def test_a_document_is_settled_only_once_somebody_says_so(manifest: Manifest) -> None:
    put(manifest)
    manifest.announce("help", ["doc_1"])
    assert manifest.unsettled("help") == ["doc_1"]
    assert manifest.document("help", "doc_1") == DOCUMENT
    manifest.put([Entry(DOCUMENT, 1, (place(DOCUMENT.sources[0]),))])
    assert manifest.unsettled("help") == ["doc_1"]
    manifest.settle("help", ["doc_1"])
    assert manifest.unsettled("help") == []


def test_a_released_document_is_gone_but_for_its_name(manifest: Manifest) -> None:
    put(manifest)
    manifest.put_file_hash("help", "/docs/guide.pdf", "abc")
    manifest.release("help", "doc_1")
    assert manifest.find("help", "doc_1") is None
    assert manifest.file_hash("help", "/docs/guide.pdf") is None
    assert manifest.files("help") == []
    assert manifest.unfinished("help") == ["doc_1"]


def test_files_and_the_sources_within_them(manifest: Manifest) -> None:
    for row in ("r2", "r1"):
        put(manifest, replace(DOCUMENT, document_id=row, version=row, sources=(f"/a.jsonl#{row}",)))
    put(manifest)
    assert manifest.files("help") == ["/a.jsonl", "/docs/guide.pdf"]
    assert manifest.sources_of_file("help", "/a.jsonl") == ["/a.jsonl#r1", "/a.jsonl#r2"]
    manifest.put_file_hash("help", "/a.jsonl", "abc")
    manifest.put_file_hash("help", "/a.jsonl", "def")
    assert manifest.file_hash("help", "/a.jsonl") == "def"
    assert manifest.file_hash("other", "/a.jsonl") is None
    manifest.remove_file("help", "/a.jsonl")
    assert manifest.file_hash("help", "/a.jsonl") is None


def test_collections_are_apart(manifest: Manifest) -> None:
    put(manifest)
    put(manifest, replace(DOCUMENT, collection="other"))
    assert manifest.collections() == ["help", "other"]
    manifest.remove_document("other", "doc_1")
    assert [record.collection for record in manifest.documents(None)] == ["help"]


def test_entries_are_put_together_or_not_at_all(manifest: Manifest) -> None:
    bad = replace(DOCUMENT, document_id="doc_2", text=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        manifest.put([Entry(DOCUMENT, 1, (place("/a.md"),)), Entry(bad, 1, (place("/b.md"),))])
    assert manifest.documents(None) == []
