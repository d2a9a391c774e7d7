"""An experiment as its users meet it: a real service, and a model server on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai_server import OpenAIServer, Stream, running_openai_server

from api.assembly.conversing import Pseudonyms
from api.assembly.experimenting import looked_at
from api.audit.log import AuditLog, Deed
from api.build import Application, build_around, embedding
from api.http.app import create_app
from api.settings import Settings, load_settings
from generation.experiments.assignment import assign

WARM = "Be warm."
PAGE = "# Refunds\n\nA refund takes five business days and goes to the card that paid.\n"
QUESTION = "When do I see my money again after I sent a thing back?"
TRUE = "A refund takes five business days and goes to the card that paid [1]."
ARMS = {"warm": {"share": 0.5, "set": {"answers": {"instructions": WARM}}}}


@dataclass
class Made:
    settings: Settings
    application: Application
    client: httpx.AsyncClient
    local: OpenAIServer

    async def ask(self, conversation: str, **asked: Any) -> dict[str, Any]:
        self.local.replies.append(Stream([TRUE]))
        body = {"question": QUESTION, "conversation_id": conversation, **asked}
        response = await self.client.post("/v1/answers", json=body)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def conversations(self, arm: str, count: int) -> list[str]:
        """The first `count` that an arm serves."""
        experiment = self.application.experimenting.experiment  # type: ignore[union-attr]
        inside = Pseudonyms(self.application.state)
        names = (f"conversation {number}" for number in range(10_000))
        served = (name for name in names if assign(experiment, inside.of("", name)) == arm)
        return [next(served) for _ in range(count)]

    def was_warm(self) -> bool:
        """Whether the last prompt held the instructions of the arm."""
        return WARM in self.local.chats[-1].body["messages"][0]["content"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@asynccontextmanager
async def serving(
    folder: Path, model: Any, experiment: Mapping[str, Any], **groups: Any
) -> AsyncIterator[Made]:
    (folder / "refunds.md").write_text(PAGE)
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(running_openai_server())
        settings = load_settings(
            {
                "data_dir": folder / "data",
                "local": {"base_url": local.base_url, "gpu_usd_per_hour": "3.6"},
                "answers": {"escalate_below": 1.0, "abstain_below": 0.01},
                "experiment": experiment,
            }
            | groups
        )
        application = build_around(settings, *model)
        app = create_app(application)
        await application.ingestion.ingest([str(folder / "refunds.md")], "default")
        transport = httpx.ASGITransport(app=app)
        client = await stack.enter_async_context(
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")
        )
        yield Made(settings, application, client, local)
        await app.state.service.close()


async def test_a_conversation_stays_with_its_arm_and_every_answer_tells_it(
    tmp_path: Path, model: Any
) -> None:
    async with serving(tmp_path, model, {"name": "tone", "arms": ARMS}) as made:
        for arm, is_warm in (("warm", True), ("control", False)):
            [conversation] = made.conversations(arm, 1)
            for _ in range(2):
                answer = await made.ask(conversation, fresh=False)
                assert answer["arm"] == f"tone/{arm}"
            assert made.was_warm() is is_warm
        outside = await made.ask(conversation, fresh=True)
        assert outside["arm"] is None, "an answer that has to be fresh takes no part"
        _, [control, warm] = looked_at(made.settings)
        assert (control.record.answers, warm.record.answers) == (2, 2)


async def test_no_arm_is_given_what_another_has_written(tmp_path: Path, model: Any) -> None:
    keep_all = {"reuse": {"min_confidence": 0.0}}
    async with serving(tmp_path, model, {"name": "tone", "arms": ARMS}, **keep_all) as made:
        [cold], [warm, other] = made.conversations("control", 1), made.conversations("warm", 2)
        tiers = [(await made.ask(conversation))["tier"] for conversation in (cold, warm, other)]
        assert tiers == ["local", "local", "cache"]


async def test_an_arm_that_is_proven_worse_is_stopped_and_its_conversations_go_on(
    tmp_path: Path, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    nothing_kept = {"reuse": {"enabled": False}}
    async with serving(tmp_path, model, {"name": "tone", "arms": ARMS}, **nothing_kept) as made:
        warm, cold = made.conversations("warm", 12), made.conversations("control", 12)
        for pair in zip(warm, cold, strict=True):
            for conversation, verdict in zip(pair, ("wrong", "right"), strict=True):
                answer = await made.ask(conversation)
                told = {"answer_id": answer["id"], "verdict": verdict}
                response = await made.client.post("/v1/feedback", json=told)
                assert response.status_code == 200, response.text
        assert "the arm warm of experiment tone was stopped: worse than control" in caplog.text
        [stop] = AuditLog(made.application.state).entries(None, 10)
        assert stop.deed == Deed("(experiment)", "", "experiment.stop_arm", "tone/warm")
        assert (await made.ask(warm[0]))["arm"] == "tone/control"
        assert not made.was_warm()
        _, [_, stopped] = looked_at(made.settings)
        assert stopped.state == "stopped"
        assert stopped.record.answers < 12, "it was stopped before the last of them"


async def test_an_arm_may_have_a_server_of_its_own(tmp_path: Path, model: Any) -> None:
    async with running_openai_server() as other:
        arms = {"other": {"share": 0.5, "set": {"local": {"base_url": other.base_url}}}}
        async with serving(tmp_path, model, {"name": "server", "arms": arms}) as made:
            other.replies.append(Stream([TRUE]))
            [conversation] = made.conversations("other", 1)
            assert (await made.ask(conversation))["arm"] == "server/other"
            assert len(other.chats) == 1
            assert made.local.chats == []


async def test_an_arm_that_is_too_dear_is_stopped_though_nobody_gives_a_verdict(
    tmp_path: Path, model: Any
) -> None:
    """It asks a model on a GPU that costs money, and the control only quotes."""
    quotes = {"answers": {"escalate_below": 0.0, "abstain_below": 0.0}}
    arms = {"dear": {"share": 0.5, "set": {"answers": {"escalate_below": 1.0}}}}
    experiment = {"name": "dear", "arms": arms, "max_cost_ratio": 2.0}
    nothing_kept = {"reuse": {"enabled": False}}
    async with serving(tmp_path, model, experiment, **quotes, **nothing_kept) as made:
        arms_seen = []
        for number in range(1_000):
            arms_seen.append((await made.ask(f"person {number}"))["arm"])
            if arms_seen[-50:].count("dear/control") == 50:
                break
        assert arms_seen.count("dear/dear") >= 100
        assert arms_seen[-50:] == ["dear/control"] * 50
        _, [_, dear] = looked_at(made.settings)
        assert "above the limit" in dear.says
