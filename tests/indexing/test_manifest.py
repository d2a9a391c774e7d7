"""The manifest: what it keeps, in which order, and what outlives a process. In both databases."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from api.state.opening import open_state
from indexing.manifest.changes import (
    AddPlace,
    CloseFile,
    OpenFile,
    Place,
    PutDocument,
    RemoveSources,
)
from indexing.manifest.manifest import DocumentRecord, Manifest
from indexing.manifest.quotes import Quote, Quotes
from rag.errors import NotFoundError
from rag.types import Document

DOCUMENT = Document(
    collection="help",
    document_id="doc_1",
    version="v1",
    title="Guide – 漢字",
    text="First page.\nSecond page 🙂.",
    sources=("/docs/guide.pdf",),
    page_starts=(0, 12),
    metadata={"lang": "en", "year": 2024, "rating": 4.5, "public": True},
    wording="w1",
    dated="2024-05-01T00:00:00+00:00",
    family="doc_1",
)
BIG = 2**62


@pytest.fixture
def manifest(state_engine: Engine) -> Manifest:
    return Manifest(state_engine)


def place(source: str, own_id: str = "doc_1") -> Place:
    return Place(source, own_id, source.split("#", maxsplit=1)[0])


def putting(document: Document, *others: Place, bands: tuple[int, ...] = ()) -> PutDocument:
    own = place(document.sources[0], document.document_id)
    return PutDocument(document, f"r-{document.version}", 1, bands, (own, *others))


def put(
    manifest: Manifest,
    document: Document = DOCUMENT,
    *others: Place,
    bands: tuple[int, ...] = (),
) -> None:
    """Record a document with one chunk, as a finished ingestion does."""
    manifest.commit(document.collection, [putting(document, *others, bands=bands)])
    manifest.settle(document.collection, [document.document_id])


def test_a_document_comes_back_as_it_was(manifest: Manifest) -> None:
    put(manifest)
    assert manifest.document("help", "doc_1") == DOCUMENT
    assert manifest.documents("help") == [
        DocumentRecord("help", "doc_1", DOCUMENT.title, DOCUMENT.sources, 1, "v1", "doc_1")
    ]


def test_all_outlives_the_process(state_url: SecretStr | None, tmp_path: Path) -> None:
    engine = open_state(tmp_path, state_url)
    put(Manifest(engine))
    Manifest(engine).commit("help", [CloseFile("/docs/guide.pdf", "abc")])
    engine.dispose()
    engine = open_state(tmp_path, state_url)
    assert Manifest(engine).document("help", "doc_1") == DOCUMENT
    assert Manifest(engine).marks("help") == {"/docs/guide.pdf": "abc"}
    engine.dispose()


def test_an_unknown_document_is_not_found_in_one_line(manifest: Manifest) -> None:
    put(manifest)
    for collection, name in (("help", "doc_2"), ("other", "doc_1")):
        assert manifest.find(collection, name) is None
        with pytest.raises(NotFoundError, match=f"no document '{name}' in collection"):
            manifest.document(collection, name)


async def test_putting_again_replaces(manifest: Manifest) -> None:
    put(manifest)
    assert await manifest.current("help", ["doc_1", "doc_2"]) == {"doc_1": "r-v1"}
    new = replace(DOCUMENT, version="v2", wording="w2", text="Other.", metadata={}, page_starts=())
    put(manifest, new)
    assert manifest.document("help", "doc_1").text == "Other."
    assert manifest.count("help") == 1
    assert manifest.with_wording("help", "w1") is None
    assert manifest.with_wording("help", "w2") == "doc_1"
    assert manifest.revision("help", "doc_1") == "r-v2"


def test_the_number_of_chunks_stays_where_none_is_given(manifest: Manifest) -> None:
    put(manifest)
    same = replace(putting(replace(DOCUMENT, version="v2")), chunks=None)
    manifest.commit("help", [same])
    assert [(r.version, r.chunks) for r in manifest.documents("help")] == [("v2", 1)]


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
    moved = manifest.commit("help", [AddPlace("doc_2", place("/docs/guide.pdf"))])
    assert moved == ["doc_1", "doc_2"]
    assert manifest.document("help", "doc_1").sources == ("/b.md",)
    assert manifest.document("help", "doc_2").sources == ("/2.md", "/docs/guide.pdf")
    assert manifest.document_of_source("help", "/docs/guide.pdf") == "doc_2"
    assert manifest.unsettled("help") == ["doc_1", "doc_2"]  # their chunks name other sources
    assert manifest.collections_to_mend() == ["help"]


def test_a_place_at_a_document_that_is_gone_leaves_its_file_open(manifest: Manifest) -> None:
    changes = [AddPlace("doc_1", place("/a.md")), CloseFile("/a.md", "x"), CloseFile("/b.md", "y")]
    assert manifest.commit("help", changes) == []
    assert manifest.marks("help") == {"/b.md": "y"}
    assert manifest.files("help") == []


def test_a_document_without_a_source_is_unfinished(manifest: Manifest) -> None:
    put(manifest, DOCUMENT, place("/b.md", "doc_b"))
    removed = RemoveSources(("/docs/guide.pdf", "/nowhere.md"))
    assert manifest.commit("help", [removed]) == ["doc_1"]
    assert manifest.unfinished("help") == []
    manifest.commit("help", [RemoveSources(("/b.md",))])
    assert manifest.unfinished("help") == ["doc_1"]
    manifest.remove_document("help", "doc_1")
    assert (manifest.unfinished("help"), manifest.count("help")) == ([], 0)
    assert manifest.collections_to_mend() == []


async def test_what_is_only_announced_is_no_document_yet(manifest: Manifest) -> None:
    assert manifest.announce("help", ["doc_1"]) == []
    assert manifest.unfinished("help") == ["doc_1"]
    assert manifest.collections_to_mend() == ["help"]
    assert manifest.find("help", "doc_1") is None
    assert manifest.documents(None) == []
    assert manifest.collections() == []
    assert (manifest.count("help"), manifest.with_wording("help", "")) == (0, None)
    assert await manifest.current("help", ["doc_1"]) == {}
    assert not await manifest.holds("help")
    put(manifest)
    assert (manifest.unfinished("help"), manifest.unsettled("help")) == ([], [])
    assert await manifest.holds("help")


def test_a_document_is_settled_only_once_somebody_says_so(manifest: Manifest) -> None:
    put(manifest)
    assert manifest.announce("help", ["doc_1", "doc_2"]) == ["doc_1"]
    assert manifest.unsettled("help") == ["doc_1"]
    assert manifest.document("help", "doc_1") == DOCUMENT
    manifest.commit("help", [putting(DOCUMENT)])
    assert manifest.unsettled("help") == ["doc_1"]
    manifest.settle("help", ["doc_1"])
    assert manifest.unsettled("help") == []


def test_a_released_document_is_gone_but_for_its_name(manifest: Manifest) -> None:
    put(manifest)
    manifest.commit("help", [CloseFile("/docs/guide.pdf", "abc")])
    manifest.release("help", "doc_1")
    assert manifest.find("help", "doc_1") is None
    assert manifest.marks("help") == {}
    assert manifest.files("help") == []
    assert manifest.unfinished("help") == ["doc_1"]


def test_files_and_the_sources_within_them(manifest: Manifest) -> None:
    for row in ("r2", "r1"):
        put(manifest, replace(DOCUMENT, document_id=row, version=row, sources=(f"/a.jsonl#{row}",)))
    put(manifest)
    assert manifest.files("help") == ["/a.jsonl", "/docs/guide.pdf"]
    assert manifest.sources_of_file("help", "/a.jsonl") == ["/a.jsonl#r1", "/a.jsonl#r2"]
    manifest.commit("help", [CloseFile("/a.jsonl", "abc"), CloseFile("/a.jsonl", "def")])
    assert manifest.marks("help") == {"/a.jsonl": "def"}
    assert manifest.marks("other") == {}
    manifest.commit("help", [OpenFile("/a.jsonl")])
    assert manifest.marks("help") == {}


def test_documents_that_share_bands_are_near_and_those_that_share_more_are_nearer(
    manifest: Manifest,
) -> None:
    for name, bands in (("a", (1, -BIG, 3)), ("b", (1, -BIG, 4)), ("c", (9, 9, 8))):
        put(manifest, replace(DOCUMENT, document_id=name, sources=(f"/{name}",)), bands=bands)
    assert manifest.near("help", [1, -BIG, 4]) == ["b", "a"]
    assert manifest.near("other", [1]) == []
    assert manifest.near("help", []) == []
    put(manifest, replace(DOCUMENT, document_id="b", sources=("/b",)), bands=(7,))
    assert manifest.near("help", [1, -BIG, 4]) == ["a"]
    manifest.remove_document("help", "a")
    assert manifest.near("help", [1, -BIG, 7]) == ["b"]


def test_collections_are_apart(manifest: Manifest) -> None:
    put(manifest)
    put(manifest, replace(DOCUMENT, collection="other"))
    assert manifest.collections() == ["help", "other"]
    manifest.remove_document("other", "doc_1")
    assert [record.collection for record in manifest.documents(None)] == ["help"]


def test_changes_are_made_together_or_not_at_all(manifest: Manifest) -> None:
    bad = replace(DOCUMENT, document_id="doc_2", text=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        manifest.commit("help", [CloseFile("/a.md", "x"), putting(DOCUMENT), putting(bad)])
    assert manifest.documents(None) == []
    assert manifest.marks("help") == {}


def test_a_quote_is_kept_until_it_is_taken(state_engine: Engine) -> None:
    quotes = Quotes(state_engine)
    first = Quote(3, 10, 8, 1_200, 4.5, Decimal(0))
    last = replace(first, chunks=11, usd=None)
    assert quotes.take("help", ["/a"]) is None
    quotes.put("help", ["/a", "/b"], first)
    quotes.put("help", ["/b", "/a"], last)
    assert quotes.take("other", ["/a", "/b"]) is None
    assert quotes.take("help", ["/a", "/b", "/a"]) == last
    assert quotes.take("help", ["/a", "/b"]) is None


async def test_each_change_that_readers_could_see_is_counted(manifest: Manifest) -> None:
    seen = [await manifest.changes("help")]
    assert seen == [0]
    own = DOCUMENT.sources[0]
    for change in (
        lambda: manifest.commit("help", [putting(DOCUMENT)]),
        lambda: manifest.settle("help", ["doc_1"]),
        lambda: manifest.commit("help", [AddPlace("doc_1", place("/docs/copy.pdf"))]),
        lambda: manifest.commit("help", [OpenFile(own), RemoveSources((own,))]),
        lambda: manifest.release("help", "doc_1"),
        lambda: manifest.remove_document("help", "doc_1"),
    ):
        change()
        seen.append(await manifest.changes("help"))
        assert seen[-1] > seen[-2]
    assert await manifest.changes("other") == 0


async def test_what_readers_cannot_see_is_no_change(manifest: Manifest) -> None:
    put(manifest)
    before = await manifest.changes("help")
    manifest.announce("help", ["doc_2"])
    manifest.commit("help", [OpenFile("/docs/a.md"), CloseFile("/docs/a.md", "mark")])
    manifest.settle("help", [])
    bad = replace(DOCUMENT, document_id="doc_2", text=None)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        manifest.commit("help", [RemoveSources(DOCUMENT.sources), putting(bad)])
    assert await manifest.changes("help") == before
