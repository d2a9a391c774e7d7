"""/v1/batches and both doors to it: the real application, and a server of batches on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from batching_place import COPIED, PAGE, PRICES, QUESTION, TRUE, USD, answers_of, batch_server

from api.build import Application, build_around, embedding
from api.doors.door import COMMAND_LINE, Door, LocalDoor
from api.doors.through_service import RemoteDoor
from api.http.app import create_app
from api.keys.key import Key
from api.keys.records import KeyRecords
from api.models.batches import BatchIn
from api.models.inputs import KEY_HEADER
from api.setting_groups.models import BudgetSettings, PremiumSettings, PriceSettings
from api.settings import Settings
from rag.errors import InputError, NotFoundError

ASKED = {"questions": [{"id": "a", "question": QUESTION}, {"question": "Which days?"}]}


class Made:
    """An application with its server of batches, behind an HTTP client."""

    def __init__(self, application: Application, client: httpx.AsyncClient, server: Any) -> None:
        self.application, self.client, self.server = application, client, server

    async def post(self, body: Any = ASKED, **options: Any) -> httpx.Response:
        return await self.client.post("/v1/batches", json=body, **options)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The real embedding model, opened once."""
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


@pytest.fixture
async def made(tmp_path: Path, model: Any) -> AsyncIterator[Any]:
    """Makes services, and closes them. Nobody is sure of a quote, unless the settings say so."""
    (tmp_path / "prices.toml").write_text(PRICES)
    (tmp_path / "refunds.md").write_text(PAGE)
    async with AsyncExitStack() as stack:

        @asynccontextmanager
        async def serving(**groups: Any) -> AsyncIterator[Made]:
            server = await stack.enter_async_context(batch_server())
            chosen = {
                "premium": PremiumSettings(model="big", base_url=f"{server.url}/v1"),
                "prices": PriceSettings(file=tmp_path / "prices.toml"),
                "answers": {"escalate_below": 1.0, "abstain_below": 0.0},
            } | groups
            application = build_around(Settings(data_dir=tmp_path / "data", **chosen), *model)
            app = create_app(application)
            transport = httpx.ASGITransport(app=app)
            async with httpx.AsyncClient(
                transport=transport,
                base_url="http://127.0.0.1:8000",
                headers={KEY_HEADER: COMMAND_LINE},
            ) as client:
                await application.ingestion.ingest([str(tmp_path / "refunds.md")], "default")
                yield Made(application, client, server)
            await app.state.service.close()

        async def make(**options: Any) -> Made:
            return await stack.enter_async_context(serving(**options))

        yield make


async def test_a_batch_is_taken_told_of_and_collected(made: Any) -> None:
    service = await made()
    taken = await service.post()
    assert taken.status_code == 202, taken.text
    batch = taken.json()
    assert float(batch.pop("at_most_usd")) > 0
    path = f"/v1/batches/{batch.pop('id')}"
    assert batch == {"state": "submitted", "quoted": 0, "over_budget": 0, "waiting": 2}
    running = (await service.client.get(path)).json()
    assert (running["state"], running["total"], running["answers"]) == ("submitted", 2, None)
    answers_of(service.server, TRUE, "NO_ANSWER")
    ended = (await service.client.get(path)).json()
    assert (ended["state"], ended["answered"], ended["failed"]) == ("ended", 2, 0)
    first, second = ended["answers"]
    assert (first["question_id"], second["question_id"]) == ("a", "2")
    assert (first["status"], first["tier"], first["cost"]["total_usd"]) == (
        "answered",
        "premium",
        USD,
    )
    (citation,) = first["citations"]
    document = await service.client.get(f"/v1/documents/{citation['document_id']}")
    assert document.json()["text"][citation["start"] : citation["end"]] == citation["quote"]
    assert second["status"] == "abstained"
    costs = (await service.client.get("/v1/costs", params={"by": "key"})).json()
    assert (costs["rows"][0]["name"], costs["rows"][0]["spent_usd"]) == (COMMAND_LINE, "0.000812")
    assert costs["rows"][0]["answers"] == 2
    assert (await service.post()).json()["state"] == "ended"
    assert len(service.server.batches) == 1


async def test_a_forgotten_document_is_in_no_later_answer(made: Any) -> None:
    service = await made()
    path = f"/v1/batches/{(await service.post()).json()['id']}"
    documents = (await service.client.get("/v1/documents")).json()["documents"]
    await service.client.delete(f"/v1/documents/{documents[0]['document_id']}")
    answers_of(service.server, TRUE, TRUE)
    ended = (await service.client.get(path)).json()
    assert {answer["status"] for answer in ended["answers"]} == {"abstained"}
    assert "business days" not in str(ended)


async def test_another_asker_has_another_batch(made: Any) -> None:
    service = await made()
    mine = (await service.post()).json()["id"]
    theirs = (await service.post(headers={KEY_HEADER: "other"})).json()["id"]
    assert mine != theirs
    seen = await service.client.get(f"/v1/batches/{mine}", headers={KEY_HEADER: "other"})
    assert seen.status_code == 404


async def test_the_budget_of_the_batch(made: Any) -> None:
    service = await made(budgets=BudgetSettings())
    batch = (await service.post({**ASKED, "max_cost_usd": "0"})).json()
    assert (batch["state"], batch["quoted"], batch["over_budget"]) == ("ended", 2, 2)
    ended = (await service.client.get(f"/v1/batches/{batch['id']}")).json()
    assert {answer["status"] for answer in ended["answers"]} == {"degraded"}
    assert "max_cost_usd" in ended["answers"][0]["degraded_because"]
    assert service.server.batches == {}


async def test_what_can_be_quoted_is_not_sent(made: Any) -> None:
    service = await made(answers={"escalate_below": 0.5, "abstain_below": 0.0})
    batch = (await service.post({"questions": [{"question": COPIED}]})).json()
    assert (batch["state"], batch["quoted"], batch["waiting"]) == ("ended", 1, 0)
    ended = (await service.client.get(f"/v1/batches/{batch['id']}")).json()
    assert (ended["answers"][0]["tier"], ended["answers"][0]["status"]) == (
        "extractive",
        "answered",
    )


@pytest.mark.parametrize(
    ("premium", "status", "told"),
    [
        (PremiumSettings(), 422, "the premium tier is off"),
        (
            PremiumSettings(model="at-once", base_url="http://127.0.0.1:9/v1"),
            500,
            "no known batch price",
        ),
        (PremiumSettings(model="big", base_url="http://127.0.0.1:9/v1"), 503, "cannot be reached"),
    ],
)
async def test_where_no_batch_can_go(
    made: Any, premium: PremiumSettings, status: int, told: str
) -> None:
    service = await made(premium=premium)
    refused = await service.post()
    assert refused.status_code == status
    assert told in refused.json()["detail"]
    assert "\n" not in refused.json()["detail"]


BAD = (
    ({"questions": []}, "questions"),
    ({"questions": [{"question": "?"}] * 1_001}, "1000"),
    ({"questions": [{"id": "a", "question": "x"}, {"id": "a", "question": "y"}]}, "two"),
    ({"questions": [{"id": "2", "question": "x"}, {"question": "y"}]}, "'2'"),
    ({"questions": [{"question": "x", "tier": "local"}]}, "tier"),
    ({"questions": [{"question": " "}]}, "empty"),
    ({"questions": [{"question": "x"}], "max_cost_usd": -1}, "max_cost_usd"),
    ({"questions": [{"question": "x"}], "max_cost_usd": "NaN"}, "max_cost_usd"),
)


async def test_bad_input(made: Any) -> None:
    service = await made()
    for body, told in BAD:
        refused = await service.post(body)
        assert refused.status_code == 422, refused.text
        assert told in refused.json()["detail"]
    assert (await service.post({**ASKED, "collection": "none"})).status_code == 404
    assert (await service.client.get("/v1/batches/batch_none")).status_code == 404
    assert service.server.batches == {}


@pytest.mark.parametrize("kind", ["local", "remote"])
async def test_both_doors_open_the_same_batch(made: Any, kind: str) -> None:
    service = await made()
    doors: dict[str, Door] = {
        "local": LocalDoor(service.application),
        "remote": RemoteDoor(service.client),
    }
    asked = BatchIn.model_validate(ASKED)
    taken = await doors[kind].submit_batch(asked)
    assert [await door.submit_batch(asked) for door in doors.values()] == [taken, taken]
    answers_of(service.server, TRUE, TRUE)
    ended = await doors[kind].batch(taken.id)
    assert ended == await doors["local"].batch(taken.id) == await doors["remote"].batch(taken.id)
    with pytest.raises(NotFoundError):
        await doors[kind].batch("batch_none")


async def test_what_a_door_cannot_send(made: Any) -> None:
    service = await made(premium=PremiumSettings())
    for door in (LocalDoor(service.application), RemoteDoor(service.client)):
        with pytest.raises(InputError, match="premium tier is off"):
            await door.submit_batch(BatchIn.model_validate(ASKED))


async def test_a_batch_is_that_of_its_tenant_and_key(made: Any) -> None:
    service = await made()
    records = KeyRecords(service.application.state)
    tokens = [
        records.create(Key(name, frozenset({"admin"}), tenant=tenant))
        for name, tenant in (("root", ""), ("acme", "acme"), ("acme-2", "acme"), ("bolt", "bolt"))
    ]
    root, acme, second, bolt = [{"Authorization": f"Bearer {token}"} for token in tokens]
    own = await service.post(headers=acme)
    assert own.status_code == 404, "its own collection `default` holds nothing"
    assert "acme:" not in own.text
    batch = (await service.post(headers=root)).json()
    assert batch["state"] == "submitted"
    for path in (f"/v1/batches/{batch['id']}", f"/v1/batches/batch_{'0' * 32}"):
        for other in (acme, second, bolt):
            seen = await service.client.get(path, headers=other)
            assert seen.status_code == 404
            assert "acme:" not in seen.text
    path = f"/v1/batches/{batch['id']}"
    assert (await service.client.get(path, headers=root)).status_code == 200
