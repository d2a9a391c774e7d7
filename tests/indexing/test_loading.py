"""Loading files: what counts as unchanged, and what happens to files that change or vanish."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from web_server import InProcessReader

from indexing.loading.discovery import Found
from indexing.loading.marks import Mark, parse_mark
from indexing.loading.names import source_of
from indexing.loading.sources import SourceLoader
from rag.errors import DocumentError, GoneError
from rag.sources import FailedPart, Loaded, ReadResult

RECIPE = "recipe-1"


class FakeWeb:
    """Knows one sitemap, and loads every page as nothing at all."""

    def __init__(self) -> None:
        self.closed = False

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        return Loaded(f"page {source} {collection} {known}", None)

    async def pages(self, sitemap: str) -> Found:
        skipped = (FailedPart("https://h.org/b", "why"), FailedPart("https://h.org/z", "why"))
        return Found(("https://h.org/a", "https://h.org/c"), skipped)

    async def close(self) -> None:
        self.closed = True


class MeddlingReader(InProcessReader):
    """Does something to the file after each reading, as long as there is something to do."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        super().__init__()
        self._deeds = list(deeds)

    async def read(self, path: Path, collection: str, source: str) -> ReadResult:
        try:
            return await super().read(path, collection, source)
        finally:
            if self._deeds:
                self._deeds.pop(0)()


def later() -> int:
    """A clock so far ahead that every file is old."""
    return time.time_ns() + 10_000_000_000


def make(
    reader: InProcessReader | None = None, recipe: str = RECIPE, now_ns: Callable[[], int] = later
) -> SourceLoader:
    return SourceLoader(reader or InProcessReader(), FakeWeb(), recipe, 1_000_000, now_ns)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.md"
    path.write_text("# Guide\n\nTurn it on.\n")
    return path


async def load(loader: SourceLoader, path: Path | str, known: str | None = None) -> Loaded:
    return await loader.load(source_of(os.fspath(path)), "guides", known)


async def text(loader: SourceLoader, path: Path, known: str | None = None) -> str:
    loaded = await load(loader, path, known)
    assert loaded.result is not None
    return loaded.result.documents[0].text


async def failure(loader: SourceLoader, path: Path | str) -> str:
    with pytest.raises(DocumentError) as caught:
        await load(loader, path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(path: Path, content: str) -> None:
    path.write_text(content)


def rewrite_unseen(path: Path, content: str) -> None:
    """As a program does that sets the size and the time back to what they were."""
    before = path.stat()
    path.write_text(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


# Unchanged


async def test_an_unchanged_file_is_not_read_again(file: Path) -> None:
    reader = InProcessReader()
    loader = make(reader)
    first = await load(loader, file)
    assert await load(loader, file, first.mark) == Loaded(first.mark, None)
    assert reader.read_files == [str(file)]


async def test_an_unchanged_file_is_not_even_hashed(file: Path) -> None:
    known = parse_mark((await load(make(), file)).mark, RECIPE)
    assert known is not None
    mark = str(Mark(RECIPE, "wrong-hash", known.hint))
    assert await load(make(), file, mark) == Loaded(mark, None)


async def test_a_touched_file_is_known_by_its_hash(file: Path) -> None:
    loader = make()
    first = await load(loader, file)
    os.utime(file, (1, 1))
    second = await load(loader, file, first.mark)
    assert second.result is None
    assert second.mark != first.mark, "so that the next look need not hash it"
    assert await load(loader, file, second.mark) == second


async def test_a_changed_file_is_read_again(file: Path) -> None:
    loader = make()
    first = await load(loader, file)
    rewrite(file, "# Guide\n\nTurn it off.\n")
    assert await text(loader, file, first.mark) == "# Guide\n\nTurn it off."


async def test_a_change_that_keeps_size_and_time_is_seen(file: Path) -> None:
    loader = make()
    first = await load(loader, file)
    rewrite_unseen(file, "# Guide\n\nTurn it in.\n")
    assert await text(loader, file, first.mark) == "# Guide\n\nTurn it in."


async def test_the_times_of_a_file_just_written_are_not_believed(file: Path) -> None:
    """It may be written again before the clock of the file system moves on."""
    first = parse_mark((await load(make(now_ns=time.time_ns), file)).mark, RECIPE)
    assert first is not None
    assert first.hint == ""
    same = await load(make(now_ns=time.time_ns), file, str(first))
    assert same == Loaded(str(first), None), "by its hash"


async def test_another_recipe_reads_again(file: Path) -> None:
    first = await load(make(), file)
    second = await load(make(recipe="recipe-2"), file, first.mark)
    assert second.result is not None
    assert second.mark.startswith("recipe-2 ")
    for mark in ("", "recipe-1", "other words entirely"):
        assert (await load(make(), file, mark)).result is not None


async def test_a_thousand_unchanged_files_take_no_time(tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.md" for number in range(1_000)]
    for path in files:
        path.write_text(f"# Guide {path.stem}\n" * 100)
    loader = make()
    marks = [(await load(loader, path)).mark for path in files]
    started = time.perf_counter()
    for path, mark in zip(files, marks, strict=True):
        assert (await load(loader, path, mark)).result is None
    assert time.perf_counter() - started < 0.5


# Dates


@pytest.mark.parametrize(
    ("front", "dated"),
    [
        ("", "2001-09-09T01:46:40+00:00"),
        ("updated: 2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("date: 2023-01-01\nlastmod: '2024-05-01T10:00:00+02:00'", "2024-05-01T08:00:00+00:00"),
        ("date: '2024-05-01 10:30:00'", "2024-05-01T10:30:00+00:00"),
        ("date: last week", "2001-09-09T01:46:40+00:00"),
        ("updated: last week\ndate: 2024-05-01", "2024-05-01T00:00:00+00:00"),
        ("date: 20240501", "2001-09-09T01:46:40+00:00"),
    ],
)
async def test_dated(front: str, dated: str, file: Path) -> None:
    rewrite(file, f"---\n{front}\n---\n# Guide\n" if front else "# Guide\n")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    loaded = await load(make(), file)
    assert loaded.result is not None
    assert [document.dated for document in loaded.result.documents] == [dated]


# Files that move


@pytest.mark.parametrize("now_ns", [later, time.time_ns])
async def test_a_file_that_changes_while_it_is_read_is_read_again(
    file: Path, now_ns: Callable[[], int]
) -> None:
    reader = MeddlingReader(lambda: file.write_text("Second."), lambda: file.write_text("Third.."))
    loader = make(reader, now_ns=now_ns)
    loaded = await load(loader, file)
    assert loaded.result is not None
    assert loaded.result.documents[0].text == "Third.."
    assert await load(loader, file, loaded.mark) == Loaded(loaded.mark, None)
    assert len(reader.read_files) == 3


async def test_a_file_that_keeps_changing_is_given_up(file: Path) -> None:
    reader = MeddlingReader(*(lambda: file.write_text(f"{time.time_ns()}") for _ in range(9)))
    assert await failure(make(reader), file) == (
        f"{file} keeps changing while it is read: "
        "ingest it again when nothing writes to it any more"
    )
    assert len(reader.read_files) == 3


async def test_a_file_that_was_half_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text('{"text": "One')
    reader = MeddlingReader(lambda: file.write_text('{"text": "One two"}'))
    assert "One two" in await text(make(reader), file)


async def test_a_file_that_is_damaged_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.pdf"
    file.write_bytes(b"%PDF-1.7 nothing")
    reader = InProcessReader()
    assert str(file) in await failure(make(reader), file)
    assert len(reader.read_files) == 1


async def test_a_file_that_vanishes(file: Path) -> None:
    with pytest.raises(GoneError, match="is not there any more"):
        await load(make(MeddlingReader(file.unlink)), file)
    for path in (file, file / "below"):
        with pytest.raises(GoneError, match="is not there any more"):
            await load(make(), path)


# What is no file


async def test_what_cannot_be_read_has_a_reason(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.md")
    async with asyncio.timeout(5):
        assert "is no ordinary file" in await failure(make(), tmp_path / "pipe.md")
    assert "is no ordinary file" in await failure(make(), "/dev/zero")
    assert "cannot be opened (Is a directory)" in await failure(make(), tmp_path)
    assert "cannot be opened (File name too long)" in await failure(make(), tmp_path / ("x" * 300))
    with (tmp_path / "large.md").open("wb") as large:
        large.truncate(50_000_000_000)
    assert await failure(make(), tmp_path / "large.md") == (
        f"{tmp_path}/large.md has 50000000000 bytes, the limit is 1000000: "
        "split it or raise ingestion.max_file_bytes"
    )


async def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / os.fsdecode(b"caf\xe9.md")
    file.write_text("One.")
    loaded = await load(make(), file)
    assert loaded.result is not None
    assert loaded.result.documents[0].sources == (f"file://{tmp_path}/caf%E9.md",)
    assert "caf%E9.md" in await failure(make(MeddlingReader(file.unlink)), file)


# Pages


async def test_pages_are_loaded_by_the_web() -> None:
    loaded = await make().load("https://h.org/a", "guides", "mark")
    assert loaded.mark == "page https://h.org/a guides mark"


async def test_sitemaps_give_their_pages(file: Path) -> None:
    places = [str(file.parent), "https://h.org/sitemap.xml", "https://h.org/z", "https://h.org/z#1"]
    (file.parent / "p.png").write_text("x")
    found = await make().discover(places)
    assert found.sources == (str(file), "https://h.org/a", "https://h.org/c", "https://h.org/z")
    assert [part.source for part in found.skipped] == [
        str(file.parent / "p.png"),
        "https://h.org/b",
    ]


async def test_closing_closes_what_it_works_with() -> None:
    web = FakeWeb()
    await SourceLoader(InProcessReader(), web, RECIPE, 1).close()
    assert web.closed
