"""How much of one file is read at most."""

from __future__ import annotations

from dataclasses import dataclass

READERS_VERSION = 1
"""Raise it when files are to be read anew: the next ingestion then reads every one."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """The limits of one file; each at least 1. A file that passes one is refused, never cut.

    `max_file_bytes` counts a file, and each file within a file, as it is stored;
    `max_unpacked_bytes` all that is unpacked from it, `max_unpacked_ratio` how many times larger
    than packed that may be once it is large, `max_members` the files in it. `max_rows` counts the
    rows of all its tables, and `max_cells` the cells of the rectangle that holds a sheet.
    """

    max_file_bytes: int = 50_000_000
    max_unpacked_bytes: int = 500_000_000
    max_unpacked_ratio: int = 200
    max_members: int = 10_000
    max_rows: int = 200_000
    max_cells: int = 10_000_000
