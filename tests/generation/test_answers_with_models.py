"""The whole path with language models: a real service, real stores, model servers on loopback.

Both tiers are servers in this process that speak OpenAI's protocol; what they write is scripted.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai_server import OpenAIServer, Page, Silence, Stream, error_page, running_openai_server

from api.build import Application, build_around, embedding
from api.http.app import create_app
from api.setting_groups.models import BudgetSettings, LocalSettings, PremiumSettings, PriceSettings
from api.settings import Settings
from rag.errors import SettingsError

QUESTION = "When do I see my money again after I sent a thing back?"
TRUE = "A refund takes five business days and goes to the card that paid [1]."
VAGUE = "It depends on many things that nobody can tell in advance."
PRICES = """
[[models]]
provider = "openai"
model = "big"
input = 2.00
output = 10.00
as_of = 2026-01-01
source = "made for this test"
"""
USAGE = {"prompt_tokens": 300, "completion_tokens": 20, "total_tokens": 320}
USAGE_USD = Decimal("0.0008")  # 300 x $2 and 20 x $10 a million
PAGES = {
    "refunds.md": "# Refunds\n\nA refund takes five business days and goes to the card that paid.\n"
    "Refunds of gift cards go to the shop account instead.\n",
    "hours.md": "# Opening hours\n\nThe shop opens at nine in the morning on weekdays.\n",
}


@dataclass
class Made:
    """A service and both of its model servers."""

    client: httpx.AsyncClient
    application: Application
    local: OpenAIServer
    premium: OpenAIServer

    async def ask(self, **asked: Any) -> dict[str, Any]:
        response = await self.client.post("/v1/answers", json={"question": QUESTION, **asked})
        assert response.status_code == 200, response.text
        return response.json()

    async def costs(self, by: str) -> dict[str, Any]:
        response = await self.client.get("/v1/costs", params={"by": by})
        assert response.status_code == 200, response.text
        return response.json()


def said(text: str, usage: Any = USAGE) -> Stream:
    words = text.split(" ")
    pieces = [word + " " * (at < len(words) - 1) for at, word in enumerate(words)]
    return Stream(pieces, usage=usage)


def usd_lines(answer: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """The lines of the bill that name a model of a server."""
    lines = answer["cost"]["lines"]
    return [
        (line["stage"], line["model"], line["usd"])
        for line in lines
        if line["model"] not in (None, "quote")
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The real embedding model, opened once."""
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
async def made(tmp_path: Path, model: Any) -> AsyncIterator[Any]:
    """Makes services, and closes them. Without settings both tiers are live, and nobody is sure."""
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def serving(gpu: str | None = "3.6", **groups: Any) -> AsyncIterator[Made]:
            local = await stack.enter_async_context(running_openai_server())
            premium = await stack.enter_async_context(running_openai_server(models=["big"]))
            chosen = {
                "local": LocalSettings(
                    base_url=local.base_url, gpu_usd_per_hour=gpu and Decimal(gpu), timeout_s=5
                ),
                "premium": PremiumSettings(
                    model="big", base_url=premium.base_url, max_attempts=1, timeout_s=3
                ),
                "prices": PriceSettings(file=prices),
                "answers": {"escalate_below": 0.7, "abstain_below": 0.01},
                "reuse": {"enabled": False},  # the same is asked again and again
            } | groups
            settings = Settings(data_dir=tmp_path / "data", **chosen)
            application = build_around(settings, *model)
            app = create_app(application)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1:8000"
            ) as client:
                for name in PAGES:
                    await application.ingestion.ingest([str(tmp_path / name)], "default")
                yield Made(client, application, local, premium)
            await app.state.service.close()

        async def make(**options: Any) -> Made:
            return await stack.enter_async_context(serving(**options))

        yield make


class TestTiers:
    async def test_the_local_model_answers_with_exact_citations(self, made: Any) -> None:
        service = await made(premium=PremiumSettings())
        service.local.replies.append(said(TRUE))
        answer = await service.ask(tier="local")
        assert (answer["tier"], answer["model"]) == ("local", "small")
        assert (answer["status"], answer["degraded_because"]) == ("answered", None)
        (citation,) = answer["citations"]
        assert citation["marker"] == 1
        text = await service.client.get(f"/v1/documents/{citation['document_id']}")
        spoken = text.json()["text"][citation["start"] : citation["end"]]
        assert spoken == citation["quote"]
        assert "five business days" in spoken
        assert answer["usage"]["input_tokens"] == 300
        assert answer["usage"]["output_tokens"] == 20

    async def test_an_answer_that_nobody_is_sure_of_goes_up_tier_by_tier(self, made: Any) -> None:
        service = await made()
        service.local.replies.append(said(VAGUE))
        service.premium.replies.append(said(TRUE))
        answer = await service.ask()
        assert answer["tier"] == "premium"
        assert [line[:2] for line in usd_lines(answer)] == [
            ("generate", "small"),
            ("generate", "big"),
        ]
        assert Decimal(usd_lines(answer)[1][2]) == USAGE_USD
        assert Decimal(answer["cost"]["total_usd"]) == sum(
            Decimal(line["usd"]) for line in answer["cost"]["lines"]
        )

    async def test_a_sure_quote_calls_nobody(self, made: Any) -> None:
        service = await made(answers={"escalate_below": 0.3, "abstain_below": 0.01})
        answer = await service.ask(question="How many business days does a refund take?")
        assert (answer["tier"], answer["cost"]["total_usd"]) == ("extractive", "0.000000")
        assert service.local.http.asked == service.premium.http.asked == []

    async def test_the_prompt_begins_the_same_for_every_question(self, made: Any) -> None:
        service = await made(premium=PremiumSettings())
        await service.ask(tier="local")
        await service.ask(tier="local", question="When does the shop open?")
        first, second = (chat.body["messages"] for chat in service.local.chats)
        assert first[0] == second[0]
        assert first[1] != second[1]
        assert first[1]["content"].endswith(QUESTION)

    async def test_a_tier_that_is_not_live_is_refused(self, made: Any) -> None:
        service = await made(premium=PremiumSettings())
        response = await service.client.post(
            "/v1/answers", json={"question": QUESTION, "tier": "premium"}
        )
        assert response.status_code == 422
        assert "extractive or local" in response.json()["detail"]


class TestBill:
    async def test_headers_carry_the_total(self, made: Any) -> None:
        service = await made()
        service.premium.replies.append(said(TRUE))
        response = await service.client.post(
            "/v1/answers", json={"question": QUESTION, "tier": "premium"}
        )
        assert response.headers["x-rag-cost-usd"] == "0.000800"
        assert response.headers["x-rag-tier"] == "premium"
        assert Decimal(response.headers["x-rag-baseline-usd"]) > 0
        cost = response.json()["cost"]
        assert Decimal(cost["saved_usd"]) == Decimal(cost["baseline_usd"]) - USAGE_USD

    async def test_costs_are_kept_by_day_key_and_tier(self, made: Any) -> None:
        service = await made()
        service.premium.replies += [said(TRUE), said(TRUE)]
        asked = {"question": QUESTION, "tier": "premium"}
        for key in ("widget", "widget", "back-office"):
            headers = {"X-Rag-Key": key, "X-Rag-Tenant": "acme"}
            response = await service.client.post("/v1/answers", json=asked, headers=headers)
            assert response.status_code == 200
            asked = {"question": QUESTION, "tier": "extractive"} if key == "widget" else asked
        rows = {row["name"]: row for row in (await service.costs("key"))["rows"]}
        assert Decimal(rows["widget"]["spent_usd"]) == USAGE_USD
        assert (rows["widget"]["calls"], rows["widget"]["answers"]) == (1, 2)
        assert (rows["back-office"]["calls"], rows["back-office"]["answers"]) == (0, 1)
        by_tier = {row["name"]: row for row in (await service.costs("tier"))["rows"]}
        assert Decimal(by_tier["premium"]["spent_usd"]) == USAGE_USD
        (day,) = (await service.costs("day"))["rows"]
        assert Decimal(day["spent_usd"]) == USAGE_USD

    async def test_a_local_model_without_a_price_costs_what_nobody_knows(self, made: Any) -> None:
        service = await made(gpu=None, premium=PremiumSettings())
        service.local.replies.append(said(TRUE))
        answer = await service.ask(tier="local")
        assert answer["cost"]["total_usd"] is None
        assert answer["cost"]["saved_usd"] is None

    async def test_usage_that_is_missing_leaves_the_cost_unknown_and_counted(
        self, made: Any
    ) -> None:
        service = await made()
        service.premium.replies.append(said(TRUE, usage=None))
        answer = await service.ask(tier="premium")
        assert answer["cost"]["total_usd"] is None
        total = (await service.costs("day"))["total"]
        assert total["unknown_calls"] == 1
        assert Decimal(total["unknown_at_most_usd"]) > 0


class TestWalls:
    async def test_nothing_is_spent_past_the_wall_of_the_day_and_the_answer_says_why(
        self, made: Any
    ) -> None:
        budgets = BudgetSettings(day_usd=Decimal("0.012"))
        service = await made(local=LocalSettings(), budgets=budgets)
        service.premium.replies.extend(said(TRUE) for _ in range(40))
        answers = [await service.ask() for _ in range(20)]
        spent = Decimal((await service.costs("day"))["total"]["spent_usd"])
        assert spent <= budgets.day_usd
        assert spent == len(service.premium.chats) * USAGE_USD
        assert answers[0]["tier"] == "premium"
        last = answers[-1]
        assert (last["tier"], last["status"]) == ("extractive", "degraded")
        assert "the budget of the day" in last["degraded_because"]
        assert "$0.012" in last["degraded_because"]

    async def test_a_question_has_a_wall_of_its_own(self, made: Any) -> None:
        service = await made(local=LocalSettings())
        answer = await service.ask(max_cost_usd="0.000001")
        assert (answer["tier"], service.premium.chats) == ("extractive", [])
        assert "this answer" in answer["degraded_because"]

    async def test_a_key_cannot_spend_what_is_another_ones(self, made: Any) -> None:
        budgets = BudgetSettings(key_day_usd=Decimal("0.0095"))
        service = await made(local=LocalSettings(), budgets=budgets)
        service.premium.replies.extend(said(TRUE) for _ in range(40))
        tiers: dict[str, list[str]] = {"a": [], "b": []}
        for key in "aaaaaaab":
            response = await service.client.post(
                "/v1/answers", json={"question": QUESTION}, headers={"X-Rag-Key": key}
            )
            tiers[key].append(response.json()["tier"])
        assert tiers["a"][-1] == "extractive"
        assert tiers["b"] == ["premium"]

    def test_a_negative_budget_stops_the_start(self) -> None:
        with pytest.raises(ValueError, match="greater than or equal to 0"):
            BudgetSettings(day_usd=Decimal(-1))


class TestTrouble:
    """Each ends in a degraded answer with its reason, and in true lines of the ledger."""

    @pytest.mark.parametrize(
        ("reply", "reason"),
        [
            (error_page(401, "Incorrect API key"), "api_key"),
            (error_page(404, "The model `big` does not exist."), "big"),
            (Page(200, "<html>Welcome</html>", "text/html"), "check the address"),
            (Page(200, "{ half", "application/json"), "check the address"),
            (Page(503, "busy"), "503"),
            (error_page(429, "slow down"), "no more calls"),
            (Stream(("Refunds ", "take"), breaks_after=1), "broke off"),
            (Stream(("Refunds ",), finish=None, done=False), "broke off"),
            (Stream((), usage=USAGE), "wrote nothing"),
            (Stream((), refusal="I cannot help with that", usage=USAGE), "refused"),
            (Silence(), "was silent for 2.7 s|took longer than 3 s"),  # as busy as the machine is
        ],
        ids=[
            "wrong key",
            "no such model",
            "a web page",
            "broken JSON",
            "server error",
            "rate limit",
            "half a stream",
            "no end",
            "empty",
            "refusal",
            "silence",
        ],
    )
    async def test_the_next_best_answers_and_says_why(
        self, made: Any, reply: Any, reason: str
    ) -> None:
        service = await made(local=LocalSettings())
        service.premium.replies.append(reply)
        answer = await service.ask()
        assert (answer["tier"], answer["status"]) == ("extractive", "degraded")
        assert re.search(reason, answer["degraded_because"])
        total = (await service.costs("day"))["total"]
        assert total["calls"] == 1

    async def test_a_missing_key_stops_the_start(self, made: Any) -> None:
        with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
            await made(premium=PremiumSettings(model="gpt-4o"))

    async def test_a_model_without_a_price_stops_the_start(self, made: Any) -> None:
        unknown = PremiumSettings(model="nobody-knows", base_url="http://127.0.0.1:9/v1")
        with pytest.raises(SettingsError, match="no known price"):
            await made(premium=unknown)

    async def test_prices_with_an_error_stop_the_start(self, made: Any, tmp_path: Path) -> None:
        wrong = tmp_path / "wrong.toml"
        wrong.write_text(PRICES.replace("2.00", '"two dollars"'))
        with pytest.raises(SettingsError, match="input"):
            await made(prices=PriceSettings(file=wrong))


class TestStream:
    async def test_text_comes_as_it_is_written_and_the_bill_last(self, made: Any) -> None:
        service = await made(premium=PremiumSettings())
        service.local.replies.append(said(TRUE))
        events = await streamed(service, tier="local")
        assert "".join(data["text"] for name, data in events if name == "delta") == TRUE
        name, answer = events[-1]
        assert name == "answer"
        assert answer["cost"]["lines"][2]["model"] == "small"

    async def test_what_was_written_in_vain_is_called_back(self, made: Any) -> None:
        service = await made()
        service.local.replies.append(said(VAGUE))
        service.premium.replies.append(said(TRUE))
        events = await streamed(service)
        names = [name for name, _ in events]
        assert names.count("restart") == 1
        after = events[names.index("restart") + 1 :]
        assert "".join(data["text"] for name, data in after if name == "delta") == TRUE
        assert after[-1][1]["tier"] == "premium"


async def streamed(service: Made, **asked: Any) -> list[tuple[str, dict[str, Any]]]:
    body = {"question": QUESTION, "stream": True, **asked}
    text = (await service.client.post("/v1/answers", json=body)).text
    events = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields:
            events.append((fields["event"], json.loads(fields["data"])))
    return events
