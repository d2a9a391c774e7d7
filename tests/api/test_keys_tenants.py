"""No tenant sees anything of another: every route, with every other tenant's ids."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from api_fakes import FakeApplication, MakeClient, finish
from keyed import KEYS, OTHER_PAGE, call, make_keys

from api.http.access.caller import Caller
from api.http.access.rights import RIGHTS
from api.keys.key import Key
from api.keys.reach import EVERYTHING, Reach
from rag.errors import AccessError

SECRETS = {
    "acme": "Acme keeps the golden anvil in the cellar.",
    "bolt": "Bolt hides the silver hammer in the attic.",
    "": "The operator stores the bronze bell in the tower.",
}
OWNERS = {"acme": "acme", "bolt": "bolt", "root": ""}
IDS = "the other's"


class World:
    """Three tenants, the operator one of them, each with a document, a job and an answer.

    All call their collection `help` and their document `secret`.
    """

    def __init__(self, client: httpx.AsyncClient, keys: dict[str, str]) -> None:
        self.client, self.keys = client, keys
        self.jobs: dict[str, str] = {}
        self.answers: dict[str, str] = {}

    async def fill(self, name: str) -> None:
        """Ingest and ask, with the key of this name."""
        tenant = OWNERS[name]
        document = {"id": "secret", "text": SECRETS[tenant]}
        body = {"collection": "help", "documents": [document, document | {"id": f"of-{name}"}]}
        accepted = await self.call("POST", "/v1/documents", name, json=body)
        assert accepted.status_code == 202, accepted.text
        own = {"authorization": self.keys[name]}
        self.client.headers.update(own)
        job = await finish(self.client, accepted)
        del self.client.headers["authorization"]
        assert job["state"] == "done"
        self.jobs[tenant] = job["id"]
        asked = {"question": SECRETS[tenant], "collection": "help", "conversation_id": "talk"}
        visitor = {"x-rag-visitor": "visitor1"}
        answer = (await self.call("POST", "/v1/answers", name, json=asked, **visitor)).json()
        assert answer["status"] == "answered"
        self.answers[tenant] = answer["id"]

    async def call(self, method: str, path: str, name: str, **options: Any) -> httpx.Response:
        """A request with the key of this name."""
        return await call(self.client, method, path, self.keys[name], **options)


@pytest.fixture
async def world(application: FakeApplication, make_client: MakeClient) -> World:
    world = World(await make_client(application), make_keys(application))
    for name in OWNERS:
        await world.fill(name)
    return world


def attempts(world: World, victim: str) -> dict[tuple[str, str], list[tuple[str, Any]]]:
    """Of each route, the paths and bodies that ask for what is the victim's."""
    names = {"acme": "acme:help", "bolt": "bolt:help", "": "help"}
    inside, owner = names[victim], {"acme": "acme", "bolt": "bolt", "": "root"}[victim]
    job, answer = world.jobs[victim], world.answers[victim]
    text = SECRETS[victim]
    asked = [{"question": text, "collection": one} for one in ("help", inside, "default")]
    messages = [{"role": "user", "content": text}]
    chats = [{"model": one["collection"], "messages": messages} for one in asked]
    document = {"id": "planted", "text": "planted"}
    queries = ("", "?collection=help", f"?collection={inside}")
    places = [f"/v1/documents/of-{owner}{query}" for query in queries]
    return {
        ("POST", "/v1/answers"): [("", one) for one in asked]
        + [("", one | {"stream": True}) for one in asked],
        ("POST", "/v1/search"): [("", one) for one in asked],
        ("POST", "/v1/context"): [("", one) for one in asked],
        ("POST", "/v1/chat/completions"): [("", one) for one in chats],
        ("GET", "/v1/models"): [("", None)],
        ("GET", "/v1/models/{model}"): [(f"/v1/models/{inside}", None)],
        ("GET", "/v1/documents"): [("", None), (f"/v1/documents?collection={inside}", None),
                                   ("/v1/documents?collection=help", None)],
        ("GET", "/v1/documents/{document_id:path}"): [(place, None) for place in places],
        ("DELETE", "/v1/documents/{document_id:path}"): [(place, None) for place in places],
        ("POST", "/v1/documents"): [("", {"documents": [document], "collection": inside})],
        ("GET", "/v1/jobs"): [("/v1/jobs?limit=1000", None)],
        ("GET", "/v1/jobs/{job_id}"): [(f"/v1/jobs/{job}", None)],
        ("DELETE", "/v1/jobs/{job_id}"): [(f"/v1/jobs/{job}", None)],
        ("POST", "/v1/jobs/{job_id}/retry"): [(f"/v1/jobs/{job}/retry", None)],
        ("DELETE", "/v1/conversations/{conversation_id:path}"): [
            (f"/v1/conversations/{one}", None) for one in ("talk", f"{victim}:talk")],
        ("DELETE", "/v1/visitors/{visitor}"): [("/v1/visitors/visitor1", None)],
        ("GET", "/v1/audit"): [("", None), ("/v1/audit?since=2026-01-01", None)],
        ("POST", "/v1/feedback"): [("", {"answer_id": answer, "verdict": "wrong"})],
        ("GET", "/v1/costs"): [(f"/v1/costs?by={by}", None)
                               for by in ("key", "tenant", "collection", "day")],
        ("GET", "/v1/dashboard"): [("", None)] + [
            (f"/v1/dashboard?{query}", None)
            for query in ("collection=help", f"collection={inside}", f"tenant={victim}")],
        ("DELETE", "/v1/questions"): [("", None), (f"/v1/questions?answer_id={answer}", None)],
        ("POST", "/v1/pins"): [
            ("", {"answer_id": answer}),
            ("", {"question": text, "answer": "planted [1].", "collection": inside,
                  "citations": [{"marker": 1, "document_id": f"of-{owner}", "quote": text}]})],
        ("GET", "/v1/pins"): [("", None), ("/v1/pins?collection=help", None),
                              (f"/v1/pins?collection={inside}", None)],
        ("DELETE", "/v1/pins/{pin_id}"): [(f"/v1/pins/{answer}", None)],
        ("GET", "/ready"): [("", None)],
        ("GET", "/metrics"): [("", None)],
    }  # fmt: skip


TELL_NOTHING = {
    ("GET", "/"), ("GET", "/dashboard"), ("GET", "/widget.js"), ("GET", "/health"),
    ("GET", "/openapi.json"),
    ("POST", "/v1/handoffs"),  # has no ids
    ("POST", "/v1/batches"), ("GET", "/v1/batches/{batch_id}"),  # tests/api/test_batches.py
}  # fmt: skip


def test_every_route_is_tried() -> None:
    world = World.__new__(World)
    world.jobs, world.answers = dict.fromkeys(SECRETS, "job_1"), dict.fromkeys(SECRETS, "ans_1")
    assert set(attempts(world, "acme")) | TELL_NOTHING == set(RIGHTS)


@pytest.mark.parametrize("victim", SECRETS)
@pytest.mark.parametrize("thief", ["acme", "bolt", "desk"])
async def test_nobody_sees_what_is_another_tenants(world: World, thief: str, victim: str) -> None:
    if KEYS[thief].tenant == victim:
        return
    owner = {"acme": "acme", "bolt": "bolt", "": "root"}[victim]
    hints = [
        SECRETS[victim][5:],
        f"of-{owner}",
        world.jobs[victim],
        f"{victim}:" if victim else "{",
    ]
    before = await everything_of(world, owner)
    for (method, route), tries in attempts(world, victim).items():
        for path, body in tries:
            got = await world.call(method, path or route, thief, json=body)
            assert got.status_code < 500, (route, got.text)
            is_told = got.status_code < 300 and "event: error" not in got.text
            told = got.text if is_told else ""  # a refusal repeats what the thief has said
            for hint in hints[: 4 if victim else 3]:
                assert hint not in told, (method, path or route, body, got.text)
    assert await everything_of(world, owner) == before


async def everything_of(world: World, owner: str) -> list[Any]:
    """What a tenant finds of its own, without what its own asking changes."""
    paths = ["/v1/documents", "/v1/jobs", "/v1/models", "/v1/documents/secret?collection=help"]
    paths.append("/v1/dashboard")
    found = [(await world.call("GET", path, owner)).json() for path in paths]
    if owner == "root":  # sees what the thief has done in its own collections
        found = [found[3]]
    return found


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
async def test_another_tenants_ids_are_told_as_ids_that_never_were(
    world: World, method: str
) -> None:
    made_up = f"job_{'0' * 32}"
    theirs = world.jobs["bolt"]
    suffix = "/retry" if method == "POST" else ""
    real = await world.call(method, f"/v1/jobs/{theirs}{suffix}", "acme")
    none = await world.call(method, f"/v1/jobs/{made_up}{suffix}", "acme")
    assert real.status_code == none.status_code == 404
    assert real.text.replace(theirs, IDS) == none.text.replace(made_up, IDS)


async def test_another_tenants_answers_and_documents_never_were(world: World) -> None:
    made_up = f"ans_{'0' * 32}"
    tries: list[tuple[str, str, Callable[[str], Any], str, str]] = [
        ("POST", "/v1/feedback", lambda one: {"answer_id": one, "verdict": "wrong"},
         world.answers["bolt"], made_up),
        ("GET", "/v1/documents/{}?collection=help", lambda _: None, "of-bolt", "of-nobody"),
        ("DELETE", "/v1/documents/{}?collection=help", lambda _: None, "of-bolt", "of-nobody"),
    ]  # fmt: skip
    for method, path, body, theirs, none in tries:
        told = []
        for one in (theirs, none):
            got = await world.call(method, path.format(one), "acme", json=body(one))
            assert got.status_code == 404, got.text
            told.append(got.text.replace(one, IDS))
        assert told[0] == told[1]
        assert "acme:" not in told[0]


async def test_another_tenants_conversation_never_was(world: World) -> None:
    path = "/v1/conversations/{}".format
    await world.call("DELETE", path("talk"), "acme")
    told = [
        (await world.call("DELETE", path(one), "acme")).text
        for one in ("talk", "bolt:talk", "never was")
    ]
    assert told[0] == told[1] == told[2]
    assert '"answers_unlinked":0' in told[0]
    other_collection = (await world.call("DELETE", path("talk"), "acme-faq")).json()
    assert other_collection["answers_unlinked"] == 0
    for name in ("bolt", "root"):
        assert (await world.call("DELETE", path("talk"), name)).json()["answers_unlinked"] == 1


async def test_another_tenants_visitor_never_was(world: World) -> None:
    assert (await world.call("DELETE", "/v1/visitors/visitor1", "desk")).status_code == 403
    told = [(await world.call("DELETE", "/v1/visitors/visitor1", name)).json()["answers_unlinked"]
            for name in ("acme", "acme", "bolt", "root", "root")]  # fmt: skip
    assert told == [1, 0, 1, 1, 0]


async def test_the_audit_log_is_that_of_the_tenant(world: World) -> None:
    assert (await world.call("GET", "/v1/audit", "desk")).status_code == 403
    for name in ("acme", "bolt"):
        gone = await world.call("DELETE", "/v1/documents/secret?collection=help", name)
        assert gone.status_code == 200
        await world.call("DELETE", "/v1/visitors/visitor1", name)
    own = (await world.call("GET", "/v1/audit", "acme")).json()["entries"]
    deeds = [(one["actor"], one["action"], one["object"]) for one in own]
    words = (
        "turns: 0, kept answers: 0, lessons: 0, corrections: 0, dashboard questions: 0, answers: 1"
    )
    assert deeds[:2] == [
        ("acme", "visitor.forget", words),
        ("acme", "document.forget", "help/secret"),
    ]
    assert {one["tenant"] for one in own} == {"acme"}
    every = (await world.call("GET", "/v1/audit", "root")).json()["entries"]
    assert {one["tenant"] for one in every} == {"acme", "bolt", ""}
    assert "visitor1" not in str(every)


async def test_a_tenant_sees_its_own_under_the_names_that_it_gave(world: World) -> None:
    documents = (await world.call("GET", "/v1/documents", "acme")).json()["documents"]
    assert {one["collection"] for one in documents} == {"help"}
    [job] = (await world.call("GET", "/v1/jobs", "acme")).json()["jobs"]
    assert job["collection"] == "help"
    report = (await world.call("GET", f"/v1/jobs/{job['id']}", "acme")).json()["report"]
    assert report["collection"] == "help"
    models = (await world.call("GET", "/v1/models", "acme")).json()["data"]
    assert [one["id"] for one in models] == ["help"]
    missing = {"question": "x", "collection": "nothing"}
    got = await world.call("POST", "/v1/answers", "acme", json=missing)
    assert got.status_code == 404
    assert "acme:" not in got.text


async def test_the_operator_sees_all_and_may_name_it(world: World) -> None:
    documents = (await world.call("GET", "/v1/documents", "root")).json()["documents"]
    assert {one["collection"] for one in documents} == {"help", "acme:help", "bolt:help"}
    path = "/v1/documents/of-acme?collection=acme:help"
    assert (await world.call("GET", path, "root")).json()["text"] == SECRETS["acme"]
    assert len((await world.call("GET", "/v1/jobs", "root")).json()["jobs"]) == 3
    assert "acme:help" in (await world.call("GET", "/metrics", "root")).text


async def test_costs_are_those_of_the_tenant(world: World) -> None:
    rows = {}
    for name in OWNERS:
        costs = (await world.call("GET", "/v1/costs?by=key", name)).json()
        rows[name] = {row["name"]: row["answers"] for row in costs["rows"]}
        assert costs["total"]["answers"] == sum(rows[name].values())
    assert rows == {"acme": {"acme": 1}, "bolt": {"bolt": 1}, "root": dict.fromkeys(OWNERS, 1)}
    named = (await world.call("GET", "/v1/costs?by=collection", "acme")).json()["rows"]
    assert [row["name"] for row in named] == ["help"]


async def test_a_key_is_for_its_collections(world: World) -> None:
    for collection, name in (("help", "acme-faq"), ("faq", "acme-site"), ("default", "acme-site")):
        page = {"origin": OTHER_PAGE} if name == "acme-site" else {}
        asked = {"question": "x", "collection": collection}
        got = await world.call("POST", "/v1/answers", name, json=asked, **page)
        assert got.status_code == 403
        assert f"{collection!r} is none of them" in got.json()["detail"]
    only = await world.call("POST", "/v1/answers", "acme-site", json={"question": SECRETS["acme"]},
                            origin=OTHER_PAGE)  # fmt: skip
    assert only.json()["citations"][0]["quote"] == SECRETS["acme"]
    assert (await world.call("GET", "/v1/documents", "acme-faq")).json() == {"documents": []}
    assert (await world.call("GET", "/v1/jobs", "acme-faq")).json() == {"jobs": []}
    mine = f"/v1/jobs/{world.jobs['acme']}"
    assert (await world.call("GET", mine, "acme-faq")).status_code == 404


async def test_how_long_it_takes_tells_nothing(world: World) -> None:
    """A tenant's id and one that never was, in turns: the medians are alike."""
    paths = [f"/v1/jobs/{world.jobs['bolt']}", f"/v1/jobs/job_{'0' * 32}"]
    taken: dict[str, list[float]] = {path: [] for path in paths}
    for _ in range(40):
        for path in paths:
            started = time.perf_counter()
            await world.call("GET", path, "acme")
            taken[path].append(time.perf_counter() - started)
    medians = [statistics.median(one) for one in taken.values()]
    assert max(medians) < 1.5 * min(medians), medians


# The names


def test_no_two_collections_have_the_same_name_inside() -> None:
    acme, operator = Reach("acme"), Reach("")
    assert acme.inside("help") == "acme:help"
    assert operator.inside("help") == EVERYTHING.inside("help") == "help"
    assert EVERYTHING.inside("acme:help") == "acme:help"
    for reach in (acme, operator, Reach("bolt", ("help",))):
        with pytest.raises(AccessError, match="'acme:help' is none of them"):
            reach.inside("acme:help")


@pytest.mark.parametrize(
    ("reach", "seen"),
    [
        (EVERYTHING, {"help", "faq", "acme:help", "acme:faq", "acm:help", "acme2:help"}),
        (Reach(""), {"help", "faq"}),
        (Reach("", ("faq",)), {"faq"}),
        (Reach("acme"), {"acme:help", "acme:faq"}),
        (Reach("acme", ("help",)), {"acme:help"}),
        (Reach("acm_"), set()),
        (Reach("", ()), set()),
    ],
)
def test_what_is_in_reach(application: FakeApplication, reach: Reach, seen: set[str]) -> None:
    from sqlalchemy import insert, select

    from generation.reuse.tables import REUSES

    names = {"help", "faq", "acme:help", "acme:faq", "acm:help", "acme2:help"}
    assert {name for name in names if reach.has(name)} == seen
    row = {"entry_id": "e", "says": "", "score": 1.0, "was_given": True, "at": "2026"}
    with application.state.begin() as connection:
        rows = [row | {"answer_id": name, "collection": name} for name in names]
        connection.execute(insert(REUSES), rows)
        query = select(REUSES.c.collection).where(reach.within(REUSES.c.collection))
        assert set(connection.scalars(query)) == seen


def test_messages_name_collections_as_the_caller_does() -> None:
    told = "no 'acme:help': `rag ingest P -c acme:help`; see https://acme:80/, bolt-acme:x"
    assert Reach("acme").told(told) == (
        "no 'help': `rag ingest P -c help`; see https://acme:80/, bolt-acme:x"
    )
    assert Reach("").told(told) == EVERYTHING.told(told) == told


def test_the_walls_of_the_service_tell_a_tenant_nothing(application: FakeApplication) -> None:
    from datetime import UTC, datetime
    from decimal import Decimal

    from generation.money.budgets import Room, Walls, find_obstacle
    from rag.types import Question

    now = datetime(2026, 11, 21, tzinfo=UTC)
    walls = Walls(day_usd=Decimal(5))
    told = {}
    for tenant in ("", "acme"):
        [wall] = walls.before(
            Caller(tenant, "k", Reach(tenant)).asks(Question("x", "c")), now.isoformat()
        )
        obstacle = find_obstacle([wall], 10, {wall.account: Room(spent=5 * 10**12)})
        assert obstacle is not None
        told[tenant] = str(obstacle.error(now))
    assert "is $5.00: $5.00 is spent" in told[""]
    assert "$5" not in told["acme"]
    assert "the budget of the day 2026-11-21 is used up: others spend from it too" in told["acme"]


def test_the_keys_of_this_file_differ() -> None:
    assert len({json.dumps([key.tenant, sorted(key.scopes)]) for key in KEYS.values()}) > 5
    assert all(isinstance(key, Key) for key in KEYS.values())
