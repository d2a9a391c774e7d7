"""What leaves on the wire: a real service, and servers of models that keep all they were sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic_server import AnthropicServer, Message, running_anthropic_server
from batch_server import BatchServer, batch_server
from openai_server import OpenAIServer, Stream, error_page, running_openai_server
from sqlalchemy import text as sql
from test_answers_with_models import VAGUE, said

from api.build import Application, build_around, embedding
from api.http.app import create_app
from api.keys.key import Key
from api.keys.records import KeyRecords
from api.setting_groups.models import LocalSettings, ModelSettings, PremiumSettings, PriceSettings
from api.setting_groups.privacy import PrivacySettings
from api.settings import Settings, load_settings
from rag.errors import SettingsError
from rag.types import Question

MAIL, PHONE, IBAN = "help.desk@example.com", "+49 30 23125 123", "DE89 3704 0044 0532 0130 00"
CARD, ADDRESS, OWN = "4111 1111 1111 1111", "91.12.33.7", "eve@example.org"
VALUES = (MAIL, PHONE, IBAN, CARD, ADDRESS, OWN)
PAGE = (
    f"# Refunds\n\nTo see your money again, write to {MAIL} or call {PHONE}.\n"
    f"Refunds are sent from {IBAN}. The test card is {CARD}, used from {ADDRESS}.\n"
)
QUESTION = f"I am {OWN}. Whom do I write to when I want to see my money again?"
TOLD = "To see your money again, write to <EMAIL_1> or call <PHONE_1> [1]."
RESTORED = f"To see your money again, write to {MAIL} or call {PHONE} [1]."
MODEL = """
[[models]]
provider = "{}"
model = "{}"
input = 2.00
output = {}
batch_discount = 0.5
as_of = 2026-01-01
source = "made for this test"
"""
PRICES = MODEL.format("openai", "big", "10.00") + MODEL.format("anthropic", "claude", "20.00")
USAGE = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}


@dataclass
class Made:
    """A service over the same page in two collections, and its model servers."""

    client: httpx.AsyncClient
    application: Application
    local: OpenAIServer
    big: OpenAIServer
    claude: AnthropicServer
    batches: BatchServer

    async def ask(self, key: str = "", **asked: Any) -> dict[str, Any]:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        given = {"question": QUESTION, **asked}
        response = await self.client.post("/v1/answers", json=given, headers=headers)
        assert response.status_code == 200, response.text
        return dict(response.json())

    def wire(self) -> str:
        """All that premium servers were sent, as text, with nothing between digits and letters."""
        asked = [*self.big.http.asked, *self.claude.http.asked]
        sent = [[one.path, one.headers, one.body] for one in asked]
        return json.dumps([sent, self.batches.files, self.batches.sent], ensure_ascii=False)


def leaked(wire: str) -> list[str]:
    """The values that stand there, however they are grouped."""
    bare = "".join(sign for sign in wire if sign.isalnum())
    return [
        value
        for value in VALUES
        if value in wire or "".join(sign for sign in value if sign.isalnum()) in bare
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
async def made(tmp_path: Path, model: Any) -> AsyncIterator[Any]:
    """Makes services: quotes, a local model and two premium ones, of which nobody is sure."""
    (tmp_path / "prices.toml").write_text(PRICES)
    (tmp_path / "refunds.md").write_text(PAGE)
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def serving(batched: bool, **privacy: Any) -> AsyncIterator[Made]:
            enter = stack.enter_async_context
            local = await enter(running_openai_server())
            big = await enter(running_openai_server(models=["big"]))
            claude = await enter(running_anthropic_server())
            batches = await enter(batch_server())
            other = ModelSettings(
                model="claude",
                provider="anthropic",
                base_url=claude.http.url,
                api_key=claude.api_key,  # type: ignore[arg-type]
            )
            settings = Settings(
                data_dir=tmp_path / "data",
                local=LocalSettings(base_url=None if batched else local.base_url),
                premium=PremiumSettings(
                    model="big",
                    base_url=f"{batches.url}/v1" if batched else big.base_url,
                    others=() if batched else (other,),
                    max_attempts=1,
                ),
                prices=PriceSettings(file=tmp_path / "prices.toml"),
                answers={"escalate_below": 0.99, "abstain_below": 0.01},  # type: ignore[arg-type]
                reuse={"enabled": False},  # type: ignore[arg-type]
                privacy=PrivacySettings(**privacy),
            )
            application = build_around(settings, *model)
            app = create_app(application)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8000"
            ) as client:
                for collection in ("default", "home", "acme:home"):
                    await application.ingestion.ingest([str(tmp_path / "refunds.md")], collection)
                yield Made(client, application, local, big, claude, batches)
            await app.state.service.close()

        async def make(*, batched: bool = False, **privacy: Any) -> Made:
            return await stack.enter_async_context(serving(batched, **privacy))

        yield make


async def test_nothing_unmasked_leaves_and_the_answer_is_restored(made: Any) -> None:
    service = await made()
    service.local.replies.append(said(VAGUE))
    service.big.replies.append(said(TOLD, USAGE))
    answer = await service.ask()
    assert (answer["tier"], answer["status"]) == ("premium", "answered")
    assert answer["answer"] == RESTORED
    (citation,) = answer["citations"]
    assert MAIL in citation["quote"], "citations are those of the document"
    assert leaked(service.wire()) == []
    user = service.big.chats[0].body["messages"][1]["content"]
    assert "<EMAIL_1>" in user
    assert "I am <EMAIL_2>." in user
    assert leaked(json.dumps(service.local.chats[0].body)), "the local tier is one's own"
    (line,) = [line for line in answer["cost"]["lines"] if line["model"] == "big"]
    assert Decimal(line["usd"]) == Decimal("0.0008"), "what was sent is what is paid"


async def test_a_streamed_answer_is_restored_where_placeholders_are_cut(made: Any) -> None:
    service = await made()
    pieces = [TOLD[at : at + 5] for at in range(0, len(TOLD), 5)]
    service.big.replies.append(Stream(pieces, usage=USAGE))
    asked = {"question": QUESTION, "tier": "premium", "stream": True}
    async with service.client.stream("POST", "/v1/answers", json=asked) as response:
        body = "".join([part async for part in response.aiter_text()])
    heard = "".join(
        json.loads(line.removeprefix("data: "))["text"]
        for event in body.split("\n\n")
        if event.startswith("event: delta")
        for line in event.splitlines()
        if line.startswith("data: ")
    )
    assert heard == RESTORED
    assert leaked(service.wire()) == []


async def test_after_a_failover_too(made: Any) -> None:
    service = await made()
    service.big.replies.append(error_page(500, "The engine is dead."))
    usage = {"input_tokens": 300, "output_tokens": 20}
    service.claude.replies.append(Message([TOLD], start_usage=usage, end_usage=usage))
    answer = await service.ask(tier="premium")
    assert answer["answer"] == RESTORED
    assert answer["model"] == "claude"
    assert service.big.chats
    assert service.claude.messages
    assert leaked(service.wire()) == []


async def test_batches_are_masked_and_restored(made: Any) -> None:
    service = await made(batched=True)
    batches = service.application.batching.batches
    asked = [("q1", Question(QUESTION, "default")), ("q2", Question(QUESTION, "home"))]
    sent = await batches.submit(asked)
    assert sent.waiting == 2
    assert leaked(service.wire()) == []
    lines = []
    for line in service.batches.sent["batch_0"]:
        message = {"role": "assistant", "content": TOLD}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"model": "big", "choices": [choice], "usage": USAGE}
        response = {"status_code": 200, "body": body}
        lines.append({"custom_id": line["custom_id"], "response": response, "error": None})
    service.batches.end_openai("batch_0", output=lines)
    state = await batches.look(sent.batch_id, "", "")
    assert [answer.text for _, answer in state.answers] == [RESTORED, RESTORED]
    assert state.answers[0][1].cost.total_usd == Decimal("0.0004")
    assert leaked(service.wire()) == []


class TestStayingHere:
    async def test_the_premium_tier_is_not_asked_and_the_answer_says_so(self, made: Any) -> None:
        service = await made(stays_here=("home",))
        service.local.replies.append(said(VAGUE))
        answer = await service.ask(collection="home")
        assert answer["tier"] in ("extractive", "local")
        assert answer["degraded_because"] is None
        assert "this collection never leaves the machine" in answer["because"]
        service.local.replies.append(said(VAGUE))
        service.big.replies.append(said(TOLD, USAGE))
        assert (await service.ask())["tier"] == "premium"
        assert len(service.big.chats) == 1

    async def test_it_is_not_asked_where_somebody_names_it_either(self, made: Any) -> None:
        service = await made(stays_here=("home",))
        answer = await service.ask(collection="home", tier="premium")
        assert (answer["tier"], answer["status"]) == ("extractive", "degraded")
        assert answer["degraded_because"].startswith("premium was not asked: this collection")
        assert (service.big.chats, service.claude.messages) == ([], [])

    async def test_no_batch_holds_it(self, made: Any) -> None:
        service = await made(batched=True, stays_here=("home",))
        batches = service.application.batching.batches
        asked = [("q1", Question(QUESTION, "default")), ("q2", Question(QUESTION, "home"))]
        assert (await batches.submit(asked)).waiting == 1
        assert len(service.batches.sent["batch_0"]) == 1

    async def test_a_tenant_s_collection_is_named_as_the_operator_calls_it(self, made: Any) -> None:
        service = await made(stays_here=("acme:home",))
        records = KeyRecords(service.application.state)
        acme = records.create(Key("acme", frozenset({"ask"}), tenant="acme"))
        mine = records.create(Key("mine", frozenset({"admin"})))
        answer = await service.ask(acme, collection="home", tier="premium")
        assert (answer["tier"], answer["status"]) == ("extractive", "degraded")
        assert (service.big.chats, service.claude.messages) == ([], [])
        service.big.replies.append(said(TOLD, USAGE))
        answer = await service.ask(mine, collection="home", tier="premium")
        assert answer["tier"] == "premium", "one's own collection of that name is another"

    def test_it_cannot_be_learnt_from_as_well(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAG_PRIVACY__STAYS_HERE", "home")
        monkeypatch.setenv("RAG_DISTILLATION__COLLECTIONS", "help,home")
        with pytest.raises(SettingsError, match=r"'home' is in privacy\.stays_here and in distil"):
            load_settings()


class TestSettings:
    def test_what_can_be_no_collection_stops_the_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("RAG_PRIVACY__STAYS_HERE", "home,acme:home")
        monkeypatch.setenv("RAG_PRIVACY__MASK_OF", '{"acme:home": "none", "staff": "email"}')
        chosen = load_settings().privacy
        assert chosen.stays_here == ("home", "acme:home")
        assert chosen.mask_of == {"acme:home": (), "staff": ("email",)}
        monkeypatch.setenv("RAG_PRIVACY__MASK_OF", '{"acme/home": "none"}')
        with pytest.raises(SettingsError, match="'acme/home' is no name of a collection"):
            load_settings()

    @pytest.mark.parametrize("mask", ["none", "email, ip"])
    def test_kinds_stand_between_commas(self, mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAG_PRIVACY__MASK", mask)
        expected = () if mask == "none" else ("email", "ip")
        assert load_settings().privacy.mask == expected

    def test_a_kind_that_is_none_stops_the_start(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAG_PRIVACY__MASK", "email,face")
        with pytest.raises(SettingsError, match=r"'face'.*'email'"):
            load_settings()

    def test_a_country_is_two_capitals(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAG_PRIVACY__PHONE_REGIONS", "Germany")
        with pytest.raises(SettingsError, match="'Germany' is no country"):
            load_settings()

    async def test_where_nothing_is_masked_it_leaves_as_it_is(self, made: Any) -> None:
        service = await made(mask=(), mask_of={"home": ("email",)})
        service.big.replies.extend([said(RESTORED, USAGE), said(TOLD, USAGE)])
        assert (await service.ask(tier="premium"))["answer"] == RESTORED
        assert MAIL in service.wire()
        await service.ask(tier="premium", collection="home")
        content = service.big.chats[1].body["messages"][1]["content"]
        assert MAIL not in content
        assert PHONE in content


async def test_no_question_is_kept_where_nothing_is_reused(made: Any, tmp_path: Path) -> None:
    service = await made()
    service.big.replies.append(said(TOLD, USAGE))
    await service.ask(tier="premium")
    await asyncio.sleep(0)
    with service.application.state.connect() as connection:
        tables = connection.execute(sql("SELECT name FROM sqlite_master WHERE type='table'"))
        rows = [
            str(row)
            for name in tables.scalars().all()
            for row in connection.execute(sql(f'SELECT * FROM "{name}"'))
        ]
    assert any("premium" in row for row in rows), "the ledger has its lines"
    assert not any(OWN in row for row in rows)
