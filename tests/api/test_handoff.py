"""The hand-off: what an answer that abstains says to do, and which settings make sense."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from api_fakes import TEXTS, FakeApplication, MakeApplication, MakeClient, ingest
from keyed import OTHER_PAGE, PAGE, call, make_keys

from api.doors.door import LocalDoor
from api.models.inputs import AnswerIn
from api.settings import load_settings
from rag.errors import SettingsError

MAILBOX = "mailto:help@example.org"
UNKNOWN = {"question": "zzz"}
MESSAGE = {"question": "Do you repair lamps?", "contact": "ann@example.org"}


@pytest.fixture
async def handing_off(make_application: MakeApplication) -> FakeApplication:
    application = make_application({"handoff": {"url": MAILBOX}})
    await ingest(application, **TEXTS)
    return application


async def test_an_answer_that_abstains_says_where_to_go(
    handing_off: FakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(handing_off)
    expected = {"type": "email", "url": MAILBOX}
    plain = (await client.post("/v1/answers", json=UNKNOWN)).json()
    assert (plain["status"], plain["action"]) == ("abstained", expected)
    streamed = (await client.post("/v1/answers", json={**UNKNOWN, "stream": True})).text
    last = streamed.split("event: answer")[1].split("data: ")[1].split("\n")[0]
    assert json.loads(last)["action"] == expected
    door = LocalDoor(handing_off)  # type: ignore[arg-type]
    asked = await door.ask(AnswerIn(**UNKNOWN))
    assert asked.action is not None
    assert asked.action.model_dump() == expected


async def test_an_answer_that_answers_says_nothing(
    handing_off: FakeApplication, make_client: MakeClient
) -> None:
    client = await make_client(handing_off)
    answer = (await client.post("/v1/answers", json={"question": "refunds"})).json()
    assert (answer["status"], answer["action"]) == ("answered", None)


async def test_without_a_setting_nothing_is_offered(
    application: FakeApplication, make_client: MakeClient
) -> None:
    await ingest(application, **TEXTS)
    answer = (await (await make_client(application)).post("/v1/answers", json=UNKNOWN)).json()
    assert (answer["status"], answer["action"]) == ("abstained", None)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://example.org/contact?from=chat", "link"),
        ("http://127.0.0.1/contact", "link"),
        (MAILBOX, "email"),
        ("MAILTO:a@example.org", "email"),
    ],
)
async def test_pages_and_mailboxes_are_offered(
    make_application: MakeApplication, make_client: MakeClient, url: str, kind: str
) -> None:
    application = make_application({"handoff": {"url": url}})
    await ingest(application, **TEXTS)
    answer = (await (await make_client(application)).post("/v1/answers", json=UNKNOWN)).json()
    assert answer["action"] == {"type": kind, "url": url}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "example.org", "https://", "mailto:", "mailto:nobody", "mailto:@",
        "ftp://example.org", "https://example.org/a b", "https://[", "https://example.org/\u202e",
    ],
)  # fmt: skip
def test_everything_else_stops_the_start(url: str) -> None:
    overrides: dict[str, Any] = {"handoff": {"url": url}}
    with pytest.raises(SettingsError, match=r"handoff.url is .*: give https://example.com"):
        load_settings(overrides)


@pytest.mark.parametrize("url", ["http://example.org/hush", "mailto:hush@b.c", "https:///hush"])
def test_a_webhook_is_safe_and_stays_secret(url: str) -> None:
    with pytest.raises(SettingsError, match="give https:// and a host") as caught:
        load_settings({"handoff": {"webhook": url}})
    assert "hush" not in str(caught.value)


def test_a_question_goes_one_way() -> None:
    both = {"url": MAILBOX, "webhook": "https://example.org/hook"}
    with pytest.raises(SettingsError, match=r"handoff\.url is set too.*keep one"):
        load_settings({"handoff": both})


@pytest.fixture
def heard() -> Iterator[Heard]:
    """A webhook on this machine."""
    heard = Heard()
    with heard.listening():
        yield heard


async def test_the_webhook_gets_the_question(
    make_application: MakeApplication, make_client: MakeClient, heard: Heard
) -> None:
    application = make_application({"handoff": {"webhook": heard.url}})
    await ingest(application, **TEXTS)
    client = await make_client(application)
    answer = (await client.post("/v1/answers", json=UNKNOWN)).json()
    assert answer["action"] == {"type": "webhook", "url": "v1/handoffs"}, "and not its address"
    message = {"question": "zzz", "contact": "ann@example.org", "answer_id": answer["id"]}
    sent = await client.post(f"/{answer['action']['url']}", json=message)
    assert (sent.status_code, sent.json()) == (200, {"status": "sent"})
    assert heard.bodies == [{**message, "conversation_id": None}]


async def test_where_there_are_keys_a_question_is_handed_off_from_the_page_of_one(
    make_application: MakeApplication, make_client: MakeClient, heard: Heard
) -> None:
    application = make_application({"handoff": {"webhook": heard.url}})
    keys = make_keys(application)
    client = await make_client(application)
    statuses = {
        (name, origin): (
            await call(client, "POST", "/v1/handoffs", keys[name], json=MESSAGE, **page)
        ).status_code
        for name, origin, page in [
            ("site", "its own", {"origin": PAGE}),
            ("site", "another", {"origin": OTHER_PAGE}),
            ("site", "none", {}),
            ("desk", "none", {}),
            ("loader", "none", {}),
        ]
    }
    assert statuses[("site", "its own")] == 200
    assert statuses[("site", "another")] == 403
    assert statuses[("desk", "none")] == 200
    assert statuses[("loader", "none")] == 403
    assert (await client.post("/v1/handoffs", json=MESSAGE)).status_code == 401
    taken = [name for name, status in statuses.items() if status == 200]
    assert len(heard.bodies) == len(taken)


@pytest.mark.parametrize("status", [302, 404, 500])
async def test_a_webhook_that_refuses_is_a_problem(
    make_application: MakeApplication, make_client: MakeClient, heard: Heard, status: int
) -> None:
    heard.status = status
    client = await make_client(make_application({"handoff": {"webhook": heard.url}}))
    sent = await client.post("/v1/handoffs", json=MESSAGE)
    assert (sent.status_code, sent.json()["retryable"]) == (502, True)
    assert f"answered with status {status}" in sent.json()["detail"]
    assert heard.url not in sent.text
    assert len(heard.bodies) == 1, "no redirect is followed"


async def test_a_webhook_that_is_away_is_a_problem(
    make_application: MakeApplication, make_client: MakeClient
) -> None:
    hook = "http://127.0.0.1:1/secret"
    client = await make_client(make_application({"handoff": {"webhook": hook}}))
    sent = await client.post("/v1/handoffs", json=MESSAGE)
    assert sent.status_code == 502
    assert "cannot be reached (ConnectError)" in sent.json()["detail"]
    assert "secret" not in sent.text


async def test_without_a_webhook_nothing_is_taken(
    application: FakeApplication, make_client: MakeClient
) -> None:
    sent = await (await make_client(application)).post("/v1/handoffs", json=MESSAGE)
    assert sent.status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"contact": "nobody"},
        {"contact": "a@b\nBcc: c@d"},
        {"contact": f"{'a' * 254}@b"},
        {"question": ""},
        {"question": "x" * 4_001},
        {"question": "\ud800"},
        {"to": "https://example.org"},
    ],
)
async def test_only_a_message_is_sent_on(
    make_application: MakeApplication, make_client: MakeClient, heard: Heard, change: dict[str, str]
) -> None:
    client = await make_client(make_application({"handoff": {"webhook": heard.url}}))
    body = json.dumps({**MESSAGE, **change})
    sent = await client.post(
        "/v1/handoffs", content=body, headers={"content-type": "application/json"}
    )
    assert sent.status_code == 422
    assert heard.bodies == []


class Heard:
    """A server that hears messages and answers them with a status."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.status = 204
        heard = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                heard.bodies.append(
                    json.loads(self.rfile.read(int(self.headers["content-length"])))
                )
                self.send_response(heard.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Listen while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()
