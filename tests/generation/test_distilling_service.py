"""Lessons as their users meet them: a real service, model servers on loopback, and the export."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai_server import OpenAIServer, running_openai_server
from sqlalchemy import func, select
from test_answers_with_models import PAGES, PRICES, QUESTION, TRUE, VAGUE, said
from typer.testing import CliRunner

from api.build import Application, build_around, embedding
from api.cli.main import make_app
from api.http.app import create_app
from api.setting_groups.models import LocalSettings, PremiumSettings, PriceSettings
from api.settings import Settings
from generation.distilling.tables import LESSON_DOCUMENTS, LESSONS

CONSENT = {"collections": ("default",)}


@dataclass
class Made:
    """A service and the servers of both of its models."""

    client: httpx.AsyncClient
    application: Application
    local: OpenAIServer
    premium: OpenAIServer

    async def escalate(self, taught: str = TRUE, **asked: Any) -> dict[str, Any]:
        """A question that the local model does not know; its lesson, if any, is written."""
        self.local.replies.append(said(VAGUE))
        self.premium.replies.append(said(taught))
        response = await self.client.post("/v1/answers", json={"question": QUESTION, **asked})
        assert response.status_code == 200, response.text
        await self.application.learning.close()
        return response.json()

    def rows(self) -> tuple[int, int]:
        """Lessons, and documents that they came from."""
        with self.application.state.connect() as connection:
            lessons = connection.scalar(select(func.count()).select_from(LESSONS))
            documents = connection.scalar(select(func.count()).select_from(LESSON_DOCUMENTS))
        return lessons or 0, documents or 0


def text_of(path: Path) -> str:
    return path.read_text()


def names_in(folder: Path, pattern: str) -> list[str]:
    return [path.name for path in folder.glob(pattern)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
def serving(tmp_path: Path, model: Any) -> Any:
    """Opens services over one folder, the pages in it."""
    (tmp_path / "prices.toml").write_text(PRICES)
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)

    @asynccontextmanager
    async def serve(**groups: Any) -> AsyncIterator[Made]:
        async with AsyncExitStack() as stack:
            local = await stack.enter_async_context(running_openai_server())
            premium = await stack.enter_async_context(running_openai_server(models=["big"]))
            chosen: dict[str, Any] = {
                "local": LocalSettings(base_url=local.base_url),
                "premium": PremiumSettings(model="big", base_url=premium.base_url),
                "prices": PriceSettings(file=tmp_path / "prices.toml"),
                "answers": {"escalate_below": 0.7, "abstain_below": 0.01},
                "reuse": {"enabled": False},
                "distillation": CONSENT,
            }
            settings = Settings(data_dir=tmp_path / "data", **(chosen | groups))
            application = build_around(settings, *model)
            app = create_app(application)
            transport = httpx.ASGITransport(app=app)
            client = httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
            await stack.enter_async_context(client)
            pages = [str(tmp_path / name) for name in PAGES]
            await application.ingestion.ingest(pages, "default")
            yield Made(client, application, local, premium)
            await app.state.service.close()

    return serve


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `rag distill export` beside whatever has the state open."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("RAG_DISTILLATION__COLLECTIONS", "default")

    async def run(*arguments: str) -> Any:
        app = make_app(None)  # type: ignore[arg-type]
        return await asyncio.to_thread(CliRunner().invoke, app, ["distill", "export", *arguments])

    return run


class TestKeeping:
    async def test_an_escalated_answer_leaves_the_prompt_that_was_put(
        self, serving: Any, export: Any
    ) -> None:
        async with serving() as made:
            answer = await made.escalate()
            (chat,) = made.premium.chats
            result = await export()
        assert answer["tier"] == "premium"
        assert result.exit_code == 0, result.stderr
        row = json.loads(result.stdout)
        system, user, assistant = row["messages"]
        assert [system, user] == chat.body["messages"]
        assert assistant == {"role": "assistant", "content": TRUE}
        assert f"[1] {PAGES['refunds.md'].splitlines()[0][2:]}" in user["content"]
        assert row["answer_id"] == answer["id"]
        assert (row["question"], row["collection"]) == (QUESTION, "default")
        assert (row["verdict"], row["model"]) == (None, "big")
        assert row["confidence"] == pytest.approx(answer["confidence"])
        assert answer["citations"][0]["document_id"] in row["context_documents"]
        assert result.stderr == "note: exported: 1, of them 0 judged right and 0 abstentions\n"

    async def test_the_markers_are_those_of_the_prompt(self, serving: Any, export: Any) -> None:
        """The answer cites the second excerpt first, and calls it [1]."""
        taught = f"The shop opens at nine in the morning on weekdays [2]. {TRUE}"
        async with serving() as made:
            answer = await made.escalate(taught, question=f"{QUESTION} And when do you open?")
            (chat,) = made.premium.chats
            row = json.loads((await export()).stdout)
        assert "[2] Opening hours" in chat.body["messages"][1]["content"]
        assert answer["answer"] == taught.replace("[1]", "[x]").replace("[2]", "[1]").replace(
            "[x]", "[2]"
        )
        assert row["messages"][2]["content"] == taught

    async def test_without_consent_nothing_is_stored(self, serving: Any) -> None:
        async with serving(distillation={"collections": ("other",)}) as made:
            assert (await made.escalate())["tier"] == "premium"
            assert made.rows() == (0, 0)
        async with serving(distillation={}) as made:
            assert (await made.escalate())["tier"] == "premium"
            assert made.rows() == (0, 0)

    async def test_who_named_the_tier_or_wants_it_fresh_leaves_nothing(self, serving: Any) -> None:
        async with serving() as made:
            made.premium.replies.append(said(TRUE))
            body = {"question": QUESTION, "tier": "premium"}
            assert (await made.client.post("/v1/answers", json=body)).json()["tier"] == "premium"
            await made.escalate(fresh=True)
            assert made.rows() == (0, 0)

    async def test_an_abstention_is_kept_and_a_broken_answer_is_not(self, serving: Any) -> None:
        async with serving() as made:
            assert (await made.escalate("NO_ANSWER"))["status"] == "abstained"
            assert made.rows()[0] == 1
            await made.escalate("", question="And how do I return a gift card?")
            assert made.rows()[0] == 1

    async def test_the_operators_instructions_are_in_it(self, serving: Any, export: Any) -> None:
        answers = {"escalate_below": 0.7, "abstain_below": 0.01, "instructions": "Be warm."}
        async with serving(answers=answers) as made:
            await made.escalate()
            row = json.loads((await export()).stdout)
        assert row["messages"][0]["content"].endswith("\nBe warm.")


class TestForgetting:
    async def test_forgetting_a_document_takes_its_lessons_and_shows_it(
        self, serving: Any, export: Any
    ) -> None:
        async with serving() as made:
            answer = await made.escalate()
            document = answer["citations"][0]["document_id"]
            proof = (await made.client.delete(f"/v1/documents/{document}")).json()
            assert proof["answers_removed"] == 1
            assert made.rows() == (0, 0)
            result = await export()
        assert result.exit_code == 1
        assert "no lesson is kept of default" in result.stderr

    async def test_so_does_changing_it(self, serving: Any, tmp_path: Path) -> None:
        async with serving() as made:
            await made.escalate()
            page = tmp_path / "refunds.md"
            page.write_text(page.read_text().replace("five", "nine"))
            await made.application.ingestion.ingest([str(page)], "default")
            assert made.rows() == (0, 0)

    async def test_other_documents_leave_them(self, serving: Any, tmp_path: Path) -> None:
        async with serving() as made:
            await made.escalate()
            (tmp_path / "new.md").write_text("# New\n\nThe shop sells bicycles.\n")
            await made.application.ingestion.ingest([str(tmp_path / "new.md")], "default")
            assert made.rows()[0] == 1

    async def test_what_a_killed_process_left_is_not_exported(
        self, serving: Any, export: Any, tmp_path: Path
    ) -> None:
        async with serving() as made:
            await made.escalate()
            with made.application.state.begin() as connection:
                connection.execute(LESSON_DOCUMENTS.update().values(revision="an older one"))
            result = await export()
            assert result.exit_code == 1
            assert made.rows() == (0, 0)

    async def test_a_collection_that_consents_no_longer_loses_them_at_the_next_start(
        self, serving: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with serving() as made:
            await made.escalate()
        async with serving() as made:
            assert made.rows()[0] == 1
        async with serving(distillation={}) as made:
            assert made.rows() == (0, 0)
        assert "1 lessons were deleted, since their collections are not in" in caplog.text


class TestExport:
    async def test_verdicts_decide_and_are_told(
        self, serving: Any, export: Any, tmp_path: Path
    ) -> None:
        async with serving() as made:
            wrong = await made.escalate()
            right = await made.escalate(question="How many days until I have my money back?")
            for answer, verdict in ((wrong, "wrong"), (right, "right")):
                told = {"answer_id": answer["id"], "verdict": verdict}
                assert (await made.client.post("/v1/feedback", json=told)).status_code == 200
            result = await export("--output", "lessons.jsonl", "--verified-only")
        assert result.exit_code == 0, result.stderr
        assert result.stdout.splitlines() == [
            "exported: 1, of them 1 judged right and 0 abstentions",
            "left out: 1 judged wrong",
            "the lessons are in lessons.jsonl",
        ]
        (row,) = map(json.loads, text_of(tmp_path / "lessons.jsonl").splitlines())
        assert (row["answer_id"], row["verdict"]) == (right["id"], "right")
        assert names_in(tmp_path, "*.part") == []

    async def test_the_same_twice_is_one_and_the_counts_come_as_json(
        self, serving: Any, export: Any
    ) -> None:
        async with serving() as made:
            await made.escalate()
            await made.escalate(question=f"Hello, {QUESTION[0].lower()}{QUESTION[1:]} Thanks!")
            result = await export("--json", "--output", "lessons.jsonl", "-c", "default")
            again = await export("--json", "--output", "again.jsonl")
        assert json.loads(result.stdout) == {
            "exported": 1, "verified": 0, "corrected": 0, "abstained": 0,
            "left_out": {"duplicate": 1},
            "withdrawn": 0, "outdated": 0, "output": "lessons.jsonl",
        }  # fmt: skip
        assert text_of(Path("lessons.jsonl")) == text_of(Path("again.jsonl"))
        assert again.exit_code == 0

    async def test_nothing_that_is_fit(self, serving: Any, export: Any, tmp_path: Path) -> None:
        async with serving() as made:
            await made.escalate()
            result = await export("--min-confidence", "0.99", "--output", "lessons.jsonl")
        assert result.exit_code == 1
        assert (
            "of 1 lessons none is fit to train on (1 below the confidence): send verdicts to "
            "/v1/feedback, or lower --min-confidence" in result.stderr
        )
        assert not (tmp_path / "lessons.jsonl").exists()

    async def test_a_file_that_cannot_be_written(
        self, serving: Any, export: Any, tmp_path: Path
    ) -> None:
        (tmp_path / "folder").mkdir()
        async with serving() as made:
            await made.escalate()
            for output in ("nowhere/lessons.jsonl", "folder", "prices.toml/lessons.jsonl"):
                result = await export("--output", output)
                assert result.exit_code == 1
                assert f"error: {output} cannot be written (" in result.stderr
                assert "give another file with --output" in result.stderr
        assert names_in(tmp_path, "*.part") == []


@pytest.mark.parametrize(
    ("consent", "arguments", "told"),
    [
        ("", [], "no collection consents that lessons are kept of it: name those that do in"),
        ("a,b", ["-c", "c"], "collection 'c' does not consent, a, b does: name it in"),
        ("a,b", [], "no lesson is kept of a, b: one is whenever the premium tier answers"),
        ("a,b", ["-c", "b"], "no lesson is kept of b:"),
        ("a,b", ["--json"], "give --output"),
        ("a b", [], "RAG_DISTILLATION__COLLECTIONS is 'a b': 'a b' is no name of a collection"),
    ],
)
async def test_bad_input_gets_one_line(
    export: Any, monkeypatch: pytest.MonkeyPatch, consent: str, arguments: list[str], told: str
) -> None:
    monkeypatch.setenv("RAG_DISTILLATION__COLLECTIONS", consent)
    result = await export(*arguments)
    assert result.exit_code == 1
    assert told in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


async def test_a_shell_that_knows_of_no_consent_deletes_nothing(
    serving: Any, export: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving() as made:
        await made.escalate()
        monkeypatch.delenv("RAG_DISTILLATION__COLLECTIONS")
        assert (await export()).exit_code == 1
        assert made.rows()[0] == 1
        monkeypatch.setenv("RAG_DISTILLATION__COLLECTIONS", "other")
        assert (await export()).exit_code == 1
        assert made.rows()[0] == 0
