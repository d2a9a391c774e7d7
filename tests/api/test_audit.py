"""The audit log: what stands in it, what can be done to it, who may read it."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from api_fakes import TEXTS, FakeApplication, MakeClient, fake_application, ingest
from keyed import KEYS, call, make_keys
from sqlalchemy import Engine, update
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner, Result

from api.audit.log import AuditLog, Deed
from api.audit.refusals import NOTE_EVERY_S, Refusals
from api.audit.tables import AUDIT
from api.cli.main import make_app
from api.keys.key import Key
from api.keys.records import KeyRecords
from rag.errors import ConflictError, NotFoundError

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def deed(number: int, tenant: str = "") -> Deed:
    return Deed("desk", tenant, "document.forget", f"help/{number}")


def deeds_of(engine: Engine) -> list[tuple[str, str, str, str]]:
    """The newest first."""
    found = [entry.deed for entry in AuditLog(engine).entries(None, 100)]
    return [(one.actor, one.tenant, one.action, one.object) for one in found]


def rag(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(fake_application), arguments)  # type: ignore[arg-type]


def listed(*arguments: str) -> list[dict[str, Any]]:
    done = rag("audit", "--json", *arguments)
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


# In both states


def test_the_newest_entries_come_first(state_engine: Engine) -> None:
    times = iter(NOON + timedelta(days=number) for number in range(4))
    log = AuditLog(state_engine, lambda: next(times))
    for number in range(4):
        log.note(deed(number, "acme" if number % 2 else ""))
    numbers = [entry.deed.object[-1] for entry in log.entries(None, 100)]
    assert numbers == ["3", "2", "1", "0"]
    assert [entry.at for entry in log.entries(NOON + timedelta(days=2), 1)] == [
        NOON + timedelta(days=3)
    ]
    assert [entry.deed for entry in log.entries(None, 100, "acme")] == [
        deed(3, "acme"),
        deed(1, "acme"),
    ]


def test_an_entry_is_never_changed(state_engine: Engine) -> None:
    AuditLog(state_engine).note(deed(1))
    with (
        pytest.raises(IntegrityError, match="an entry of the audit log is never changed"),
        state_engine.begin() as connection,
    ):
        connection.execute(update(AUDIT).values(actor="nobody"))
    assert deeds_of(state_engine)[0][0] == "desk"


def test_what_is_too_old_is_deleted(state_engine: Engine) -> None:
    now = NOON
    log = AuditLog(state_engine, lambda: now)
    log.note(deed(1))
    now = NOON + timedelta(days=365)
    log.note(deed(2))
    assert log.prune(365) == 0
    now += timedelta(seconds=1)
    assert log.prune(365) == 1
    assert [entry.deed for entry in log.entries(None, 100)] == [deed(2)]


def test_keys_are_noted_with_what_is_done_to_them(state_engine: Engine) -> None:
    records = KeyRecords(state_engine)
    token = records.create(KEYS["acme"])
    with pytest.raises(ConflictError):
        records.create(KEYS["acme"])
    with pytest.raises(NotFoundError):
        records.revoke("nobody")
    records.revoke("acme")
    records.revoke("acme")
    assert deeds_of(state_engine) == [
        ("command-line", "acme", "key.revoke", "acme"),
        ("command-line", "acme", "key.create", "acme"),
    ]
    assert token[7:] not in str(deeds_of(state_engine))


def test_an_experiment_begins_and_ends_once(state_engine: Engine) -> None:
    log = AuditLog(state_engine)
    for name in (None, "tone", "tone", "length", None, None):
        log.note_experiment(name)
    assert [(action, name) for _, _, action, name in reversed(deeds_of(state_engine))] == [
        ("experiment.start", "tone"),
        ("experiment.end", "tone"),
        ("experiment.start", "length"),
        ("experiment.end", "length"),
    ]


# What is refused


def test_a_flood_of_refusals_is_one_entry_an_hour(state_engine: Engine) -> None:
    now = 0.0
    refusals = Refusals(AuditLog(state_engine), lambda: now)
    for _ in range(50):
        refusals.note(KEYS["desk"], "GET /v1/costs")
    refusals.note(KEYS["desk"], "GET /v1/audit")
    assert len(deeds_of(state_engine)) == 2
    now = NOTE_EVERY_S
    refusals.note(KEYS["desk"], "GET /v1/costs")
    assert len(deeds_of(state_engine)) == 3


async def test_a_key_that_may_not_administer_is_noted(
    application: FakeApplication, make_client: MakeClient
) -> None:
    client, keys = await make_client(application), make_keys(application)
    for _ in range(3):
        assert (await call(client, "GET", "/v1/costs", keys["desk"])).status_code == 403
    assert (await call(client, "GET", "/metrics", keys["acme"])).status_code == 403
    assert (await call(client, "GET", "/v1/jobs", keys["desk"])).status_code == 403
    assert (await call(client, "GET", "/v1/audit", "Bearer wrong")).status_code == 401
    found = AuditLog(application.state).entries(None, 100)
    assert [entry.deed for entry in found if entry.deed.outcome == "refused"] == [
        Deed("acme", "acme", "route.call", "GET /metrics", "refused"),
        Deed("desk", "", "route.call", "GET /v1/costs", "refused"),
    ]


# Over HTTP and on the command line


async def test_over_http_a_deed_is_that_of_the_key(
    application: FakeApplication, make_client: MakeClient
) -> None:
    await ingest(application, **TEXTS)
    client = await make_client(application)
    assert (await client.delete("/v1/documents/refunds")).status_code == 200
    named = {"x-rag-key": "clerk"}
    [other] = [name for name in TEXTS if name != "refunds"][:1]
    assert (await client.delete(f"/v1/documents/{other}", headers=named)).status_code == 200
    assert (await client.delete("/v1/documents/none")).status_code == 404
    entries = (await client.get("/v1/audit")).json()["entries"]
    assert [(one["actor"], one["object"], one["outcome"]) for one in entries] == [
        ("clerk", f"default/{other}", "done"),
        ("(no key)", "default/refunds", "done"),
    ]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("since=yesterday", "give a day that exists"),
        ("limit=0", "greater than or equal to 1"),
        ("limit=10001", "less than or equal to 10000"),
        ("tenant=acme", "there is no such field"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
    client: httpx.AsyncClient, query: str, words: str
) -> None:
    response = await client.get(f"/v1/audit?{query}")
    assert response.status_code == 422
    assert words in response.text


def test_the_command_line_shows_what_it_did() -> None:
    assert listed() == []
    for arguments in (("create", "desk"), ("revoke", "desk")):
        assert rag("keys", *arguments).exit_code == 0
    [revoked, created] = listed()
    assert (revoked["actor"], revoked["action"]) == ("command-line", "key.revoke")
    assert (created["object"], created["tenant"], created["outcome"]) == ("desk", "", "done")
    shown = rag("audit").stdout
    assert "key.revoke" in shown
    assert "command-line" in shown
    assert listed("--since", "2999-12-31") == []
    one = rag("audit", "--limit", "1")
    assert "these are the newest 1: there may be more" in one.stderr
    wrong = rag("audit", "--since", "x")
    assert (wrong.exit_code, wrong.stderr.count("\n")) == (1, 1)


def test_a_document_forgotten_on_the_command_line_is_noted() -> None:
    with open("hours.md", "w") as page:
        page.write("# Hours\n\nThe shop opens at nine.\n")
    assert rag("ingest", "hours.md").exit_code == 0
    [document] = json.loads(rag("documents", "--json").stdout)
    assert rag("forget", document["document_id"]).exit_code == 0
    [entry] = listed()
    assert entry["object"] == f"default/{document['document_id']}"
    assert (entry["actor"], entry["action"]) == ("command-line", "document.forget")


def test_what_a_sync_removes_is_counted() -> None:
    os.mkdir("pages")
    for name in ("hours", "prices"):
        with open(f"pages/{name}.md", "w") as page:
            page.write(f"# {name}\n\nThe page on {name}.\n")
    for _ in range(2):
        assert rag("ingest", "pages", "--sync", "--collection", "help").exit_code == 0
    assert listed() == []
    os.remove("pages/hours.md")
    assert rag("ingest", "pages", "--sync", "--collection", "help").exit_code == 0
    [entry] = listed()
    assert (entry["action"], entry["object"]) == ("document.sync", "help: 1 removed")
    assert entry["actor"] == "command-line"


def test_a_key_of_a_tenant_is_noted_as_the_tenants(application: FakeApplication) -> None:
    KeyRecords(application.state).create(Key("a", frozenset({"ask"}), tenant="acme"))
    assert [entry.deed.object for entry in AuditLog(application.state).entries(None, 9, "acme")]
    assert AuditLog(application.state).entries(None, 9, "bolt") == []
