"""A data folder that `rag` works on, for clients that others wrote."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RAG = Path(sys.executable).with_name("rag")


@dataclass(frozen=True)
class Place:
    """The folder, and the environment that leads `rag` to it."""

    data_dir: Path
    environment: dict[str, str]

    @property
    def is_held(self) -> bool:
        """Whether a process is at work on it."""
        return (self.data_dir / "holder.json").exists()

    def run(self, *arguments: str) -> None:
        """Run `rag` with these arguments; fails with what it said when it fails."""
        done = subprocess.run(
            [RAG, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
