"""The commands as processes: start-up time, the service, and who holds the data folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import FAR_S, told_json

ROOT = Path(__file__).resolve().parents[2]
RAG = [sys.executable, str(Path(__file__).with_name("rag_with_fakes.py"))]
MAX_HELP_S = 0.5


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "refunds.md").write_text("# Refunds\n\nRefunds take 14 days. Really.")
    return tmp_path


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


def rag(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RAG, *arguments],
        capture_output=True, text=True, timeout=FAR_S, check=False, env=environment(), **options,
    )  # fmt: skip


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A service on a free port: its URL and process."""
    process = subprocess.Popen(
        [*RAG, "serve", "--port", "0", "--json", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    try:
        yield told_json(process)["url"], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=FAR_S)


def test_help_starts_fast() -> None:
    code = "from api.cli.main import run; run()"
    times = []
    for _ in range(3):
        before = os.times()
        subprocess.run(
            [sys.executable, "-c", code, "--help"],
            check=True, capture_output=True, env=environment(), cwd=ROOT,
        )  # fmt: skip
        after = os.times()  # what it worked, however many others do
        times.append(sum(after[2:4]) - sum(before[2:4]))
    assert min(times) < MAX_HELP_S


def test_help_loads_no_engine() -> None:
    code = "import sys, api.cli.main; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        check=True, capture_output=True, text=True, env=environment(), cwd=ROOT,
    )  # fmt: skip
    heavy = {"numpy", "sqlalchemy", "fastapi", "pydantic", "httpx", "uvicorn", "onnxruntime"}
    assert not heavy & set(result.stdout.split())


def test_commands_go_through_the_service_without_being_told(place: Path) -> None:
    with serving() as (url, process):
        held = json.loads((place / ".rag" / "holder.json").read_text())
        assert (held["url"], held["pid"]) == (url, process.pid)
        ingested = rag("ingest", "docs", "--json")
        assert ingested.returncode == 0, ingested.stderr
        assert json.loads(ingested.stdout)["counts"]["added"] == 1
        through = httpx.get(f"{url}/v1/documents", trust_env=False, timeout=FAR_S).json()[
            "documents"
        ]
        assert json.loads(rag("documents", "--json").stdout) == through
        asked = rag("ask", "refunds")
        assert asked.returncode == 0, asked.stderr
        assert "[1] Refunds" in asked.stdout
        empty = rag("ask", "")
        assert (empty.returncode, empty.stderr) == (1, "error: the question is empty: write one\n")
        missing = rag("ingest", "nope")
        assert missing.returncode == 1
        assert "nope does not exist" in missing.stderr
        second = rag("serve", "--port", "0")
        assert second.returncode == 1
        assert second.stderr.startswith(f"error: .rag is served at {url} already, by process ")
        forgotten = rag("forget", through[0]["document_id"])
        assert forgotten.returncode == 0, forgotten.stderr
    assert process.returncode == 0
    assert not (place / ".rag" / "holder.json").exists()
    assert json.loads(rag("documents", "--json").stdout) == []


def test_costs_go_through_the_service(place: Path) -> None:
    rag("ingest", "docs")
    with serving():
        assert rag("ask", "When do refunds come?").returncode == 0
        shown = rag("costs", "--by", "key", "--json")
    assert (shown.returncode, shown.stderr) == (0, "")
    [row] = json.loads(shown.stdout)["rows"]
    assert (row["name"], row["answers"], row["spent_usd"]) == ("command-line", 1, "0.000000")
    assert rag("costs", "--by", "key", "--json").stdout == shown.stdout


def test_a_killed_service_leaves_nothing_in_the_way(place: Path) -> None:
    with serving() as (_, process):
        process.kill()
        process.wait(timeout=FAR_S)
    assert (place / ".rag" / "holder.json").exists()
    result = rag("ingest", "docs")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_command_that_waits_goes_on_when_the_service_stops(place: Path) -> None:
    with serving() as (_, process):
        process.send_signal(signal.SIGSTOP)  # it holds the folder and does not answer
        asked = subprocess.Popen(
            [*RAG, "ingest", "docs", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        with pytest.raises(subprocess.TimeoutExpired):
            asked.wait(timeout=2)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        shown, told = asked.communicate(timeout=FAR_S)
    assert asked.returncode == 0, told
    assert json.loads(shown)["counts"]["added"] == 1


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_service_ends_well(place: Path, stop: signal.Signals) -> None:
    with serving() as (_, process):
        process.send_signal(stop)
        assert process.wait(timeout=FAR_S) == 0
    assert process.returncode == 0
    assert not (place / ".rag" / "holder.json").exists()


def test_a_port_in_use_is_one_line(place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = rag("serve", "--port", str(port))
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"error: port {port} of 127.0.0.1 cannot be used (Address already in use): "
        "stop what uses it, or give another with --port\n"
    )
    assert not (place / ".rag" / "holder.json").exists()


def test_a_body_past_the_limit_is_told_while_it_is_sent(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_SERVER__MAX_BODY_BYTES", "1000")
    with serving() as (url, _):
        body = b" " * 20_000_000
        headers = {"content-type": "application/json"}
        response = httpx.post(
            f"{url}/v1/answers", content=body, headers=headers, trust_env=False, timeout=FAR_S
        )
        assert response.status_code == 413
        assert "limit of 1,000 bytes" in response.json()["detail"]
        assert httpx.get(f"{url}/health", trust_env=False, timeout=FAR_S).status_code == 200


def test_answers_do_not_wait_for_acknowledgements(place: Path) -> None:
    rag("ingest", "docs")
    with (
        serving() as (url, _),
        httpx.Client(base_url=url, trust_env=False, timeout=FAR_S) as client,
    ):
        seconds = []
        for _ in range(20):
            started = time.perf_counter()
            assert client.post("/v1/answers", json={"question": "refunds"}).status_code == 200
            seconds.append(time.perf_counter() - started)
    assert min(seconds) < 0.04  # the delayed acknowledgement of Linux


def test_the_audit_log_has_what_the_service_was_told(place: Path) -> None:
    settings = '[experiment]\nname = "short"\n[experiment.arms.few]\nshare = 0.5\n'
    (place / "rag.toml").write_text(settings + "set = { context = { max_tokens = 100 } }\n")
    with serving():
        assert rag("ingest", "docs").returncode == 0
        [document] = json.loads(rag("documents", "--json").stdout)
        assert rag("forget", document["document_id"]).returncode == 0
        found = json.loads(rag("audit", "--json").stdout)
    assert [(one["actor"], one["action"], one["object"]) for one in found] == [
        ("command-line", "document.forget", f"default/{document['document_id']}"),
        ("(settings)", "experiment.start", "short"),
    ]
