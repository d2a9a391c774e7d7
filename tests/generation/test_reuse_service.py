"""Reuse as its users meet it: the real service with the real model, which quotes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from api.assembly.reusing import made_by
from api.build import Application, build_around, embedding
from api.doors.door import LocalDoor
from api.fitting.evaluating import DoorSystem
from api.http.app import create_app
from api.setting_groups.answers import AnswerSettings, RetrievalSettings, ReuseSettings
from api.setting_groups.models import DecisionSettings
from api.setting_groups.server import LogSettings
from api.settings import Settings
from evaluation.questions import EvaluationQuestion
from generation.deciding.feedback import Feedback
from generation.reuse.tables import KEPT_ANSWERS

QUESTION = "How many business days does a refund take?"
PAGES = {
    "refunds": "A refund takes five business days and goes to the card that paid.",
    "hours": "The shop opens at nine in the morning on weekdays.",
}
ALL = ReuseSettings(min_confidence=0.0)


class Service:
    def __init__(self, application: Application, client: httpx.AsyncClient) -> None:
        self.application = application
        self.client = client

    async def ask(self, question: str = QUESTION, **asked: Any) -> dict[str, Any]:
        response = await self.client.post("/v1/answers", json={"question": question, **asked})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    @property
    def kept(self) -> int:
        with self.application.state.connect() as connection:
            return connection.scalar(select(func.count()).select_from(KEPT_ANSWERS)) or 0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
async def service(
    request: pytest.FixtureRequest, tmp_path: Path, model: Any
) -> AsyncIterator[Service]:
    """By the settings of decision that a test names."""
    decision = getattr(request, "param", DecisionSettings())
    settings = Settings(data_dir=tmp_path / "data", reuse=ALL, decision=decision)
    application = build_around(settings, *model)
    for name, text in PAGES.items():
        (tmp_path / f"{name}.md").write_text(f"# {name}\n\n{text}\n")
    await application.ingestion.ingest([str(tmp_path / f"{name}.md") for name in PAGES], "default")
    app = create_app(application)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        yield Service(application, client)
    await app.state.service.close()


async def test_the_second_answer_is_a_kept_one_and_free(service: Service) -> None:
    first, second = await service.ask(), await service.ask()
    assert (first["tier"], second["tier"]) == ("extractive", "cache")
    assert second["answer"] == first["answer"]
    assert second["citations"] == first["citations"]
    assert [line["stage"] for line in second["cost"]["lines"]] == ["reuse"]
    assert second["cost"]["saved_usd"] == first["cost"]["baseline_usd"]
    by_tier = (await service.client.get("/v1/costs", params={"by": "tier"})).json()["rows"]
    assert {row["name"]: row["answers"] for row in by_tier} == {"cache": 1, "extractive": 1}


async def test_other_words_get_it_too_and_another_number_does_not(service: Service) -> None:
    kept = await service.ask()
    others = [
        "How many business days will a refund take?",
        "How many business days do refunds take?",
        "Within how many business days will I get a refund?",
        "A refund takes how many business days?",
    ]
    again = [await service.ask(question) for question in others]
    given = [one for one in again if one["tier"] == "cache"]
    assert given, "now and then one is made afresh to learn from, and not all"
    assert given[0]["answer"] == kept["answer"]
    assert 0.9 * kept["confidence"] < given[0]["confidence"] < kept["confidence"]
    assert (await service.ask("How many business days do 2 refunds take?"))["tier"] != "cache"


@pytest.mark.parametrize("service", [DecisionSettings(error_usd=1)], indirect=True)
async def test_where_an_error_is_dear_a_quote_is_rather_made_anew(service: Service) -> None:
    await service.ask()
    assert (await service.ask("How many business days will a refund take?"))["tier"] != "cache"
    assert (await service.ask())["tier"] == "cache", "the same words risk nothing"


async def test_a_stream_of_a_kept_answer_is_whole(service: Service) -> None:
    answer = (await service.ask())["answer"]
    body = {"question": QUESTION, "stream": True}
    text = (await service.client.post("/v1/answers", json=body)).text
    assert '"tier":"cache"' in text
    assert text.count("event: delta") >= 1
    assert answer.split(" [1]")[0][:20] in text


async def test_forgetting_a_document_shows_how_many_answers_went_with_it(service: Service) -> None:
    answer = await service.ask()
    document = answer["citations"][0]["document_id"]
    proof = (await service.client.delete(f"/v1/documents/{document}")).json()
    assert (proof["answers_removed"], service.kept) == (1, 0)
    assert (await service.ask())["tier"] != "cache"


async def test_an_edited_file_takes_its_answers_with_it(service: Service, tmp_path: Path) -> None:
    await service.ask()
    page = tmp_path / "refunds.md"
    page.write_text(page.read_text().replace("five", "nine"))
    await service.application.ingestion.ingest([str(page)], "default")
    assert service.kept == 0
    assert "nine" in (await service.ask())["answer"]


async def test_a_removed_file_does_so_at_the_next_sync(service: Service, tmp_path: Path) -> None:
    await service.ask()
    (tmp_path / "refunds.md").unlink()
    await service.application.ingestion.ingest_and_sync([str(tmp_path / "*.md")], "default")
    assert service.kept == 0


async def test_who_wants_a_fresh_answer_gets_one(service: Service) -> None:
    await service.ask()
    assert (await service.ask(fresh=True))["tier"] == "extractive"
    response = await service.client.post("/v1/answers", json={"question": "q", "fresh": "yes"})
    assert response.status_code == 422


async def test_nobody_can_ask_the_tier_of_kept_answers(service: Service) -> None:
    body = {"question": QUESTION, "tier": "cache"}
    response = await service.client.post("/v1/answers", json=body)
    assert response.status_code == 422
    assert "give extractive" in response.json()["detail"]


async def test_an_evaluation_neither_gets_kept_answers_nor_keeps_its_own(service: Service) -> None:
    system = DoorSystem(LocalDoor(service.application), service.application.settings)
    asked = EvaluationQuestion("q1", QUESTION)
    assert (await system.ask(asked)).tier == "extractive"
    assert service.kept == 0
    await service.ask()
    assert (await system.ask(asked)).tier == "extractive"


async def test_it_can_be_turned_off(tmp_path: Path, model: Any) -> None:
    settings = Settings(data_dir=tmp_path / "data", reuse=ReuseSettings(enabled=False))
    application = build_around(settings, *model)
    assert application.pipeline._answerer._reuse is None
    await application.close()


def test_what_can_change_an_answer_changes_what_it_is_bound_to(tmp_path: Path) -> None:
    plain = Settings(data_dir=tmp_path)
    bound = made_by(plain, ["model"])
    assert bound == made_by(Settings(data_dir=tmp_path / "other"), ["model"])
    assert bound == made_by(Settings(data_dir=tmp_path, log=LogSettings(questions=True)), ["model"])
    others = [
        made_by(plain, ["another model"]),
        made_by(Settings(data_dir=tmp_path, retrieval=RetrievalSettings(chunks=5)), ["model"]),
        made_by(Settings(data_dir=tmp_path, answers=AnswerSettings(abstain_below=0.5)), ["model"]),
    ]
    assert len({bound, *others}) == 4


class TestFeedback:
    async def test_what_is_said_to_be_wrong_is_not_given_again(self, service: Service) -> None:
        first = await service.ask()
        again = await service.ask()
        assert again["tier"] == "cache"
        told = {"answer_id": again["id"], "verdict": "wrong"}
        response = await service.client.post("/v1/feedback", json=told)
        assert (response.status_code, response.json()) == (
            200,
            told | {"use": None, "correction": None},
        )
        assert service.kept == 0
        assert (await service.ask())["tier"] == first["tier"] != "cache"

    async def test_the_last_verdict_is_the_one_that_is_kept(self, service: Service) -> None:
        answer = await service.ask()
        for verdict in ("wrong", "right"):
            told = {"answer_id": answer["id"], "verdict": verdict}
            assert (await service.client.post("/v1/feedback", json=told)).status_code == 200
        assert Feedback(service.application.state).verdicts() == {answer["id"]: True}

    async def test_what_became_of_an_answer_is_told_without_a_verdict(
        self, service: Service
    ) -> None:
        answer = await service.ask()
        told = {"answer_id": answer["id"], "use": "edited"}
        response = await service.client.post("/v1/feedback", json=told)
        assert (response.status_code, response.json()) == (
            200,
            told | {"verdict": None, "correction": None},
        )
        assert Feedback(service.application.state).verdicts() == {}
        assert (await service.ask())["tier"] == "cache", "nobody has said that it was wrong"

    @pytest.mark.parametrize(
        ("told", "status", "detail"),
        [
            ({"answer_id": "ans_nobody", "verdict": "right"}, 404, "there is no answer"),
            ({"answer_id": "ans_1", "verdict": "perhaps"}, 422, "'right' or 'wrong'"),
            ({"answer_id": "ans_1", "use": "eaten"}, 422, "'used', 'edited' or 'ignored'"),
            ({"answer_id": "ans_1"}, 422, "nothing is said of the answer: give verdict (right,"),
            ({"verdict": "right"}, 422, "answer_id"),
            ({"answer_id": "ans_1", "verdict": "right", "stars": 5}, 422, "no such field"),
        ],
    )
    async def test_a_verdict_that_does_not_fit_is_told(
        self, service: Service, told: dict[str, Any], status: int, detail: str
    ) -> None:
        response = await service.client.post("/v1/feedback", json=told)
        assert response.status_code == status
        assert detail in response.text
