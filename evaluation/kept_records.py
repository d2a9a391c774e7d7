"""Keeps records in a JSONL file as they come, so that an interrupted evaluation can go on.

The first line names, by a fingerprint, what is evaluated; records of something else are not used.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from evaluation.records import Record
from rag.errors import InputError

FORMAT = 1


class KeptRecords:
    """The records of one evaluation, in one file. `started_anew` tells that others were there.

    Raises InputError where the file cannot be written.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self._adapter = TypeAdapter(Record)
        self._done: dict[str, Record] = {}
        self.started_anew = False
        self._header = json.dumps({"format": FORMAT, "fingerprint": fingerprint}).encode() + b"\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            kept = path.read_bytes() if path.exists() else b""
        except OSError as error:
            raise self._unwritable(error) from None
        if kept.startswith(self._header):
            self._take(kept, len(self._header))
        else:
            self.started_anew = bool(kept)
            self.clear()

    def done(self) -> dict[str, Record]:
        """By question, the records that are there already."""
        return dict(self._done)

    def add(self, record: Record) -> None:
        """Keep one more; it outlives the process when this returns."""
        try:
            with self._path.open("ab") as file:
                file.write(self._adapter.dump_json(record) + b"\n")
        except OSError as error:
            raise self._unwritable(error) from None
        self._done[record.question_id] = record

    def clear(self) -> None:
        """Forget all records."""
        try:
            self._path.write_bytes(self._header)
        except OSError as error:
            raise self._unwritable(error) from None
        self._done = {}

    def _take(self, kept: bytes, start: int) -> None:
        """The whole records; what stands behind them was being written when all ended."""
        for line in kept[start:].splitlines(keepends=True):
            try:
                record = self._adapter.validate_json(line)
            except ValidationError:
                break
            if not line.endswith(b"\n"):
                break
            self._done[record.question_id] = record
            start += len(line)
        os.truncate(self._path, start)

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"{self._path} cannot be written ({error.strerror}): give another folder with --output"
        )
