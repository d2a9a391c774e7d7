"""Real services to do harm to: each a process of its own, around the real model and engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import FAR_S, told_json

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests" / "indexing"))  # for the stand-in of a Qdrant server
RAG = [sys.executable, "-c", "from api.cli.main import run; run()"]
PAGES = 12


@dataclass(frozen=True)
class Service:
    """A running `rag serve`, and a client of it."""

    url: str
    process: subprocess.Popen[str]
    client: httpx.Client

    def ask(self, question: str, **more: Any) -> httpx.Response:
        """A question, put to it."""
        return self.client.post("/v1/answers", json={"question": question, **more})

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(timeout=FAR_S)


Serve = Callable[..., "contextmanager[Service]"]


def environment(data_dir: Path, settings: Mapping[str, str]) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    own = {"RAG_DATA_DIR": str(data_dir), "RAG_LOG__LEVEL": "warning", "PYTHONPATH": str(ROOT)}
    return {**clean, **own, **settings}


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Service]:
    """A service on a free port, stopped at the end; `settings` are variables."""
    process = subprocess.Popen(
        [*RAG, "serve", "--port", "0", "--json"],
        stdout=subprocess.PIPE, text=True, env=environment(data_dir, settings),
    )  # fmt: skip
    try:
        url = told_json(process)["url"]
        with httpx.Client(base_url=url, trust_env=False, timeout=FAR_S) as client:
            yield Service(url, process, client)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=FAR_S)


def page(number: int) -> str:
    return (
        f"# Machine {number}\n\nThe machine {number} in hall {number % 3} needs oil every "
        f"{number + 3} days. Its keeper in the year {1950 + number} was Keeper{number}."
    )


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the model's graph and some documents, to copy."""
    folder = tmp_path_factory.mktemp("prepared")
    (folder / "docs").mkdir()
    for number in range(PAGES):
        (folder / "docs" / f"{number}.md").write_text(page(number))
    subprocess.run(
        [*RAG, "ingest", str(folder / "docs"), "--json"],
        check=True, capture_output=True, env=environment(folder / "rag", {}),
    )  # fmt: skip
    return folder / "rag"


@pytest.fixture
def data_dir(prepared: Path, tmp_path: Path) -> Path:
    """A data folder of the test's own, with some documents in it."""
    return copied(prepared, tmp_path / "rag")


def copied(prepared: Path, target: Path) -> Path:
    # the engine's files are mostly holes, which need not be copied
    subprocess.run(["cp", "-a", "--sparse=always", str(prepared), str(target)], check=True)
    return target


def eventually(look: Callable[[], bool], seconds: float = FAR_S) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.05)
