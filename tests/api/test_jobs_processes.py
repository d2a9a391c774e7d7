"""Jobs of a real service that is killed, stopped, or cut off by its callers."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from patience import FAR_S
from pydantic import SecretStr
from test_cli_processes import RAG, environment, serving

UPLOADS = [("files", (f"page{n}.md", b"# Page\n\nWords %d." % n)) for n in range(3)]


@pytest.fixture
def hold(tmp_path: Path) -> Path:
    """A file that keeps every service in this folder from embedding."""
    (tmp_path / "hold").touch()
    return tmp_path / "hold"


def client_of(url: str) -> httpx.Client:
    return httpx.Client(base_url=url, trust_env=False, timeout=FAR_S)


def wait_for(client: httpx.Client, job_id: str, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + FAR_S
    while True:
        job: dict[str, Any] = client.get(f"/v1/jobs/{job_id}").json()
        if job["state"] in states:
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def kept(place: Path) -> list[str]:
    return sorted(path.name for path in (place / ".rag" / "uploads").glob("*/*"))


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_jobs_go_on_after_the_service_went_down(
    tmp_path: Path,
    hold: Path,
    end: signal.Signals,
    state_url: SecretStr | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if state_url is not None:
        monkeypatch.setenv("RAG_STATE_URL", state_url.get_secret_value())
    with serving() as (url, process), client_of(url) as client:
        texts = {"documents": [{"id": f"t{n}", "text": f"Text {n}."} for n in range(3)]}
        uploaded = client.post("/v1/documents", files=UPLOADS).json()["id"]
        sent = client.post("/v1/documents", json=texts).json()["id"]
        wait_for(client, uploaded, "running")
        process.send_signal(end)
        process.wait(timeout=FAR_S)
    assert kept(tmp_path) == ["page0.md", "page1.md", "page2.md"]
    hold.unlink()
    with serving() as (url, _), client_of(url) as client:
        first = wait_for(client, uploaded, "done", "failed")
        second = wait_for(client, sent, "done", "failed")
        listed = client.get("/v1/documents").json()["documents"]
    assert (first["state"], first["report"]["counts"]["failed"]) == ("done", 0)
    assert first["attempts"] == (2 if end == signal.SIGKILL else 1)
    assert (second["state"], second["report"]["counts"]["added"]) == ("done", 3)
    sources = sorted(source for one in listed for source in one["sources"])
    assert sources == [
        "api:t0", "api:t1", "api:t2", "upload:page0.md", "upload:page1.md", "upload:page2.md",
    ]  # fmt: skip
    assert kept(tmp_path) == []
    assert (tmp_path / ".rag" / "state.sqlite").exists() == (state_url is None)


def test_a_job_that_takes_the_service_down_three_times_is_given_up(hold: Path) -> None:
    job_id = ""
    for _ in range(3):
        with serving() as (url, process), client_of(url) as client:
            job_id = job_id or client.post("/v1/documents", files=UPLOADS).json()["id"]
            wait_for(client, job_id, "running")
            process.kill()
            process.wait(timeout=FAR_S)
    with serving() as (url, _), client_of(url) as client:
        job = wait_for(client, job_id, "done", "failed")
        assert job["state"] == "failed"
        assert "the service went down 3 times while it ran this job" in job["reason"]
        hold.unlink()
        again = client.post(f"/v1/jobs/{job_id}/retry").json()["id"]
        assert wait_for(client, again, "done", "failed")["report"]["counts"]["added"] == 3


def test_a_command_waits_for_its_job_when_the_service_comes_back(
    tmp_path: Path, hold: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "refunds.md").write_text("# Refunds\n\nRefunds take 14 days.")
    with serving() as (url, process), client_of(url) as client:
        command = subprocess.Popen(
            [*RAG, "ingest", "docs", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        while not (jobs := client.get("/v1/jobs").json()["jobs"]):
            time.sleep(0.02)
        wait_for(client, jobs[0]["id"], "running")
        process.kill()
        process.wait(timeout=FAR_S)
    hold.unlink()
    port = urlsplit(url).port
    with serving("--port", str(port)) as (url, _), client_of(url) as client:
        shown, told = command.communicate(timeout=FAR_S)
        assert command.returncode == 0, told
        assert json.loads(shown)["counts"]["added"] == 1
        assert [job["id"] for job in client.get("/v1/jobs").json()["jobs"]] == [jobs[0]["id"]]


def send(url: str, head: str, body: bytes) -> bytes:
    """Send a request by hand, close our side, and give what comes back."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=FAR_S) as connection:
        connection.sendall(head.encode() + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


@pytest.mark.parametrize("says_its_length", [True, False])
def test_an_upload_that_is_cut_off_leaves_nothing(tmp_path: Path, says_its_length: bool) -> None:
    part = '--b\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n%s\r\n'
    body = (part % ("whole.md", "Words.") + part % ("half.md", "x" * 3_000_000)).encode()
    length = len(body) + 1_000 if says_its_length else len(body)  # no closing line either way
    with serving() as (url, _), client_of(url) as client:
        head = (
            f"POST /v1/documents HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nConnection: close\r\n"
            f"Content-Length: {length}"
        )
        answer = send(url, head, body)
        assert answer == b"" or b" 400 " in answer.splitlines()[0]
        if not says_its_length:
            assert b"the upload was cut off before its end, and nothing of it was kept" in answer
        assert client.get("/v1/jobs").json() == {"jobs": []}
        assert client.get("/v1/documents").json() == {"documents": []}
        assert kept(tmp_path) == []
