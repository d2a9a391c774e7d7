"""The service against its own OpenAPI document, tried by schemathesis.

Examples, the bounds of every schema, random requests both valid and not, and chains of them along
the document's links; the same ones in every run.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from patience import FAR_S, told_json
from pydantic import SecretStr

HERE = Path(__file__).parent
LONGEST_S = 300
MANY, FEW = 20, 10
NEED_MORE = {
    "POST /v1/batches",  # a premium model
    "GET /v1/batches/{batch_id}",
    "POST /v1/jobs/{job_id}/retry",  # a job that has failed in time
    "POST /v1/pins",  # the id of an answer and nothing that is the answer's, or all of that
    "DELETE /v1/pins/{pin_id}",
}
"""What may go without one good answer."""


@pytest.fixture(autouse=True)
def _clean_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.upper().startswith("RAG_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@contextmanager
def serving(**settings: str) -> Iterator[str]:
    """A service on a free port, as a process: its URL."""
    log = Path("serve.log")
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "service_with_fakes.py"), "serve", "--port", "0", "--json"],
            stdout=subprocess.PIPE, stderr=errors, text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), **settings},
        )  # fmt: skip
        try:
            yield told_json(process)["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=FAR_S)
    told = log.read_text("utf-8")
    assert process.returncode == 0, told
    assert "Traceback" not in told, told


def answer_of(client: httpx.Client) -> str:
    """The id of an answer from the first document of the service."""
    document = {"id": "refunds", "text": "Refunds take 14 days. They go to the card that paid."}
    job = client.post("/v1/documents", json={"documents": [document]}).json()
    while job["state"] != "done":
        time.sleep(0.02)
        job = client.get(f"/v1/jobs/{job['id']}").json()
    answer: dict[str, str] = client.post("/v1/answers", json={"question": "refunds"}).json()
    return answer["id"]


def try_all(url: str, max_examples: int, answer_id: str) -> subprocess.CompletedProcess[str]:
    config = Path("schemathesis.toml")
    config.write_text((HERE / config).read_text("utf-8").replace("ANSWER_ID", answer_id), "utf-8")
    return subprocess.run(
        [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()",
         "--config-file", str(config), "--no-color",
         "run", f"{url}/openapi.json", "--max-examples", str(max_examples)],
        capture_output=True, text=True, timeout=LONGEST_S, check=False,
    )  # fmt: skip


@contextmanager
def people() -> Iterator[str]:
    """A webhook that takes every question: its address."""

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Taking) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def never_answered(client: httpx.Client) -> set[str]:
    """The operations, as method and path, of which no request was answered with success."""
    counted = re.findall(
        r'rag_requests_total\{method="(\w+)",route="([^"]+)",status="2', client.get("/metrics").text
    )
    answered = {f"{method} {route.replace(':path}', '}')}" for method, route in counted}
    paths = client.get("/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}" for path in paths for method in paths[path]} - answered


@pytest.mark.timeout(LONGEST_S)
def test_the_service_keeps_what_its_document_says(state_url: SecretStr | None) -> None:
    state = {} if state_url is None else {"RAG_STATE_URL": state_url.get_secret_value()}
    examples = MANY if state_url is None else FEW
    with (
        people() as webhook,
        serving(RAG_HANDOFF__WEBHOOK=webhook, **state) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        tried = try_all(url, examples, answer_id=answer_of(client))
        assert tried.returncode == 0, tried.stdout + tried.stderr
        assert never_answered(client) <= NEED_MORE
