"""Who gets in: keys, scopes, web pages, addresses."""

from __future__ import annotations

import pkgutil
import statistics
import time
from importlib import import_module
from typing import Any

import httpx
import pytest
from api_fakes import TEXTS, FakeApplication, MakeApplication, MakeClient, ingest
from keyed import KEYS, OTHER_PAGE, PAGE, call, make_keys

import api.routes
from api.cli.serve import check_address
from api.http.access.rights import RIGHTS, right_of
from api.keys.key import Key
from api.keys.records import KeyRecords
from rag.errors import SettingsError

ASKED = {"question": "How long do refunds take?"}
OPEN = [path for (method, path), scopes in RIGHTS.items() if scopes is None and method == "GET"]


@pytest.fixture
def keys(application: FakeApplication) -> dict[str, str]:
    return make_keys(application)


@pytest.fixture
async def service(application: FakeApplication, make_client: MakeClient) -> httpx.AsyncClient:
    await ingest(application, **TEXTS)
    return await make_client(application)


def example(path: str) -> str:
    return path.replace("{document_id:path}", "refunds").replace("{job_id}", "job_1").replace(
        "{batch_id}", "batch_1"
    ).replace("{model}", "default").replace("{visitor}", "abcd1234")  # fmt: skip


def test_every_route_stands_in_the_table_and_nothing_else() -> None:
    routes = {
        (method, route.path)
        for module in pkgutil.iter_modules(api.routes.__path__)
        for route in import_module(f"api.routes.{module.name}").router.routes
        for method in route.methods
    }
    assert routes | {("GET", "/openapi.json")} == set(RIGHTS)


@pytest.mark.parametrize(("method", "path"), RIGHTS)
def test_a_request_finds_its_row(method: str, path: str) -> None:
    found = right_of(method, example(path))
    assert (found.path, found.scopes) == (path, RIGHTS[method, path])


async def test_a_route_that_is_not_in_the_table_is_not_served(
    application: FakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(application)
    client._transport.app.get("/v1/new")(lambda: "secret")  # type: ignore[attr-defined]
    response = await client.get("/v1/new")
    assert response.status_code == 500
    assert "secret" not in response.text


async def test_without_keys_all_is_open(service: httpx.AsyncClient) -> None:
    response = await call(service, "POST", "/v1/answers", "Bearer none", json=ASKED)
    assert response.status_code == 200
    assert (await service.get("/v1/costs")).status_code == 200
    for empty in ("Bearer", "Bearer "):  # of a Prometheus whose file of the key is empty
        assert (await call(service, "GET", "/metrics", empty)).status_code == 200


@pytest.mark.parametrize(("method", "path"), RIGHTS)
async def test_with_keys_every_route_asks_for_one_of_its_scopes(
    service: httpx.AsyncClient, keys: dict[str, str], method: str, path: str
) -> None:
    scopes = RIGHTS[method, path]
    bare = await call(service, method, example(path))
    assert (bare.status_code == 401) == (scopes is not None)
    if scopes is None:
        return
    assert bare.headers["www-authenticate"] == "Bearer"
    for name in ("root", "desk", "loader", "site"):
        pages = {"origin": PAGE} if name == "site" else {}
        got = await call(service, method, example(path), keys[name], **pages)
        is_let_in = bool(KEYS[name].scopes & set(scopes))
        assert (got.status_code not in (401, 403)) == is_let_in, (name, got.text)


async def test_a_wrong_key_and_an_unknown_one_are_told_the_same(
    service: httpx.AsyncClient, application: FakeApplication, keys: dict[str, str]
) -> None:
    KeyRecords(application.state).revoke("desk")
    wrong = [keys["desk"], keys["root"][:-1] + "!", "Bearer rag_sk_" + "A" * 43, "Bearer x"]
    told = [await call(service, "POST", "/v1/answers", one, json=ASKED) for one in wrong]
    assert {(one.status_code, one.text) for one in told} == {(401, told[0].text)}
    assert told[0].json()["type"] == "urn:thrifty-rag:problem:key-refused"
    assert "is not valid: it is wrong, has expired or was revoked" in told[0].json()["detail"]


async def test_a_wrong_key_takes_as_long_as_an_unknown_one(
    service: httpx.AsyncClient, application: FakeApplication, keys: dict[str, str]
) -> None:
    KeyRecords(application.state).revoke("desk")
    wrong = [keys["desk"], keys["root"][:-1] + "!", "Bearer rag_sk_" + "A" * 43]
    taken: dict[str, list[float]] = {one: [] for one in wrong}
    for _ in range(60):
        for one in wrong:
            started = time.perf_counter()
            await call(service, "GET", "/v1/models", one)
            taken[one].append(time.perf_counter() - started)
    medians = [statistics.median(times) for times in taken.values()]
    assert max(medians) < 1.5 * min(medians), medians


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Basic eDp4", "rag_sk_x", "Bearer \udcff"]
)
async def test_what_is_no_key(service: httpx.AsyncClient, keys: dict[str, str], given: str) -> None:
    headers = [(b"authorization", given.encode("utf-8", "surrogateescape"))]
    response = await service.post("/v1/answers", json=ASKED, headers=headers)
    assert response.status_code == 401


async def test_a_key_is_checked_before_the_body_is_read(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    async def body() -> Any:
        raise AssertionError("the body was read")
        yield b""

    response = await service.post("/v1/answers", content=body())
    assert response.status_code == 401
    assert response.headers["connection"] == "close"


async def test_the_command_line_needs_no_key(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    for path in ("/v1/costs", "/metrics", "/v1/documents"):
        assert (await call(service, "GET", path, "Bearer secret")).status_code == 200
    named = await call(service, "GET", "/v1/costs", "Bearer secret", x_rag_key="a b")
    assert named.status_code == 422


async def test_names_are_not_taken_on_trust_from_who_has_a_key(
    service: httpx.AsyncClient, application: FakeApplication, keys: dict[str, str]
) -> None:
    headers = {"x_rag_tenant": "bolt", "x_rag_key": "other"}
    await call(service, "POST", "/v1/answers", keys["desk"], json=ASKED, **headers)
    costs = (await call(service, "GET", "/v1/costs?by=key", keys["root"])).json()
    assert [row["name"] for row in costs["rows"]] == ["desk"]


async def test_clients_of_openai_are_told_in_their_words(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    asked = {"model": "default", "messages": [{"role": "user", "content": "refunds"}]}
    path = "/v1/chat/completions"
    error = (await call(service, "POST", path, "Bearer x", json=asked)).json()["error"]
    assert (error["type"], error["code"]) == ("authentication_error", "invalid_api_key")
    error = (await call(service, "POST", path, keys["loader"], json=asked)).json()["error"]
    assert (error["type"], error["code"]) == ("permission_error", "access")
    assert (await call(service, "POST", path, keys["desk"], json=asked)).status_code == 200


async def test_what_needs_no_key_shows_no_collection(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    for path in OPEN:
        assert (await service.get(path)).status_code == 200
    assert (await service.get("/ready")).json()["collections"] == []
    assert (await call(service, "GET", "/ready", keys["desk"])).json()["collections"] == ["default"]
    assert (await service.get("/static/app.js")).status_code == 200


# Web pages


async def test_a_page_of_a_key_may_ask_and_read_the_answer(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    asks = {"access_control_request_method": "POST"}
    before = await call(service, "OPTIONS", "/v1/answers", origin=PAGE, **asks)
    assert before.status_code == 204
    assert before.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in before.headers["access-control-allow-headers"]
    assert "x-rag-visitor" in before.headers["access-control-allow-headers"]
    got = await call(service, "POST", "/v1/answers", keys["site"], json=ASKED, origin=PAGE)
    assert got.status_code == 200
    assert got.headers["access-control-allow-origin"] == PAGE
    assert got.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in got.headers


async def test_a_page_can_read_why_it_is_refused(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    got = await call(service, "POST", "/v1/answers", "Bearer x", json=ASKED, origin=PAGE)
    assert (got.status_code, got.headers["access-control-allow-origin"]) == (401, PAGE)


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://www.example.org", f"{PAGE}:444", f"{PAGE}.evil.example",
     "null", "", f"{PAGE}/", "https://127.0.0.1.evil.example"],
)  # fmt: skip
async def test_a_foreign_page_is_refused(
    service: httpx.AsyncClient, keys: dict[str, str], origin: str
) -> None:
    asks = {"access_control_request_method": "POST"}
    for method, given in (("OPTIONS", asks), ("POST", {})):
        got = await call(
            service, method, "/v1/answers", keys["site"], json=ASKED, origin=origin, **given
        )
        assert got.status_code == 403, (method, got.text)
        assert "access-control-allow-origin" not in got.headers


async def test_a_page_of_one_key_has_no_use_for_another(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    for name in ("site", "desk", "root"):
        got = await call(service, "POST", "/v1/answers", keys[name], json=ASKED, origin=OTHER_PAGE)
        assert got.status_code == 403
        assert f"this key is not for the page '{OTHER_PAGE}'" in got.json()["detail"]


async def test_a_publishable_key_is_for_pages_only(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    got = await call(service, "POST", "/v1/answers", keys["site"], json=ASKED)
    assert got.status_code == 403
    own = {"origin": "http://127.0.0.1"}
    assert (
        await call(service, "POST", "/v1/answers", keys["site"], json=ASKED, **own)
    ).status_code == 403


async def test_a_page_of_the_own_host_reads_documents_without_naming_its_origin(
    service: httpx.AsyncClient, application: FakeApplication
) -> None:
    own = Key("own", frozenset({"publish"}), "", ("default",), ("http://127.0.0.1",))
    [shown] = make_keys(application, own).values()
    path = "/v1/documents/refunds"
    assert (await call(service, "GET", path, shown)).status_code == 403
    same = {"sec_fetch_site": "same-origin"}
    assert (await call(service, "GET", path, shown, **same)).status_code == 200


@pytest.mark.parametrize(
    "field",
    [{"tier": "premium"}, {"max_cost_usd": 5}, {"filters": {"source": "x"}}, {"fresh": True},
     {"max_context_tokens": 9}],
)  # fmt: skip
async def test_a_visitor_may_not_choose_what_it_costs(
    service: httpx.AsyncClient, keys: dict[str, str], field: dict[str, Any]
) -> None:
    asked = ASKED | field
    got = await call(service, "POST", "/v1/answers", keys["site"], json=asked, origin=PAGE)
    assert got.status_code == 403
    assert f"a publishable key may not set {next(iter(field))}" in got.json()["detail"]


async def test_a_visitor_may_not_write_what_models_are_trained_on(
    service: httpx.AsyncClient, keys: dict[str, str]
) -> None:
    said = {"answer_id": "ans_1", "verdict": "wrong", "correction": "Planted."}
    got = await call(service, "POST", "/v1/feedback", keys["site"], json=said, origin=PAGE)
    assert got.status_code == 403
    assert "a publishable key may not set correction" in got.json()["detail"]


async def test_a_visitor_sees_no_path_of_the_server(
    service: httpx.AsyncClient, application: FakeApplication, keys: dict[str, str], tmp_path: Any
) -> None:
    (tmp_path / "hours.md").write_text("The shop opens at nine on weekdays.")
    await application.ingestion.ingest([str(tmp_path / "hours.md")], "default")
    asked = {"question": "When does the shop open on weekdays?"}
    own = (await call(service, "POST", "/v1/answers", keys["desk"], json=asked)).json()
    assert str(tmp_path) in own["citations"][0]["source"]
    got = await call(service, "POST", "/v1/answers", keys["site"], json=asked, origin=PAGE)
    assert got.json()["citations"][0]["source"] == ""
    assert got.json()["citations"][0]["quote"] == own["citations"][0]["quote"]
    path = f"/v1/documents/{own['citations'][0]['document_id']}"
    shown = await call(service, "GET", path, keys["site"], origin=PAGE)
    assert (shown.json()["sources"], shown.json()["metadata"]) == ([], {})
    streamed = await call(
        service, "POST", "/v1/answers", keys["site"], json=asked | {"stream": True}, origin=PAGE
    )
    assert str(tmp_path) not in got.text + shown.text + streamed.text


# Addresses


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "rag.example"])
def test_no_service_beyond_this_machine_without_keys(
    application: FakeApplication, host: str
) -> None:
    with pytest.raises(SettingsError, match="make one with `rag keys create`"):
        check_address(host, application)  # type: ignore[arg-type]
    make_keys(application)
    check_address(host, application)  # type: ignore[arg-type]


async def test_a_service_beyond_this_machine_stays_closed_when_the_last_key_goes(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(make_application({"server": {"host": "0.0.0.0"}}))
    assert (await client.post("/v1/answers", json=ASKED)).status_code == 401
    assert (await client.get("/health")).status_code == 200
