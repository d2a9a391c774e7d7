"""Takes the files of a multipart request, and keeps them until they are indexed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import HTTPException, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from api.jobs.kept_files import keep_only
from api.setting_groups.group import ANY_COLLECTION_PATTERN
from rag.errors import InputError, StateError

MAX_FILES = 1_000
MAX_NAME_BYTES = 200
FILE_FIELDS = ("files", "file")
CUT_OFF = "the upload was cut off before its end, and nothing of it was kept: send it again"


@dataclass(frozen=True, slots=True)
class Uploads:
    """Files that were sent, and the collection that they are for (None: the default)."""

    collection: str | None
    files: tuple[UploadFile, ...]


@asynccontextmanager
async def read_form(request: Request) -> AsyncIterator[Uploads]:
    """The files of a multipart request, open until the block ends.

    Raises HTTPException for one that is cut off or no form at all, and RequestValidationError for
    anything else in it.
    """
    try:
        form = await _WholeForm(request.headers, request.stream(), max_files=MAX_FILES).parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None
    except ClientDisconnect:
        raise HTTPException(400, CUT_OFF) from None
    except OSError as error:
        raise _not_kept(error) from None
    try:
        _check_fields(form)
        files = [file for field in FILE_FIELDS for file in form.getlist(field)]
        uploads = tuple(file for file in files if isinstance(file, UploadFile))
        if not uploads or len(uploads) < len(files):
            raise _invalid("files", "send at least one file, with its name, in this field")
        yield Uploads(_collection(form), uploads)
    finally:
        await form.close()


def safe_name(name: str) -> str:
    """The last part of a file name, fit for any file system, and read as it is written.

    Marks that turn the direction of writing would let `fdp.exe` pass for `exe.pdf`. Raises
    InputError where nothing is left.
    """
    last = re.split(r"[/\\]", name)[-1]
    clean = re.sub(r"[\x00-\x1f\x7f<>:\"|?*\u202a-\u202e\u2066-\u2069]", "_", last).strip(". ")
    stem, suffix = os.path.splitext(clean)
    room = MAX_NAME_BYTES - len(suffix.encode())
    if not stem or room < 1:
        raise InputError(f"{name[:60]!r} is no name of a file: send the file under its own name")
    return stem.encode()[:room].decode(errors="ignore") + suffix


async def keep(files: Sequence[UploadFile], folder: Path) -> Path:
    """Write the files into a new folder below `folder`, and give that.

    Raises InputError for names, StateError for a disk, that cannot take them; nothing is left then.
    """
    names = [safe_name(file.filename or "") for file in files]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"two files are called {twice[0]!r}: rename one, or send it by itself")
    place = folder / uuid.uuid4().hex
    try:
        await asyncio.to_thread(place.mkdir, parents=True)
        for file, name in zip(files, names, strict=True):
            await asyncio.to_thread(_write, file, place / name)
    except BaseException as error:
        await asyncio.to_thread(keep_only, place, ())
        if isinstance(error, OSError):
            raise _not_kept(error) from None
        raise
    return place


class _WholeForm(MultiPartParser):
    """The parser of a form, which by itself takes one that is cut off for a shorter one."""

    def __init__(
        self, headers: Headers, stream: AsyncGenerator[bytes, None], *, max_files: int
    ) -> None:
        super().__init__(headers, self._to_its_end(stream), max_files=max_files)
        self._has_ended = False

    def on_end(self) -> None:
        self._has_ended = True

    async def _to_its_end(self, stream: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async with aclosing(stream):
            async for part in stream:
                yield part
        if not self._has_ended:
            raise MultiPartException(CUT_OFF)


def _write(file: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        shutil.copyfileobj(file.file, target)


def _not_kept(error: OSError) -> StateError:
    return StateError(
        f"the files cannot be kept until they are indexed ({error.strerror}): "
        "make room on the disk, and send them again"
    )


def _check_fields(form: FormData) -> None:
    for field in form:
        if field not in (*FILE_FIELDS, "collection"):
            raise _invalid(field[:60], "there is no such field: correct or remove it")


def _collection(form: FormData) -> str | None:
    name = form.get("collection")
    if name is None:
        return None
    if not isinstance(name, str) or not re.fullmatch(ANY_COLLECTION_PATTERN, name):
        raise _invalid("collection", "use 1 to 100 letters, digits, dots, dashes and underscores")
    return name


def _invalid(field: str, message: str) -> RequestValidationError:
    return RequestValidationError([{"type": "value_error", "loc": ("body", field), "msg": message}])
