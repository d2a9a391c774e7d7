"""GET /v1/dashboard: all numbers of the page; and the words of questions, kept only when asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_fakes import FakeApplication, MakeApplication, MakeClient
from keyed import make_keys
from pydantic import ValidationError
from sqlalchemy import select

from api.models.dashboard import DashboardIn
from api.settings import load_settings
from benchmarks.made_answers import write_answers
from generation.money.tables import ANSWERS
from generation.overview.asked import AskedQuestions
from rag.errors import SettingsError

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
OCTOBER = {"since": "2026-10-02", "until": "2026-10-31"}
KEEPING = {"dashboard": {"keep_questions": True, "keep_days": 3_650}}


@pytest.fixture
async def keeping(make_application: MakeApplication, make_client: MakeClient) -> httpx.AsyncClient:
    """A client of a service that keeps questions, over a month of answers."""
    application = make_application(KEEPING)
    write_answers(application.state, 600, days=30, until=UNTIL)
    write_answers(application.state, 50, days=30, until=UNTIL, seed=1, collection="other")
    return await make_client(application)


async def look(client: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    response = await client.get("/v1/dashboard", params={**OCTOBER, **asked})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_an_empty_service(client: httpx.AsyncClient) -> None:
    found = (await client.get("/v1/dashboard")).json()
    assert found["points"] == []
    assert found["total"]["answers"] == 0
    assert (found["total"]["spent_usd"], found["total"]["saved_usd"]) == ("0.000000", None)
    assert (found["dearest"], found["worst_rated"], found["unanswered"]) == ([], [], [])
    assert (found["judged"], found["wrong"], found["walls"]) == (0, 0, [])
    assert found["keeps_questions"] is False
    assert found["collections"] == ["default"]
    assert [job["state"] for job in found["jobs"]] == ["done"]
    days = datetime.fromisoformat(found["until"]) - datetime.fromisoformat(found["since"])
    assert (days, found["step"]) == (timedelta(days=29), "day")
    assert {number["level"] for number in found["drift"]["numbers"]} == {None}


async def test_a_month(keeping: httpx.AsyncClient) -> None:
    found = await look(keeping)
    assert (found["since"], found["until"]) == tuple(OCTOBER.values())
    total, points = found["total"], found["points"]
    assert sum(point["answers"] for point in points) == total["answers"] == 650
    assert sum(total["tiers"].values()) == sum(total["statuses"].values()) == 650
    assert set(total["tiers"]) == {"cache", "extractive", "local", "premium"}
    assert [point["start"] for point in points] == sorted(point["start"] for point in points)
    assert 0 < total["p50_ms"] < total["p95_ms"]
    costs = (await keeping.get("/v1/costs", params=OCTOBER)).json()["total"]
    for name in ("spent_usd", "baseline_usd", "saved_usd"):
        assert total[name] == costs[name]
    assert len(found["dearest"]) == 10
    assert {line["question"] for line in found["unanswered"]} >= {"Is there a shop in Vienna?"}
    assert found["judged"] >= found["wrong"] == len(found["worst_rated"]) > 0
    assert found["drift"]["reference"]["since"] == "2026-10-18"
    assert found["drift"]["latest"]["since"] == "2026-10-25"
    assert found["drift"]["topics"][0]["title"] is None, "there is no such document"


async def test_of_one_collection(keeping: httpx.AsyncClient) -> None:
    assert (await look(keeping, collection="other"))["total"]["answers"] == 50
    assert (await look(keeping, collection="unknown"))["total"]["answers"] == 0
    assert (await look(keeping, tenant="acme"))["total"]["answers"] == 0


async def test_few_days_are_shown_by_the_hour(keeping: httpx.AsyncClient) -> None:
    found = await look(keeping, since="2026-10-29")
    assert found["step"] == "hour"
    assert all(len(point["start"]) == len("2026-10-29T12") for point in found["points"])
    assert (await look(keeping, since="2026-10-28"))["step"] == "day"


async def test_another_reference_week(keeping: httpx.AsyncClient) -> None:
    found = await look(keeping, reference="2026-10-02")
    assert found["drift"]["reference"]["since"] == "2026-10-02"
    assert found["drift"]["latest"]["since"] == "2026-10-25"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"since": "yesterday"}, "give a day that exists"),
        ({"reference": "2026-02-30"}, "give a day that exists"),
        ({"since": "2026-11-02", "until": "2026-11-01"}, "give an earlier day as since"),
        ({"since": "2001-01-01", "until": "2026-11-01"}, "the limit is 1,100"),
        ({"by": "day"}, "by"),
    ],
)
async def test_what_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, asked: dict[str, str], said: str
) -> None:
    response = await client.get("/v1/dashboard", params=asked)
    assert response.status_code == 422
    assert said in response.text


async def test_words_are_kept_only_where_that_is_set(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    today = datetime.now(UTC)
    silent = make_application()
    write_answers(silent.state, 200, days=30, until=today)
    found = (await (await make_client(silent)).get("/v1/dashboard")).json()
    lines = found["dearest"] + found["worst_rated"] + found["unanswered"]
    assert lines
    assert {line["question"] for line in lines} == {None}
    assert AskedQuestions(silent.state).forget_all() == 0, "the start has deleted them"


async def test_questions_are_forgotten_and_the_audit_log_tells_how_many(
    keeping: httpx.AsyncClient,
) -> None:
    one = (await look(keeping))["dearest"][0]
    response = await keeping.delete("/v1/questions", params={"answer_id": one["id"]})
    assert response.json() == {"status": "forgotten", "questions": 1}
    assert (await look(keeping))["dearest"][0] == one | {"question": None}
    assert (await keeping.delete("/v1/questions")).json()["questions"] == 649
    entries = (await keeping.get("/v1/audit")).json()["entries"]
    assert [(entry["action"], entry["object"]) for entry in entries] == [
        ("question.forget", "questions: 649"),
        ("question.forget", "questions: 1"),
    ]
    assert {line["question"] for line in (await look(keeping))["dearest"]} == {None}


async def test_old_questions_are_deleted_when_someone_looks(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application({"dashboard": {"keep_questions": True, "keep_days": 1}})
    write_answers(application.state, 50, days=30, until=UNTIL)
    await look(await make_client(application))
    assert AskedQuestions(application.state).forget_all() == 0


async def test_a_tenant_sees_its_own_alone(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application(KEEPING)
    for seed, (collection, count) in enumerate(
        {"default": 90, "acme:help": 40, "bolt:a": 50}.items()
    ):
        write_answers(
            application.state, count, days=30, until=UNTIL, seed=seed, collection=collection
        )
    keys, client = make_keys(application), await make_client(application)

    async def look_as(name: str, status: int = 200, **asked: str) -> Any:
        headers = {"authorization": keys[name]}
        response = await client.get("/v1/dashboard", params={**OCTOBER, **asked}, headers=headers)
        assert response.status_code == status, response.text
        return response.json()

    found = {name: await look_as(name) for name in ("root", "acme", "bolt")}
    answers = {name: one["total"]["answers"] for name, one in found.items()}
    assert answers == {"root": 180, "acme": 40, "bolt": 50}
    shown = [*found["acme"]["unanswered"], *found["acme"]["dearest"], *found["acme"]["worst_rated"]]
    assert {line["collection"] for line in shown} == {"help"}
    assert {one["collection"] for one in found["acme"]["drift"]["topics"]} == {"help"}
    assert (found["acme"]["collections"], found["acme"]["jobs"]) == ([], [])
    costs = await client.get("/v1/costs", params=OCTOBER, headers={"authorization": keys["acme"]})
    for name in ("spent_usd", "baseline_usd", "saved_usd"):
        assert found["acme"]["total"][name] == costs.json()["total"][name]
    assert {wall["scope"] for wall in found["acme"]["walls"]} <= {"tenant", "key"}
    assert (await look_as("acme", collection="help"))["total"]["answers"] == 40
    assert (await look_as("acme", tenant="acme"))["total"]["answers"] == 40
    assert "is none of them" in (await look_as("acme", 403, collection="bolt:a"))["detail"]
    refused = [(await look_as("acme", 403, tenant=name))["detail"] for name in ("bolt", "nope")]
    assert refused[0] == refused[1].replace("nope", "bolt")
    assert (await look_as("root", tenant="bolt"))["total"]["answers"] == 50
    for name in ("desk", "loader"):
        assert "needs one of admin" in (await look_as(name, 403))["detail"]


async def test_a_tenant_forgets_its_own_questions_alone(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    application = make_application(KEEPING)
    for seed, collection in enumerate(("acme:help", "bolt:a")):
        write_answers(application.state, 40, days=30, until=UNTIL, seed=seed, collection=collection)
    keys, client = make_keys(application), await make_client(application)
    with application.state.connect() as connection:
        query = select(ANSWERS.c.answer_id)
        theirs = list(connection.scalars(query.where(ANSWERS.c.tenant == "bolt")))

    async def forget(name: str, *answer_ids: str) -> int:
        given = {
            "params": {"answer_id": list(answer_ids)},
            "headers": {"authorization": keys[name]},
        }
        response = await client.delete("/v1/questions", **given)
        assert response.status_code == 200, response.text
        return int(response.json()["questions"])

    assert await forget("acme", *theirs, "never_was") == 0
    assert await forget("acme") == 40
    assert await forget("bolt", theirs[0]) == 1
    assert await forget("root") == 39


async def test_the_page_is_served(client: httpx.AsyncClient) -> None:
    response = await client.get("/dashboard")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-cache"


def test_days_to_keep_have_limits(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"dashboard\.keep_days is 0"):
        load_settings({"data_dir": tmp_path, "dashboard": {"keep_days": 0}})
    with pytest.raises(ValidationError):
        DashboardIn(nonsense=1)  # type: ignore[call-arg]


async def test_the_dashboard_of_a_gone_document(
    application: FakeApplication, client: httpx.AsyncClient
) -> None:
    ids = [row["document_id"] for row in (await client.get("/v1/documents")).json()["documents"]]
    write_answers(application.state, 400, days=30, until=UNTIL, documents=[*ids, "gone"])
    topics = (await look(client))["drift"]["topics"]
    titles = {topic["document_id"]: topic["title"] for topic in topics}
    assert titles["gone"] is None
    assert all(titles[name] for name in ids if name in titles)
