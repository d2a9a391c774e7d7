"""The disk fills up while the service runs: it says so, loses nothing, and goes on by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Service, copied, eventually, page, serving

QUESTION = "How often does machine 3 need oil?"
SIZE_MB = 400
LEAST_FREE = 20_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", str(place)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a file system of its own cannot be mounted here: it takes root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    """A file that takes all that is free."""
    filler = place / "filler"
    descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (1 << 20, 1 << 12):
            try:
                while os.write(descriptor, b"\0" * size):
                    pass
            except OSError:
                pass
    finally:
        os.close(descriptor)
    return filler


def add(service: Service, number: int) -> str:
    """What becomes of a document."""
    body = {"documents": [{"id": f"page-{number}", "text": page(number)}]}
    accepted = service.client.post("/v1/documents", json=body)
    if accepted.status_code != 202:
        assert accepted.status_code == 503, accepted.text
        return "refused"
    job_id = accepted.json()["id"]

    def state() -> str:
        return str(service.client.get(f"/v1/jobs/{job_id}").json()["state"])

    eventually(lambda: state() in ("done", "failed"))
    return state()


def test_a_full_disk_is_told_and_nothing_is_lost(prepared: Path, small_disk: Path) -> None:
    data_dir = copied(prepared, small_disk / "rag")
    settings = {"RAG_INGESTION__MIN_FREE_BYTES": str(LEAST_FREE)}
    with serving(data_dir, **settings) as service:
        assert add(service, 50) == "done"
        told = [service.ask(QUESTION).raise_for_status().json()["id"] for _ in range(3)]
        filler = fill(small_disk)
        refused = [service.ask(f"{QUESTION} {number}") for number in range(5)]
        for one in refused:
            if one.status_code == 200:  # it fitted into what was reserved already
                told.append(one.json()["id"])
            else:
                assert (one.status_code, one.json()["retryable"]) == (503, True)
                assert "the disk is full: free some space" in one.json()["detail"]
        assert any(one.status_code == 503 for one in refused)
        assert add(service, 51) in ("refused", "failed")
        assert service.client.get("/health").status_code == 200
        filler.unlink()
        eventually(lambda: service.ask(QUESTION).status_code == 200)
        eventually(lambda: add(service, 52) == "done")
        assert {"page-50", "page-52"} <= {
            one["document_id"] for one in service.client.get("/v1/documents").json()["documents"]
        }
        costs = service.client.get("/v1/costs", params={"by": "day"}).json()
        assert sum(row["answers"] for row in costs["rows"]) >= len(told)
        right = {"answer_id": told[0], "verdict": "right"}
        service.client.post("/v1/feedback", json=right).raise_for_status()
