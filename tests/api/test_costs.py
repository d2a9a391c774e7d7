"""GET /v1/costs and what both doors tell of spending."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_fakes import FakeApplication, MakeApplication, MakeClient, client_of
from spent import SPENT, Spent, judge_reuse, write

from api.doors.door import Door, LocalDoor
from api.doors.through_service import RemoteDoor
from api.models.costs import CostsIn, CostsOut
from api.reports.spending import look_up_costs
from generation.money.budgets import Walls
from generation.money.ledger import utc_now
from rag.errors import InputError

NOVEMBER = {"since": "2026-11-01", "until": "2026-11-30"}


@pytest.fixture(params=["local", "remote"])
async def door(request: pytest.FixtureRequest, application: FakeApplication) -> AsyncIterator[Door]:
    await write(application.state)
    if request.param == "local":
        yield LocalDoor(application)  # type: ignore[arg-type]
        return
    async with client_of(application) as client:
        yield RemoteDoor(client)
        app = client._transport.app  # type: ignore[attr-defined]
        await app.state.service.jobs.close()


async def november(door: Door, **asked: Any) -> CostsOut:
    return await door.costs(CostsIn.model_validate({**NOVEMBER, **asked}))


async def test_by_day(door: Door) -> None:
    costs = await november(door)
    assert (costs.since, costs.until, costs.by) == (date(2026, 11, 1), date(2026, 11, 30), "day")
    assert [row.name for row in costs.rows] == ["2026-11-01", "2026-11-02", "2026-11-04"]
    assert costs.rows[1].model_dump() == {
        "name": "2026-11-02",
        "calls": 2,
        "answers": 2,
        "input_tokens": 900,
        "cached_input_tokens": 300,
        "output_tokens": 120,
        "spent_usd": "0.003000",
        "unknown_calls": 1,
        "unknown_at_most_usd": "0.007100",
        "baseline_usd": "0.008000",
        "saved_usd": "-0.002100",
        "watt_hours": 0.25,
    }
    assert costs.total.model_dump() == {
        "name": "total",
        "calls": 3,
        "answers": 4,
        "input_tokens": 1800,
        "cached_input_tokens": 600,
        "output_tokens": 240,
        "spent_usd": "0.003020",
        "unknown_calls": 1,
        "unknown_at_most_usd": "0.007100",
        "baseline_usd": "0.016000",
        "saved_usd": "0.005880",
        "watt_hours": 0.25,
    }


@pytest.mark.parametrize(
    ("by", "spent"),
    [
        ("key", {"": "0.000020", "chat": "0.003000"}),
        ("tenant", {"acme": "0.003000", "globex": "0.000020"}),
        ("tier", {"extractive": "0.000000", "local": "0.000020", "premium": "0.003000"}),
        ("collection", {"help": "0.003020"}),
        ("stage", {"generate": "0.003020"}),
        ("model", {"=llama": "0.000020", "gpt-x": "0.003000"}),
    ],
)
async def test_every_grouping_has_the_same_total(
    door: Door, by: str, spent: dict[str, str]
) -> None:
    costs = await november(door, by=by)
    assert {row.name: row.spent_usd for row in costs.rows} == spent
    assert costs.total == (await november(door)).total
    tells_of_answers = by not in ("stage", "model")
    for row in costs.rows:
        assert (row.answers is not None, row.baseline_usd is not None) == (tells_of_answers,) * 2


async def test_both_days_belong_to_the_time(door: Door) -> None:
    costs = await november(door, since="2026-11-02", until="2026-11-04")
    assert [row.name for row in costs.rows] == ["2026-11-02", "2026-11-04"]
    assert not (await november(door, since="2026-11-03", until="2026-11-03")).rows


async def test_an_empty_ledger(application: FakeApplication) -> None:
    costs = await LocalDoor(application).costs(CostsIn())  # type: ignore[arg-type]
    assert (costs.rows, costs.walls) == ([], [])
    assert (costs.total.answers, costs.total.spent_usd) == (0, "0.000000")
    assert (costs.total.baseline_usd, costs.total.saved_usd) == (None, None)


async def test_a_call_without_a_price_leaves_unknown_what_was_saved(
    application: FakeApplication,
) -> None:
    await write(application.state, [*SPENT, Spent("2026-11-05", "local", None, None)])
    total = (await november(LocalDoor(application))).total  # type: ignore[arg-type]
    assert (total.unknown_calls, total.unknown_at_most_usd, total.saved_usd) == (2, None, None)
    assert (total.spent_usd, total.baseline_usd) == ("0.003020", "0.020000")


def test_the_last_30_days_are_meant_unless_others_are_named() -> None:
    today = date(2026, 11, 20)
    assert CostsIn().days(today) == (date(2026, 10, 22), today)
    asked = CostsIn.model_validate({"until": "2026-03-01"})
    assert asked.days(today) == (date(2026, 1, 31), date(2026, 3, 1))
    asked = CostsIn.model_validate({"since": "2026-11-20"})
    assert asked.days(today) == (today, today)


async def test_today_is_among_them(application: FakeApplication) -> None:
    await write(application.state, [Spent(f"{utc_now():%Y-%m-%d}", "premium", "0.5")])
    costs = await LocalDoor(application).costs(CostsIn())  # type: ignore[arg-type]
    assert costs.total.spent_usd == "0.500000"


async def test_walls(make_application: MakeApplication) -> None:
    walls = Walls(day_usd=Decimal("0.02"), tenant_month_usd=Decimal(5), keys={"chat": (None, None)})
    application = make_application(walls=walls)
    await write(application.state)
    now = datetime(2026, 11, 2, 23, 59, tzinfo=UTC)
    costs = await look_up_costs(application, CostsIn(), now=now)  # type: ignore[arg-type]
    found = {(one.scope, one.name): one for one in costs.walls}
    assert set(found) == {("service", ""), ("tenant", "acme"), ("tenant", "globex")}
    assert found["service", ""].model_dump(mode="json") == {
        "scope": "service",
        "name": "",
        "period": "2026-11-02",
        "limit_usd": "0.020000",
        "spent_usd": "0.010100",  # what is unknown counts as the most that it can be
        "reserved_usd": "0.000000",
        "resets_at": "2026-11-03T00:00:00Z",
    }
    acme = found["tenant", "acme"]
    assert (acme.period, acme.spent_usd) == ("2026-11", "0.003000")
    assert f"{acme.resets_at:%Y-%m-%d}" == "2026-12-01"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=2026-11-02&until=2026-11-01", "since is 2026-11-02, and until is 2026-11-01: give"),
        ("since=2999-01-01", "since is 2999-01-01, and today is "),
        ("since=2026-02-30", "since: '2026-02-30' does not fit: give a day that exists, such as"),
        ("since=2026-2-3", "since: '2026-2-3' does not fit: give a day that exists"),
        ("since=20260203", "since: '20260203' does not fit: give a day that exists"),
        ("since=2026-11-01T00:00:00", "does not fit: give a day that exists"),
        ("since=1700000000", "since: '1700000000' does not fit: give a day that exists"),
        ("until=", "until: '' does not fit: give a day that exists"),
        ("until=%D9%A2026-01-01", "does not fit: give a day that exists"),
        (
            "until=0001-01-01",
            "until: '0001-01-01' does not fit: give a day from 2000-01-01 to 2999",
        ),
        ("until=9999-12-31", "give a day from 2000-01-01 to 2999-12-31"),
        ("by=hour", "by: 'hour' does not fit: input should be 'day', 'key', 'tenant', 'tier', "),
        ("by=day;DROP", "by: 'day;DROP' does not fit"),
        ("format=xml", "format: 'xml' does not fit: input should be 'json' or 'csv'"),
        ("from=2026-11-01", "from: there is no such field: correct or remove it"),
    ],
)
async def test_bad_input(
    application: FakeApplication, make_client: MakeClient, query: str, words: str
) -> None:
    response = await (await make_client(application)).get(f"/v1/costs?{query}")
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert words in response.json()["detail"]


async def test_errors_are_the_same_through_both_doors(door: Door) -> None:
    with pytest.raises(InputError, match=r"since is 2999-01-01, and today is .* give an earlier"):
        await door.costs(CostsIn(since=date(2999, 1, 1)))


async def rows_of_csv(client: httpx.AsyncClient, by: str) -> list[dict[str, str]]:
    response = await client.get("/v1/costs", params={**NOVEMBER, "by": by, "format": "csv"})
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    name = f"costs-by-{by}-2026-11-01-2026-11-30.csv"
    assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
    return list(csv.DictReader(io.StringIO(response.text, newline="")))


async def test_csv(application: FakeApplication, make_client: MakeClient) -> None:
    await write(application.state)
    client = await make_client(application)
    rows = await rows_of_csv(client, "day")
    assert [row["day"] for row in rows] == ["2026-11-01", "2026-11-02", "2026-11-04"]
    assert rows[1]["saved_usd"] == "-0.002100"  # a number is no formula
    assert rows[0]["watt_hours"] == ""
    assert [row["answers"] for row in await rows_of_csv(client, "stage")] == [""]
    empty = await client.get("/v1/costs?format=csv&until=2020-01-01")
    assert empty.text.count("\n") == 1
    assert empty.text.startswith("day,calls,answers,")


NAMES = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "＝1", 'a"b,c\nd', "ärger"]


async def test_no_name_becomes_a_formula(
    application: FakeApplication, make_client: MakeClient
) -> None:
    await write(application.state, [Spent("2026-11-01", "local", model=name) for name in NAMES])
    found = {row["model"] for row in await rows_of_csv(await make_client(application), "model")}
    assert found == {f"'{name}" for name in NAMES[:-2]} | set(NAMES[-2:])


async def test_an_unreadable_state_is_a_problem(
    application: FakeApplication, make_client: MakeClient, tmp_path: Path
) -> None:
    client = await make_client(application)
    with application.state.begin() as connection:
        connection.exec_driver_sql("DROP TABLE answers")
    response = await client.get("/v1/costs")
    assert response.status_code == 500
    assert "cannot be used: a table is missing" in response.json()["detail"]


AGAIN = Spent("2026-11-03", "cache", baseline="0.005")


async def test_what_was_given_again_and_how_much_of_it_was_wrong(
    door: Door, application: FakeApplication
) -> None:
    await write(application.state, [AGAIN])
    judge_reuse(application.state, "2026-11-03", right=6, wrong=1, compared=1)
    assert (await november(door)).reuse.model_dump() == {
        "given": 1,
        "of_all": 0.2,
        "saved_usd": "0.005000",
        "judged": 8,
        "wrong": 1,
        "wrong_share": 0.125,
        "wrong_at_most": 0.470679,  # by Clopper and Pearson
    }
    before = (await november(door, until="2026-11-02", by="model")).reuse
    assert (before.given, before.of_all, before.saved_usd) == (0, 0.0, None)
    assert (before.judged, before.wrong_share, before.wrong_at_most) == (0, None, None)
