"""A progress bar for whatever takes longer than two seconds, on a terminal only."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from indexing.ingesting.report import Progress as Ingested

SHOWN_AFTER_S = 2.0


class ProgressBar:
    """Shows how far an ingestion has come, on standard error, and leaves nothing behind."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._bar = Progress(
            TextColumn("indexing"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("files, {task.fields[chunks]} chunks"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("", total=None, chunks=0)

    def show(self, progress: Ingested) -> None:
        """Take the news; draw once it has lasted two seconds."""
        self._bar.update(
            self._task,
            completed=progress.files_done,
            total=progress.files_total,
            chunks=progress.chunks,
        )
        is_due = time.monotonic() - self._started > SHOWN_AFTER_S
        if is_due and self._bar.console.is_terminal and not self._bar.live.is_started:
            self._bar.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar.live.is_started:
            self._bar.stop()
