"""Who gets the data folder when, and what becomes of the work when a service goes away."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from api_fakes import TEXTS, MakeApplication, fake_application, ingest, settings_in

from api.doors.door import Door
from api.doors.lock import DataLock, Holder
from api.doors.through_service import ServiceGoneError, take_or_find, use_door
from rag.errors import QuestionError, ServiceError, SettingsError


def test_one_holder_at_a_time_and_its_note_is_private(tmp_path: Path) -> None:
    first, second = DataLock(tmp_path / "data"), DataLock(tmp_path / "data")
    holder = first.try_acquire()
    assert holder is not None
    assert second.try_acquire() is None
    assert second.holder() == Holder(os.getpid(), None, holder.token)
    first.announce(holder, "http://127.0.0.1:1")
    assert second.holder() == Holder(os.getpid(), "http://127.0.0.1:1", holder.token)
    assert (tmp_path / "data" / "holder.json").stat().st_mode & 0o777 == 0o600
    first.release()
    assert second.holder() is None
    again = second.try_acquire()
    assert again is not None
    assert again.token != holder.token
    second.release()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "\ufffd"])
def test_an_unreadable_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "holder.json").write_text(text)
    assert DataLock(tmp_path).holder() is None


def test_a_data_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match=r"data_dir is .*file/data, which cannot be made"):
        DataLock(tmp_path / "file" / "data")


async def documents_of(door: Door) -> list[str]:
    return [one.document_id for one in await door.documents(None)]


async def test_a_note_of_a_dead_service_is_no_obstacle(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.data_dir.mkdir()
    (settings.data_dir / "holder.json").write_text(
        '{"pid": 1, "url": "http://127.0.0.1:9", "token": "old"}'
    )
    notes: list[str] = []
    assert await use_door(settings, fake_application, documents_of, notes.append) == []  # type: ignore[arg-type]
    assert notes == []
    assert not (settings.data_dir / "holder.json").exists()


async def test_a_command_waits_for_another_and_says_so(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    lock = DataLock(settings.data_dir)
    assert lock.try_acquire() is not None
    notes: list[str] = []
    waiting = asyncio.create_task(
        use_door(settings, fake_application, documents_of, notes.append)  # type: ignore[arg-type]
    )
    while not notes:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert not waiting.done()
    lock.release()
    assert await waiting == []
    assert notes == [f"waiting for process {os.getpid()}, which is using {settings.data_dir}"]


async def test_the_lock_is_released_after_an_error(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)

    async def fail(_: Door) -> None:
        raise QuestionError("no")

    with pytest.raises(QuestionError):
        await use_door(settings, fake_application, fail, print)  # type: ignore[arg-type]
    lock = DataLock(settings.data_dir)
    assert lock.try_acquire() is not None
    lock.release()


async def test_the_work_is_done_again_when_the_service_went_away(
    tmp_path: Path, make_application: MakeApplication
) -> None:
    await ingest(make_application(), **TEXTS)
    calls: list[Door] = []

    async def work(door: Door) -> list[str]:
        calls.append(door)
        if len(calls) == 1:
            raise ServiceGoneError("the service went away (reset)")
        return await documents_of(door)

    notes: list[str] = []
    found = await use_door(settings_in(tmp_path), fake_application, work, notes.append)  # type: ignore[arg-type]
    assert found == ["refunds", "shipping"]
    assert notes == ["the service went away (reset); trying again"]


async def test_a_service_that_keeps_going_away_is_an_error(tmp_path: Path) -> None:
    async def work(_: Door) -> None:
        raise ServiceGoneError("gone")

    with pytest.raises(ServiceError, match="went away 3 times"):
        await use_door(settings_in(tmp_path), fake_application, work, lambda _: None)  # type: ignore[arg-type]


async def test_a_folder_that_is_free_is_taken(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    lock = DataLock(settings.data_dir)
    turn = await take_or_find(lock, settings, print)
    assert turn.service is None
    assert turn.own is not None
    assert turn.own.pid == os.getpid()
    lock.release()
