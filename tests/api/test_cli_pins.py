"""`rag pins`: pin an answer, see how it stands, remove it, with its messages."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_fakes import ConstantEmbedder
from fakes import WordTokenizer
from typer.testing import CliRunner

from api.build import Application, build_around
from api.cli.main import make_app
from api.settings import Settings


def _build(settings: Settings) -> Application:
    return build_around(settings, ConstantEmbedder(), WordTokenizer(), 100)


@pytest.fixture
def rag(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("RAG_REUSE__MIN_CONFIDENCE", "0")
    (tmp_path / "returns.jsonl").write_text(
        '{"id": "returns", "text": "You can return an item within 30 days of delivery."}\n'
    )

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(make_app(_build), list(arguments))

    assert run("ingest", "returns.jsonl").exit_code == 0
    return run


OWN = (
    "--question", "How long can I return an item?", "--answer", "Within 30 days [1].",
    "--cite", "returns=You can return an item within 30 days of delivery.",
)  # fmt: skip


def test_an_answer_of_ones_own(rag: Any) -> None:
    done = rag("pins", "add", *OWN, "--json")
    assert done.exit_code == 0, done.output
    pinned = json.loads(done.stdout)
    assert (pinned["answer"], pinned["collection"]) == ("Within 30 days [1].", "default")
    answer = json.loads(rag("ask", "How long can I return an item?", "--json").stdout)
    assert (answer["answer"], answer["tier"]) == ("Within 30 days [1].", "cache")
    assert json.loads(rag("pins", "list", "--json").stdout) == [pinned]
    listed = rag("pins", "list", "--collection", "default").stdout
    assert pinned["id"] in listed
    removed = rag("pins", "remove", pinned["id"])
    assert removed.stdout == f"removed {pinned['id']}: How long can I return an item?\n"
    assert rag("pins", "list").stdout == "no pinned answers: `rag pins add ANSWER_ID` pins one\n"


def test_an_answer_that_was_given(rag: Any) -> None:
    answer = json.loads(rag("ask", "How long can I return an item?", "--json").stdout)
    assert answer["status"] == "answered"
    done = rag("pins", "add", answer["id"], "--answer", "30 days [1].")
    assert done.stdout.startswith("pinned pin_")
    assert done.stdout.endswith(": How long can I return an item?\n")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["add"], "give an answer_id, or a question with its answer and the citations of that"),
        (["add", *OWN[:4], "--cite", "returns"], "--cite is 'returns': give DOCUMENT_ID=QUOTE"),
        (["add", "ans_nobody"], "no answer 'ans_nobody' is kept"),
        (["remove", "pin_nobody"], "there is no pinned answer 'pin_nobody'"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(rag: Any, arguments: list[str], told: str) -> None:
    done = rag("pins", *arguments)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {told}")
    assert done.stderr.count("\n") == 1
