"""The uploaded files of jobs, on this service's disk: a folder a job, deleted as soon as may be."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

FOLDER = "uploads"


def keep_only(folder: Path, names: Collection[str]) -> None:
    """Delete the other files in a folder; the folder too, when no name is given."""
    if not names:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for path in folder.glob("*"):
        if path.name not in names:
            path.unlink(missing_ok=True)


def sweep(uploads: Path, kept: Mapping[str, Collection[str]]) -> None:
    """Delete all but the files that are `kept`, by folder: what a killed service left."""
    for folder in uploads.glob("*"):
        keep_only(folder, kept.get(folder.name, ()))
