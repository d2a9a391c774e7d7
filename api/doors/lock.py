"""Who holds the data folder: one process at a time, found by the others.

The lock is the operating system's, so that it ends with its process, however that ends. Beside it
the holder leaves a note with its process id, its URL if it is a service, and a token, which proves
that whoever gives it back can read this folder.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from rag.errors import SettingsError

LOCK_FILE = "lock"
HOLDER_FILE = "holder.json"
PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that holds a data folder. `url` is None where it is no service (yet)."""

    pid: int
    url: str | None
    token: str


class DataLock:
    """The lock of one data folder, not held at first. Raises SettingsError for a bad folder."""

    def __init__(self, data_dir: Path) -> None:
        try:
            data_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"data_dir is {data_dir}, which cannot be made ({error.strerror}): "
                "give a folder that you can write to"
            ) from None
        self._data_dir = data_dir
        self._lock = FileLock(data_dir / LOCK_FILE)
        self._holder_file = data_dir / HOLDER_FILE

    def try_acquire(self) -> Holder | None:
        """What this process holds the folder as; None when another one holds it."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return None
        except OSError as error:
            raise SettingsError(
                f"data_dir is {self._data_dir}, which cannot be written to ({error.strerror}): "
                "give a folder that you can write to"
            ) from None
        holder = Holder(os.getpid(), None, secrets.token_urlsafe(32))
        self._write(holder)
        return holder

    def announce(self, holder: Holder, url: str | None) -> None:
        """Tell the others where the service is, or (None) that it is going."""
        self._write(replace(holder, url=url))

    def release(self) -> None:
        """Let go of the folder."""
        self._holder_file.unlink(missing_ok=True)
        self._lock.release()

    def holder(self) -> Holder | None:
        """Who says that it holds the folder; None when nobody says so, for a moment or at all."""
        try:
            return Holder(**json.loads(self._holder_file.read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, holder: Holder) -> None:
        fresh = self._holder_file.with_name(f".{HOLDER_FILE}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(holder), file)
        os.replace(fresh, self._holder_file)
