"""Conversations as their users meet them: a real service, real documents, and a model server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai_server import OpenAIServer, Stream, running_openai_server
from sqlalchemy import select
from typer.testing import CliRunner

from api.build import Application, build, build_around, embedding
from api.cli.main import make_app
from api.http.app import create_app
from api.keys.key import Key
from api.keys.records import KeyRecords
from api.settings import Settings, load_settings
from generation.money.tables import ANSWERS
from generation.overview.asked import ASKED_QUESTIONS
from generation.reuse.tables import KEPT_ANSWERS
from rag.errors import SettingsError
from retrieval.conversations.tables import TURNS

PAGES = {
    "premium": "# The premium plan\n\nThe premium plan costs 20 dollars a month. The premium plan "
    "can be cancelled at the end of each month. The premium plan covers theft and fire.\n",
    "basic": "# The basic plan\n\nThe basic plan costs 5 dollars a month. The basic plan can be "
    "cancelled at the end of each year. The basic plan covers fire alone.\n",
    "delivery": "# Delivery\n\nDelivery takes three days in Germany and five days in France.\n",
}
COVER = "What does the premium plan cover?"


@dataclass
class Made:
    settings: Settings
    application: Application
    client: httpx.AsyncClient
    local: OpenAIServer
    paths: list[str]

    async def ask(self, question: str, conversation: str | None = "c1", **more: Any) -> Any:
        headers = more.pop("headers", {})
        tenant = more.pop("tenant", "")
        body = {"question": question, "conversation_id": conversation, **more}
        headers |= {"X-Rag-Tenant": tenant} if tenant else {}
        response = await self.client.post("/v1/answers", json=body, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()

    def key(self, tenant: str) -> dict[str, str]:
        """Headers with an admin key of this tenant."""
        key = Key(tenant, frozenset({"admin"}), tenant)
        return {"authorization": f"Bearer {KeyRecords(self.application.state).create(key)}"}

    async def ingest(self, collection: str) -> None:
        await self.application.ingestion.ingest(self.paths, collection)

    def rows(self, table: Any) -> list[Any]:
        with self.application.state.connect() as connection:
            return list(connection.execute(select(table)))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@asynccontextmanager
async def serving(
    folder: Path, model: Any, *, has_local: bool = False, **groups: Any
) -> AsyncIterator[Made]:
    for name, page in PAGES.items():
        (folder / f"{name}.md").write_text(page)
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(running_openai_server())
        own = {"base_url": local.base_url, "gpu_usd_per_hour": "3.6"} if has_local else {}
        settings = load_settings({"data_dir": folder / "data", "local": own} | groups)
        application = build_around(settings, *model)
        app = create_app(application)
        paths = [str(folder / f"{name}.md") for name in PAGES]
        transport = httpx.ASGITransport(app=app)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
        )
        made = Made(settings, application, client, local, paths)
        await made.ingest("default")
        yield made
        await app.state.service.close()


def test_settings_of_conversations_are_checked() -> None:
    assert Settings().conversations.enabled
    with pytest.raises(SettingsError, match=r"conversations\.turns"):
        load_settings({"conversations": {"turns": 0}})


async def test_a_follow_up_is_answered_as_what_it_means(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model) as made:
        first = await made.ask(COVER)
        assert (first["asked_as"], first["citations"][0]["title"]) == (None, "The premium plan")
        second = await made.ask("How much is it?")
        assert second["asked_as"] == "How much is the premium plan?"
        assert "20 dollars" in second["answer"]
        third = await made.ask("And the basic plan?")
        assert third["asked_as"] == "How much is the basic plan?"
        assert "5 dollars" in third["answer"]
        stages = [line["stage"] for line in third["cost"]["lines"]]
        assert stages[0] == "rewrite"
        assert third["cost"]["total_usd"] == "0.000000"
        outside = await made.ask("How much is it?", None)
        assert outside["asked_as"] is None
        assert "rewrite" not in [line["stage"] for line in outside["cost"]["lines"]]


async def test_an_answer_is_kept_for_what_was_meant(tmp_path: Path, model: Any) -> None:
    keep_all = {"reuse": {"min_confidence": 0.0}}
    async with serving(tmp_path, model, **keep_all) as made:
        for conversation, plan in (("a", "premium"), ("b", "basic")):
            await made.ask(f"What does the {plan} plan cover?", conversation)
            answer = await made.ask("How much is it?", conversation)
            assert answer["tier"] != "cache", "the same words, and another question"
        again = await made.ask("How much is the premium plan?", "c")
        assert (again["tier"], again["asked_as"]) == ("cache", None)
        await made.ask(COVER, "d")
        again = await made.ask("How much is it?", "d")
        assert (again["tier"], again["asked_as"]) == ("cache", "How much is the premium plan?")


async def test_another_tenant_has_another_conversation(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model) as made:
        await made.ask(COVER, tenant="a")
        assert (await made.ask("How much is it?", tenant="b"))["asked_as"] is None
        assert (await made.ask("How much is it?", tenant="a"))["asked_as"] is not None


async def test_a_conversation_is_that_of_a_tenant_by_its_key(tmp_path: Path, model: Any) -> None:
    keep_all = {"reuse": {"min_confidence": 0.0}}
    async with serving(tmp_path, model, **keep_all) as made:
        keys = {name: made.key(name) for name in ("a", "b")}
        for name in keys:
            await made.ingest(f"{name}:help")
        await made.ask(COVER, collection="help", headers=keys["a"])
        follow_up = {"question": "How much is it?", "collection": "help"}
        for stranger in ("c1", "a:c1"):
            answer = await made.ask(**follow_up, conversation=stranger, headers=keys["b"])
            assert answer["asked_as"] is None
            gone = await made.client.delete(f"/v1/conversations/{stranger}", headers=keys["b"])
            assert gone.json()["before"]["turns"] == 1, "its own"
        answer = await made.ask(**follow_up, headers=keys["a"])
        assert answer["asked_as"] == "How much is the premium plan?"
        assert {row.tenant for row in made.rows(TURNS)} == {"a"}
        proof = (await made.client.delete("/v1/conversations/c1", headers=keys["a"])).json()
        assert (proof["before"]["turns"], proof["before"]["kept_answers"]) == (2, 2)
        assert made.rows(TURNS) == []


async def test_the_id_of_a_conversation_stands_nowhere(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model) as made:
        await made.ask(COVER, "jane@example.com")
        [turn], [answer] = made.rows(TURNS), made.rows(ANSWERS)
        assert turn.conversation == answer.conversation
        guessed = sha256(b"jane@example.com").hexdigest()
        assert "jane" not in f"{turn} {answer}"
        assert turn.conversation not in guessed


async def test_nothing_is_kept_where_conversations_are_off(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model, conversations={"enabled": False}) as made:
        await made.ask(COVER)
        answer = await made.ask("How much is it?")
        assert (answer["asked_as"], made.rows(TURNS)) == (None, [])


async def test_the_history_of_a_chat_is_read(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model) as made:
        messages = [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": COVER},
            {"role": "assistant", "content": "Theft and fire. [1]"},
            {"role": "user", "content": "How much is it?"},
        ]
        asked = {"model": "default", "messages": messages}
        response = await made.client.post("/v1/chat/completions", json=asked)
        assert response.json()["rag"]["asked_as"] == "How much is the premium plan?"
        assert "20 dollars" in response.json()["choices"][0]["message"]["content"]
        assert made.rows(TURNS) == [], "who sends the history needs no other memory"


async def test_the_local_model_is_asked_where_rules_fail_and_billed(
    tmp_path: Path, model: Any
) -> None:
    asks_none = {"answers": {"escalate_below": 0.0, "abstain_below": 0.0}}
    async with serving(tmp_path, model, has_local=True, **asks_none) as made:
        await made.ask(COVER)
        assert made.local.chats == []
        made.local.replies.append(Stream(["What is the price of the premium plan?"]))
        answer = await made.ask("What is the price?")
        assert answer["asked_as"] == "What is the price of the premium plan?"
        assert len(made.local.chats) == 1
        lines = [line for line in answer["cost"]["lines"] if line["stage"] == "rewrite"]
        assert [line["model"] is None for line in lines] == [False, True]
        assert float(lines[0]["usd"]) > 0
        costs = (await made.client.get("/v1/costs", params={"by": "stage"})).json()
        assert "rewrite" in str(costs)


async def test_forgetting_a_document_forgets_what_its_answers_said(
    tmp_path: Path, model: Any
) -> None:
    async with serving(tmp_path, model) as made:
        await made.ask(COVER)
        [cited] = {c["document_id"] for c in (await made.ask(COVER, "c2"))["citations"]}
        assert len(made.rows(TURNS)) == 2
        response = await made.client.delete(f"/v1/documents/{cited}")
        assert response.status_code == 200
        assert made.rows(TURNS) == []


@pytest.mark.parametrize("way", ["http", "command line"])
async def test_a_conversation_is_forgotten_everywhere_and_proven(
    tmp_path: Path, model: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_all = {"reuse": {"min_confidence": 0.0}, "dashboard": {"keep_questions": True}}
    async with serving(tmp_path, model, **keep_all) as made:
        await made.ask(COVER)
        await made.ask("How much is it?")
        await made.ask("How long does delivery take in France?", "other")
        with made.application.state.begin() as connection:  # one turn has expired
            connection.execute(TURNS.delete().where(TURNS.c.question == COVER))
        spent = sorted(row.answer_id for row in made.rows(ANSWERS))
        if way == "http":
            headers = {"X-Rag-Tenant": "stranger"}
            response = await made.client.delete("/v1/conversations/c1", headers=headers)
            assert set(response.json()["before"].values()) == {0}
            proof = (await made.client.delete("/v1/conversations/c1")).json()
        else:
            monkeypatch.setenv("RAG_DATA_DIR", str(made.settings.data_dir))
            done = CliRunner().invoke(make_app(build), ["forget", "--conversation", "c1", "--json"])
            assert done.exit_code == 0, done.output
            proof = json.loads(done.stdout)
        none = {"lessons": 0, "corrections": 0, "dashboard_questions": 0}
        assert proof == {
            "before": {"turns": 1, "kept_answers": 2} | none | {"dashboard_questions": 2},
            "after": {"turns": 0, "kept_answers": 0} | none,
            "answers_unlinked": 2,
        }
        assert [row.question for row in made.rows(TURNS)] == [
            "How long does delivery take in France?"
        ]
        assert len(made.rows(KEPT_ANSWERS)) == len(made.rows(ASKED_QUESTIONS)) == 1
        assert sorted(row.answer_id for row in made.rows(ANSWERS)) == spent, "money stays told"
        again = (await made.client.delete("/v1/conversations/c1")).json()
        assert again["answers_unlinked"] == 0, "nothing leads there any more"
        assert (await made.ask("How much is it?"))["asked_as"] is None


def test_forget_wants_either_documents_or_a_conversation() -> None:
    for arguments in (["forget"], ["forget", "a", "--conversation", "c"]):
        done = CliRunner().invoke(make_app(build), arguments)
        assert done.exit_code == 2, done.output
