"""Reading in worker processes: real ones, given files that hang, crash and eat memory."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from indexing.readers.workers import WorkerReader
from rag.errors import DocumentError, GoneError
from rag.sources import FailedPart, ReadResult
from rag.types import Document

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MakeReader = Callable[..., WorkerReader]


@pytest.fixture
async def make_reader() -> AsyncIterator[MakeReader]:
    made: list[WorkerReader] = []

    def make(**chosen: object) -> WorkerReader:
        settings = {"limits": None, "workers": 1, "target": "hostile_readers:read"} | chosen
        made.append(WorkerReader(**settings))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for reader in made:
        await reader.close()


async def read(reader: WorkerReader, name: str) -> ReadResult:
    return await reader.read(Path("/docs") / name, "guides", f"/docs/{name}")


async def failure(reader: WorkerReader, name: str) -> str:
    with pytest.raises(DocumentError) as caught:
        await read(reader, name)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def worker_of(reader: WorkerReader) -> int:
    """The process that reads the next file."""
    return int((await read(reader, "plain")).documents[0].text.split()[1])


def children() -> list[int]:
    """The processes that this one has started and that still run."""
    found = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in found if runs(int(pid))]


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_what_is_read_comes_back_whole(make_reader: MakeReader) -> None:
    reader = make_reader(limits=("any", 3))
    result = await read(reader, "plain.md")
    pid = result.documents[0].text.split()[1]
    assert result == ReadResult(
        [
            Document("guides", "id", "v", "t", f"plain {pid} ('any', 3)", ("/docs/plain.md",), (0,),
                     {"n": 1, "b": True})
        ],
        [FailedPart("/docs/plain.md", "row 3")],
    )  # fmt: skip
    assert int(pid) != os.getpid()


async def test_the_real_reader_is_the_default(tmp_path: Path, make_reader: MakeReader) -> None:
    from indexing.readers.by_extension import ReadLimits

    (tmp_path / "a.md").write_text("# Guide\n\nTurn it on.\n")
    reader = WorkerReader(ReadLimits())
    try:
        found = await reader.read(tmp_path / "a.md", "guides", "a.md")
        assert [document.title for document in found.documents] == ["Guide"]
        with pytest.raises(DocumentError, match=r"nowhere\.md"):
            await reader.read(tmp_path / "nowhere.md", "guides", "nowhere.md")
    finally:
        await reader.close()


def test_a_worker_loads_no_engine_and_no_parser_before_a_file_needs_it() -> None:
    heavy = ["asyncio", "onnxruntime", "qdrant_edge", "sqlalchemy", "httpx", "bs4", "pypdfium2"]
    code = (
        "import sys, indexing.readers.worker_process, indexing.readers.by_extension\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"


async def test_a_worker_starts_with_the_first_file_and_stays(make_reader: MakeReader) -> None:
    before = children()
    reader = make_reader()
    assert children() == before
    first = await worker_of(reader)
    assert await worker_of(reader) == first
    assert children() == [*before, first]
    await reader.close()
    assert children() == before


async def test_files_are_read_at_once_by_as_many_workers_as_allowed(
    make_reader: MakeReader,
) -> None:
    reader = make_reader(workers=2)
    pids = await asyncio.gather(*(worker_of(reader) for _ in range(6)))
    assert len(set(pids)) == 2


async def test_a_name_that_is_not_utf_8_arrives(make_reader: MakeReader) -> None:
    result = await read(make_reader(), os.fsdecode(b"caf\xe9.md"))
    assert result.documents[0].text.split()[0] == os.fsdecode(b"caf\xe9")


async def test_errors_of_the_reader_are_the_errors_of_the_file(make_reader: MakeReader) -> None:
    reader = make_reader()
    first = await worker_of(reader)
    assert await failure(reader, "refuse") == "/docs/refuse is empty"
    assert await failure(reader, "bug") == (
        "/docs/bug cannot be read (ZeroDivisionError): save it anew, or leave it out"
    )
    with pytest.raises(GoneError):
        await read(reader, "gone")
    assert await worker_of(reader) == first


@pytest.mark.parametrize("name", ["hang", "sleep"])
async def test_a_hang_ends_with_its_worker(name: str, make_reader: MakeReader) -> None:
    reader = make_reader(max_seconds=0.5)
    first = await worker_of(reader)
    assert await failure(reader, name) == (
        f"/docs/{name} takes longer to read than 0.5 seconds, the limit: "
        "split it or raise ingestion.max_read_seconds"
    )
    assert not runs(first)
    assert await worker_of(reader) != first


@pytest.mark.parametrize(
    ("name", "how"),
    [("crash", "(signal 11: Segmentation fault)"), ("exit", "(exit status 3)")],
)
async def test_a_crash_is_told_and_the_next_file_is_read(
    name: str, how: str, make_reader: MakeReader
) -> None:
    reader = make_reader()
    first = await worker_of(reader)
    message = await failure(reader, name)
    assert message.startswith(f"/docs/{name} crashed its reader {how}: ")
    assert await worker_of(reader) != first


async def test_a_file_is_not_blamed_for_those_before_it(make_reader: MakeReader) -> None:
    reader = make_reader()
    for _ in range(3):
        assert (await read(reader, "leak")).documents


async def test_a_worker_that_died_between_two_files_fails_neither(make_reader: MakeReader) -> None:
    reader = make_reader()
    os.kill(await worker_of(reader), signal.SIGKILL)
    assert (await read(reader, "plain")).documents


async def test_memory_has_a_limit(make_reader: MakeReader) -> None:
    reader = make_reader(max_memory_bytes=400_000_000)
    assert await failure(reader, "bomb") == (
        "/docs/bomb takes more memory to read than 400000000 bytes, the limit: "
        "split it or raise ingestion.max_read_memory_bytes"
    )
    assert (await read(reader, "plain")).documents


async def test_a_worker_that_has_grown_is_replaced(make_reader: MakeReader) -> None:
    reader = make_reader()
    first = int((await read(reader, "hoard")).documents[0].text.split()[1])
    assert await worker_of(reader) != first


async def test_a_worker_is_replaced_after_some_hundreds_of_files(make_reader: MakeReader) -> None:
    reader = make_reader()
    pids = [await worker_of(reader) for _ in range(501)]
    assert len(set(pids[:500])) == 1
    assert pids[500] != pids[499]


async def test_a_result_has_a_limit(make_reader: MakeReader) -> None:
    reader = make_reader(max_result_bytes=1_000_000)
    assert (await failure(reader, "large")).endswith(
        " bytes of text, the limit is 1000000: split it"
    )
    assert len((await read(make_reader(), "large")).documents[0].text) == 3_000_000


async def test_a_kind_that_workers_do_not_tell_is_not_made(make_reader: MakeReader) -> None:
    assert "nonsense" in await failure(make_reader(), "kind")


async def test_what_a_parser_prints_goes_nowhere(
    make_reader: MakeReader, capfd: pytest.CaptureFixture[str]
) -> None:
    reader = make_reader(max_seconds=5)
    assert (await read(reader, "chatter")).documents
    assert (await read(reader, "chatter")).documents
    assert capfd.readouterr() == ("", "")


async def test_a_caller_who_leaves_leaves_no_busy_worker(make_reader: MakeReader) -> None:
    reader = make_reader()
    first = await worker_of(reader)
    task = asyncio.create_task(read(reader, "hang"))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not runs(first)
    assert (await read(reader, "plain")).documents


async def test_a_worker_that_cannot_start_is_told(make_reader: MakeReader) -> None:
    message = await failure(make_reader(target="no_such_module:read"), "plain")
    assert message.startswith("the process that reads files could not be started (1): ")


@pytest.mark.parametrize("name", ["hang", "sleep", "plain"])
def test_a_worker_ends_with_its_parent_however_that_ends(name: str) -> None:
    """Busy or idle, when the parent is killed and can do nothing about it."""
    code = f"""
import asyncio, sys
sys.path[:0] = [{str(ROOT)!r}, {str(HERE)!r}]
from pathlib import Path
from indexing.readers.workers import WorkerReader
async def main():
    reader = WorkerReader(None, workers=1, target="hostile_readers:read")
    found = await reader.read(Path("/plain"), "c", "s")
    print(found.documents[0].text.split()[1], flush=True)
    await reader.read(Path("/{name}"), "c", "s")
    await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert runs(worker)
        parent.kill()
    deadline = time.monotonic() + 5
    while runs(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)
