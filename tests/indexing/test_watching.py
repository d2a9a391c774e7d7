"""Watching real folders."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from patience import FAR_S

from indexing.loading.watching import changes
from rag.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
Told = Callable[..., Awaitable[bool]]
QUIET_S = 1.3  # more than changes need to settle


@asynccontextmanager
async def watched(*places: Path | str) -> AsyncIterator[Told]:
    """A question: is a change told within so many seconds?"""
    stop = asyncio.Event()
    stream: AsyncGenerator[None, None] = changes(list(map(str, places)), stop)  # type: ignore[assignment]
    notices: asyncio.Queue[None] = asyncio.Queue()

    async def listen() -> None:
        async with aclosing(stream):
            async for _ in stream:
                notices.put_nowait(None)

    task = asyncio.create_task(listen())
    await asyncio.sleep(0.3)  # the system is asked in a thread

    async def told(within_s: float = FAR_S) -> bool:
        try:
            async with asyncio.timeout(within_s):
                await notices.get()
        except TimeoutError:
            return False
        return True

    yield told
    stop.set()
    async with asyncio.timeout(FAR_S):
        await task


async def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "old.md").write_text("x")
    async with watched(tmp_path) as told:
        (tmp_path / "new.md").write_text("x")
        assert await told(), "a new file"
        (tmp_path / "old.md").write_text("y")
        assert await told(), "a changed file"
        (tmp_path / "old.md").unlink()
        assert await told(), "a removed file"
        (tmp_path / "later" / "deep").mkdir(parents=True)
        assert await told(), "a new folder"
        (tmp_path / "later" / "deep" / "a.md").write_text("x")
        assert await told(), "a file in a folder made later"
        (tmp_path / "later").rename(tmp_path.parent / f"{tmp_path.name}-away")
        assert await told(), "a folder moved away"


async def test_what_does_not_count(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "p.png").write_text("x")
    async with watched(tmp_path) as told:
        (tmp_path / ".hidden.md").write_text("x")
        (tmp_path / ".git" / "a.md").write_text("x")
        (tmp_path / "p.png").write_text("y")
        (tmp_path / "new.png").write_text("y")
        assert not await told(QUIET_S)


async def test_many_changes_are_told_together(tmp_path: Path) -> None:
    async with watched(tmp_path) as told:
        for number in range(10):
            (tmp_path / f"{number}.md").write_text("x")
            await asyncio.sleep(0.05)
        assert await told()
        assert not await told(QUIET_S)


async def test_a_single_file_saved_as_editors_do(tmp_path: Path) -> None:
    file = tmp_path / "a.md"
    file.write_text("x")
    async with watched(file) as told:
        for text in "yz":
            (tmp_path / "a.md.tmp").write_text(text)
            os.replace(tmp_path / "a.md.tmp", file)
            assert await told(), text
        (tmp_path / "other.md").write_text("x")
        assert not await told(QUIET_S)


async def test_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    async with watched(tmp_path / "**" / "*.md") as told:
        (tmp_path / "one" / "a.txt").write_text("x")
        assert not await told(QUIET_S)
        (tmp_path / "one" / "a.md").write_text("x")
        assert await told()


async def test_a_folder_and_a_file_at_once(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.md").write_text("x")
    async with watched(tmp_path / "one", tmp_path / "two" / "a.md", "https://h.org/") as told:
        (tmp_path / "one" / "b.md").write_text("x")
        assert await told()
        (tmp_path / "two" / "a.md").write_text("y")
        assert await told()


async def test_a_reader_who_stops_listening_stops_the_watch(tmp_path: Path) -> None:
    stream = changes([str(tmp_path)], asyncio.Event())
    task = asyncio.create_task(anext(stream))  # type: ignore[arg-type]
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_looking_where_notices_have_run_out(tmp_path: Path) -> None:
    code = f"""
import asyncio, logging, sys
from pathlib import Path
sys.path[:] = {[str(ROOT), *sys.path]!r}
from indexing.loading.watching import changes
async def main():
    stream = changes([{str(tmp_path)!r}], asyncio.Event())
    task = asyncio.create_task(anext(stream))
    await asyncio.sleep(0.5)
    Path({str(tmp_path / "a.md")!r}).write_text("x")
    await asyncio.wait_for(task, 300)
    print("told")
logging.basicConfig()
asyncio.run(main())
"""
    none_left = "echo 0 > /proc/sys/user/max_inotify_watches"  # in a namespace of its own
    if shutil.which("unshare") is None or subprocess.call(
        ["unshare", "-Ur", "sh", "-c", none_left]
    ):
        pytest.skip("no namespaces here, in which there could be no notices")
    command = ["unshare", "-Ur", "sh", "-c", f'{none_left} && exec "$0" -c "$1"']
    done = subprocess.run(
        [*command, sys.executable, code], capture_output=True, text=True, check=False, timeout=FAR_S
    )
    assert done.stdout == "told\n", done.stderr
    assert "looking for them instead" in done.stderr


async def test_pages_alone_cannot_be_watched() -> None:
    with pytest.raises(InputError, match="name a file or a folder too"):
        async for _ in changes(["https://h.org/"], asyncio.Event()):
            pass


async def test_what_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere does not exist"):
        async for _ in changes([str(tmp_path / "nowhere")], asyncio.Event()):
            pass
