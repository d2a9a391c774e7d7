"""Starts the real service for a measurement, on a folder of its own, and ends it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

COMMAND = str(Path(sys.executable).parent / "rag")


@contextmanager
def running_service(data_dir: Path) -> Iterator[int]:
    """The port of a `rag serve` on `data_dir`, ready to answer. It is ended on leaving."""
    with running_process(data_dir, {}) as (port, _):
        yield port


@contextmanager
def running_process(data_dir: Path, settings: Mapping[str, str]) -> Iterator[tuple[int, int]]:
    """The port and the process id of a `rag serve` with more settings; it is ended on leaving."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [COMMAND, "serve", "--port", str(port)],
        env=environment(data_dir) | settings,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(port, process)
        yield port, process.pid
    finally:
        process.terminate()
        process.wait(30)


def environment(data_dir: Path) -> dict[str, str]:
    """The environment of a command that works on `data_dir`; every answer is made anew."""
    own = {"RAG_DATA_DIR": str(data_dir), "RAG_LOG__LEVEL": "warning", "RAG_REUSE__ENABLED": "0"}
    return os.environ | own


def rag(data_dir: Path, *arguments: str) -> dict:
    """The JSON that a `rag` command prints."""
    command = [COMMAND, *arguments, "--json"]
    done = subprocess.run(
        command, env=environment(data_dir), capture_output=True, text=True, check=False
    )
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr}")
    return json.loads(done.stdout)


def _wait_until_ready(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the service ended with {process.returncode}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the service was not ready within 60 s")
