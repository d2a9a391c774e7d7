"""`rag batch`: asked, looked at, collected, through this process and through a service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from batching_place import (
    PAGE,
    PRICES,
    QUESTION,
    TRUE,
    USD,
    BatchServer,
    answers_of,
    batch_server_beside,
)
from patience import FAR_S, told_json
from typer.testing import CliRunner

from api.build import build_around, embedding
from api.cli.main import make_app
from api.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The real embedding model, opened once."""
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchServer]:
    """A server of batches that the settings name."""
    Path("prices.toml").write_text(PRICES)
    Path("refunds.md").write_text(PAGE)
    with batch_server_beside() as server:
        for name, value in {
            "RAG_PREMIUM__MODEL": "big",
            "RAG_PREMIUM__BASE_URL": f"{server.url}/v1",
            "RAG_PREMIUM__API_KEY": "sk-very-secret",
            "RAG_PRICES__FILE": "prices.toml",
            "RAG_ANSWERS__ESCALATE_BELOW": "1",
        }.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def bare_rag(server: BatchServer, model: Any) -> Any:
    """Runs a command, each time on an application of its own."""

    def run(*arguments: str) -> Any:
        build = make_app(lambda settings: build_around(settings, *model))
        return CliRunner().invoke(build, list(arguments))

    return run


@pytest.fixture
def rag(bare_rag: Any) -> Any:
    """The same over one ingested page."""
    assert bare_rag("ingest", "refunds.md").exit_code == 0
    return bare_rag


def write_questions(*rows: Any) -> None:
    Path("questions.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


BATCH = ("batch", "questions.jsonl", "--output", "answers.jsonl")
ROWS = ({"id": "first", "question": QUESTION}, {"question": "Which days?"})


def test_the_same_command_asks_looks_and_collects(rag: Any, server: BatchServer) -> None:
    write_questions(*ROWS)
    asked = rag(*BATCH)
    assert asked.exit_code == 0, asked.output
    assert "0 quoted, 2 wait in batch_" in asked.stdout
    assert "which costs at most $0.0" in asked.stdout
    assert "0 of 2 are answered" in asked.stdout
    assert "run the same command again" in asked.stderr
    assert not Path("answers.jsonl").exists()

    looked = rag(*BATCH, "--json")
    told = json.loads(looked.stdout)
    assert (told["state"], told["waiting"], told["answered"]) == ("submitted", 2, 0)
    assert len(server.batches) == 1

    answers_of(server, TRUE, "NO_ANSWER")
    collected = rag(*BATCH)
    assert collected.exit_code == 0, collected.output
    assert "2 answers are in answers.jsonl" in collected.stdout
    first, second = map(json.loads, Path("answers.jsonl").read_text().splitlines())
    assert (first["question_id"], first["tier"], first["cost"]["total_usd"]) == (
        "first",
        "premium",
        USD,
    )
    assert (second["question_id"], second["status"]) == ("2", "abstained")
    asked_alone = json.loads(rag("ask", QUESTION, "--tier", "extractive", "--json").stdout)
    assert set(first) == {*asked_alone, "question_id"}

    written = Path("answers.jsonl").read_bytes()
    again = rag(*BATCH)
    assert "the same answers" in again.stderr
    assert Path("answers.jsonl").read_bytes() == written
    assert len(server.batches) == 1
    assert "sk-very-secret" not in asked.output + looked.output + collected.output


def test_the_most_that_it_may_cost(rag: Any, server: BatchServer) -> None:
    write_questions(*ROWS)
    result = rag(*BATCH, "--max-usd", "0")
    assert "2 answers are in answers.jsonl" in result.stdout
    first = json.loads(Path("answers.jsonl").read_text().splitlines()[0])
    assert first["status"] == "abstained", "nobody is sure of the quote"
    assert "the limit of this batch is $0.00" in first["degraded_because"]
    assert server.batches == {}


@pytest.mark.parametrize(
    ("rows", "arguments", "told"),
    [
        ("{", BATCH, "questions.jsonl, row 1: it is not JSON"),
        ('\n{"id": "a"}', BATCH, "questions.jsonl, row 2: question"),
        ('{"question": "x", "tier": "local"}', BATCH, "row 1: tier: there is no such field"),
        ("[]", BATCH, "row 1"),
        ("", BATCH, "questions"),
        (None, BATCH, "questions.jsonl cannot be read"),
        ('{"question": "x"}', (*BATCH[:3], "nowhere/answers.jsonl"), "nowhere is no folder"),
        ('{"question": "x"}', (*BATCH, "--max-usd", "much"), "max_cost_usd"),
        ('{"question": "x", "collection": "none"}', BATCH, "none"),
    ],
)
def test_bad_input_is_one_line(bare_rag: Any, rows: str | None, arguments: Any, told: str) -> None:
    if rows is not None:
        Path("questions.jsonl").write_text(rows)
    result = bare_rag(*arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("answers.jsonl").exists()


def test_without_a_premium_tier(bare_rag: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAG_PREMIUM__MODEL")
    write_questions(*ROWS)
    result = bare_rag(*BATCH)
    assert result.exit_code == 1
    assert "the premium tier is off" in result.stderr


def test_a_service_that_is_killed_in_between(rag: Any, server: BatchServer) -> None:
    write_questions(*ROWS)
    command = [sys.executable, "-c", "from api.cli.main import run; run()"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    service = subprocess.Popen(
        [*command, "serve", "--port", "0", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        told_json(service)
        through = subprocess.run(
            [*command, *BATCH], env=environment, capture_output=True, text=True, check=False
        )
        assert "2 wait in batch_" in through.stdout, through.stderr
    finally:
        service.send_signal(signal.SIGKILL)
        service.communicate(timeout=FAR_S)
    answers_of(server, TRUE, TRUE)
    assert "2 answers are in answers.jsonl" in rag(*BATCH).stdout
    assert len(server.batches) == 1
