"""The commands in this process, around the fake application."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from api_fakes import fake_application
from typer.testing import CliRunner

from api.cli.main import make_app
from rag.errors import ModelError


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "refunds.md").write_text("# Refunds\n\nRefunds take 14 days. They are quick.")
    (folder / "shipping.txt").write_text("Shipping is free.")
    return folder


class Rag:
    """The command `rag`, each call as from a new process."""

    def __init__(self, build: Any = fake_application) -> None:
        self._build = build

    def run(self, *arguments: str, stdin: bytes = b"") -> Any:
        return CliRunner().invoke(make_app(self._build), list(arguments), input=stdin)

    def ok(self, *arguments: str) -> str:
        result = self.run(*arguments)
        assert result.exit_code == 0, result.output
        assert result.stderr == ""
        text: str = result.stdout
        return text

    def json(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))

    def error(self, *arguments: str) -> str:
        """The one line on standard error of a command that fails."""
        result = self.run(*arguments)
        assert result.exit_code == 1, result.output
        assert result.stdout == ""
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: ")
        return str(line)


@pytest.fixture
def rag(docs: Path) -> Rag:
    """A `rag` that has ingested `docs`."""
    rag = Rag()
    rag.ok("ingest", str(docs))
    return rag


def test_ingest_prints_a_table_of_outcomes(docs: Path) -> None:
    (docs / "empty.md").touch()
    result = Rag().run("ingest", "docs")
    assert result.exit_code == 1  # something failed, and scripts want to know
    assert [line.split("│")[1:3] for line in result.stdout.splitlines() if "│" in line] == [
        [" added     ", "       2 "],
        [" changed   ", "       0 "],
        [" unchanged ", "       0 "],
        [" duplicate ", "       0 "],
        [" removed   ", "       0 "],
        [" skipped   ", "       0 "],
        [" failed    ", "       1 "],
    ]
    assert "collection default: 2 chunks, 2 of them embedded" in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith(f"failed: {docs / 'empty.md'} is empty: ")
    assert result.stderr == ""


def test_ingest_json_and_sync(rag: Rag, docs: Path) -> None:
    report = rag.json("ingest", "docs")
    assert report["counts"]["unchanged"] == 2
    (docs / "shipping.txt").unlink()
    plan = rag.json("ingest", "docs", "--dry-run")
    assert plan["counts"]["removed"] == 0
    report = rag.json("ingest", "docs", "--sync")
    assert report["counts"]["removed"] == 1
    assert {item["outcome"] for item in report["items"]} == {"unchanged", "removed"}


def test_a_quote_tells_what_ingesting_would_take_and_is_kept_beside_what_it_took(
    docs: Path,
) -> None:
    rag = Rag()
    plan = rag.json("quote", "docs")
    assert plan["counts"]["added"] == 2
    assert {name: plan["quote"][name] for name in ("documents", "chunks", "chunks_embedded")} == {
        "documents": 2, "chunks": 2, "chunks_embedded": 2
    }  # fmt: skip
    assert plan["quote"]["tokens"] > 10
    assert plan["quote"]["usd"] == "0"
    assert rag.json("documents") == []
    told = rag.ok("quote", "docs")
    assert "2 chunks to write; 2 are new, and embedding their" in told
    assert "tokens costs $0; about" in told
    assert "(quoted: 2 chunks, " in rag.ok("ingest", "docs")
    assert rag.json("ingest", "docs")["quote"] is None
    assert rag.json("ingest", "docs", "--dry-run")["quote"]["chunks"] == 0


def test_what_is_no_document_is_skipped_and_said(docs: Path) -> None:
    for name in ("a.png", "b.png", "c.exe"):
        (docs / name).write_bytes(b"x")
    told = Rag().ok("ingest", "docs")
    assert "│ skipped   │       3 │" in told
    assert "skipped: 2 " in told
    assert ".png" in told


def test_standard_input_is_a_file_of_the_name_that_it_is_given(docs: Path) -> None:
    rag = Rag()
    result = rag.run("ingest", "-", "--name", "notes.txt", "--json", stdin=b"Parking is free.")
    [item] = json.loads(result.stdout)["items"]
    assert (item["outcome"], item["source"]) == ("added", "upload:notes.txt")
    result = rag.run("ingest", "-", "--name", "notes.txt", stdin=b"Parking costs money.")
    assert "│ changed   │       1 │" in result.stdout
    assert rag.run("ingest", "-", stdin=b"").exit_code == 1
    assert "is empty" in rag.run("ingest", "-", stdin=b"").stdout
    assert len(rag.json("documents")) == 1


def test_globs_take_what_matches(docs: Path) -> None:
    report = Rag().json("ingest", "docs/*.md")
    assert [Path(item["source"]).name for item in report["items"]] == ["refunds.md"]


def test_a_document_is_the_same_from_every_folder(
    rag: Rag, docs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_DATA_DIR", str(Path(".rag").absolute()))
    monkeypatch.chdir(docs)
    assert rag.json("ingest", ".", "../docs/refunds.md")["counts"]["unchanged"] == 2


def test_ask_prints_answer_citation_and_cost(rag: Rag, docs: Path) -> None:
    lines = rag.ok("ask", "how many days do refunds take?").splitlines()
    assert "Refunds take 14 days. [1]" in lines
    assert f"[1] Refunds ({docs / 'refunds.md'})" in lines
    assert any(line.endswith("Refunds take 14 days.”") for line in lines)
    assert lines[-1] == (
        "extractive · answered · confidence 0.87 · cost $0.000000 · baseline $0.004310 · "
        "saved $0.004310"
    )


def test_ask_json_is_the_answer_of_http(rag: Rag) -> None:
    answer = rag.json("ask", "refunds", "--max-context-tokens", "50")
    assert set(answer) == {
        "id", "status", "answer", "tier", "model", "confidence", "citations", "usage", "cost",
        "degraded_because", "because", "arm", "asked_as", "action",
    }  # fmt: skip
    assert rag.json("ask", "zebra")["status"] == "abstained"


def test_documents_and_forget(rag: Rag) -> None:
    listed = rag.json("documents")
    assert [one["title"] for one in listed] == ["Shipping", "Refunds"] or len(listed) == 2
    assert {"document_id", "title", "sources", "chunks", "version"} <= set(listed[0])
    table = rag.ok("documents", "--collection", "default")
    first, second = (one["document_id"] for one in listed)
    assert first in table
    result = rag.run("forget", first, "--json")
    (proof,) = json.loads(result.stdout)
    assert (proof["chunks_before"], proof["chunks_after"], proof["found_after"]) == (1, 0, 0)
    [source] = proof["sources"]
    assert result.stderr == (
        f"note: {source} is still there: the next ingestion of it brings it back\n"
    )
    Path(listed[1]["sources"][0]).unlink()
    assert second in rag.ok("forget", second)
    assert rag.ok("documents").strip() == "no documents: `rag ingest PATH` brings some in"
    assert rag.json("documents") == []


def test_config_shows_settings_and_tiers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_SERVER__PORT", "9")
    shown = Rag().json("config")
    assert shown["settings"]["server"]["port"] == 9
    assert {tier["tier"]: tier["live"] for tier in shown["tiers"]} == {
        "cache": True,
        "extractive": True,
        "local": False,
        "premium": False,
    }
    table = Rag().ok("config")
    assert "server.port" in table
    assert "extractive" in table


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", ""], "the question is empty: write one"),
        (["ask", "x" * 5_000], "5,000 characters, the limit is 4,000"),
        (["ask", "x\udcff"], "half a character"),
        (["ask", "x", "--collection", "nope"], "no collection 'nope'"),
        (["ask", "x", "-c", "a/b"], "collection: 'a/b' does not fit"),
        (["ask", "x", "--max-context-tokens", "0"], "max_context_tokens: 0 does not fit"),
        (["ingest", "nope.md"], "nope.md does not exist"),
        (["ingest", "docs", "nope"], "nope does not exist"),
        (["ingest", "ftp://example.com/a"], "is no page of the web: give http:// or https://"),
        (["ingest", "https://a:b@example.com/"], "holds a name or password"),
        (["ingest", "docs/*.pdf"], "nothing matches"),
        (["ingest", "-", "docs"], "- is standard input, read once: give it alone"),
        (["ingest", "-", "--dry-run"], "- is standard input, read once: give it alone"),
        (["ingest", "docs", "--watch", "--dry-run"], "give one of them"),
        (["quote", "nope.md"], "nope.md does not exist"),
        (["quote", "-"], "- is standard input"),
        (["ingest", "docs", "-c", ""], "collection: '' does not fit"),
        (["forget", "nope"], "no document 'nope'"),
        (["documents", "-c", "nope"], "no collection 'nope': there are default"),
        (
            ["serve", "--host", "0.0.0.0", "--port", "0"],
            "server.host is '0.0.0.0', which lets other machines in, and there is no key",
        ),
        (["serve", "--port", "65536"], "server.port is 65536"),
    ],
)
def test_bad_input_gets_one_line(rag: Rag, arguments: list[str], words: str) -> None:
    assert words in rag.error(*arguments)
    assert len(rag.json("documents")) == 2  # nothing is lost


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["ask"],
        ["ingest"],
        ["forget"],
        ["ask", "x", "--nope"],
        ["ask", "x", "--max-context-tokens", "many"],
        ["serve", "--port", "http"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    result = Rag().run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Usage: " in result.stderr


@pytest.mark.parametrize(
    "command",
    [["ingest", "."], ["ask", "x"], ["documents"], ["forget", "x"], ["config"], ["serve"]],
)
def test_a_wrong_setting_stops_every_command(
    command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAG_SERVER_PORT", "1")
    assert "RAG_SERVER_PORT is not a setting" in Rag().error(*command)


def test_an_error_of_the_start_is_one_line_and_frees_the_folder() -> None:
    def broken(_: Any) -> Any:
        raise ModelError("the model is altered: install it again")

    assert Rag(broken).error("ask", "x") == "error: the model is altered: install it again"
    assert Rag(broken).error("serve", "--port", "0").endswith("install it again")
    Rag().ok("documents")


def test_help_names_every_command() -> None:
    text = Rag().ok("--help")
    for command in (
        "ingest", "quote", "ask", "serve", "documents", "forget", "migrate", "config"
    ):  # fmt: skip
        assert command in text
        assert "--json" in Rag().ok(command, "--help")
