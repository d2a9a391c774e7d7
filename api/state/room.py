"""Room on the disk: a write that fills it up in the middle helps nobody."""

from __future__ import annotations

import shutil
from pathlib import Path

from rag.errors import StateError


def check_room(data_dir: Path, min_free_bytes: int) -> None:
    """Raises StateError when fewer bytes than these are free where `data_dir` lies."""
    free = shutil.disk_usage(data_dir).free
    if free < min_free_bytes:
        raise StateError(
            f"the disk of {data_dir} has {free:,} bytes free, the least is {min_free_bytes:,}: "
            "make room, or lower ingestion.min_free_bytes"
        )
