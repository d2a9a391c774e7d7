"""The widget on a page of another origin: a publishable key, the real service, a real browser."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from answering_elsewhere import Elsewhere
from conftest import COSTS, RAG, Service
from widget_page import CHAT, PAGE, QUESTION, ask, open_chat, wait_until_done

QUOTED = "costs nothing, because no paid model is called"


@dataclass(frozen=True)
class Shop:
    """A page of another origin with the chat, and the service whose key it has."""

    service: Service
    page: Elsewhere
    path: str

    def key(self, name: str, *arguments: str) -> str:
        """A publishable key for the page."""
        made: dict[str, str] = self.told("keys", "create", name, "--scope", "publish", *arguments)
        return made["key"]

    def told(self, *arguments: str) -> Any:
        """What `rag` says to these arguments, as JSON."""
        command, environment = [RAG, *arguments, "--json"], self.service.environment
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        return json.loads(done.stdout)

    def open(self, page: Any, key: str) -> None:
        """Load the page with this key in its tag, and open the chat."""
        attributes = f'data-key="{key}"'
        self.page.html = PAGE.format(language="en", script=self.service.url, attributes=attributes)
        page.goto(self.page.page_url)
        page.wait_for_selector(f"{CHAT} .launcher", state="attached")
        open_chat(page)

    @property
    def origin(self) -> str:
        return self.page.page_url.rstrip("/")


@pytest.fixture
def shop(empty_service: Service, tmp_path: Path) -> Iterator[Shop]:
    path = tmp_path / "costs.md"
    path.write_text(COSTS, encoding="utf-8")
    empty_service.run("ingest", str(path))
    with Elsewhere([]).running() as elsewhere:
        yield Shop(empty_service, elsewhere, str(path))


def test_a_page_of_another_origin_asks_reads_rates_and_reloads(page: Any, shop: Shop) -> None:
    said: list[str] = []
    page.on("response", lambda got: said.append(f"{got.request.method} {got.status} {got.url}"))
    shop.open(page, shop.key("shop", "--origin", shop.origin))
    turn = ask(page, QUESTION)
    assert QUOTED in turn.inner_text()
    turn.locator(".marker").first.click()
    page.locator(f"{CHAT} mark").get_by_text(QUOTED).wait_for()
    assert shop.path not in page.locator(f"{CHAT} .panel").inner_text()
    page.keyboard.press("Escape")
    with page.expect_response("**/v1/feedback") as rated:
        page.locator(f"{CHAT} .turn button[aria-pressed]").first.click()
    assert rated.value.status == 200
    page.reload()
    page.locator(f"{CHAT} .turn").get_by_text(QUOTED).wait_for(state="attached")
    assert [one for one in said if " 4" in one or " 5" in one] == []
    assert any(one.startswith("POST 200 ") and "/v1/answers" in one for one in said)


def test_a_page_that_the_key_does_not_name_is_refused(page: Any, shop: Shop) -> None:
    shop.open(page, shop.key("other", "--origin", "https://www.example.org"))
    page.locator(f"{CHAT} textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    wait_until_done(page)
    assert page.locator(f"{CHAT} .source").count() == 0
    page.locator(f"{CHAT} .turn").get_by_text("online").wait_for()


def test_one_visitor_is_told_to_wait_and_another_is_not(
    page: Any, browser: Any, shop: Shop
) -> None:
    key = shop.key("shop", "--origin", shop.origin, "--visitor-per-day", "1")
    shop.open(page, key)
    assert QUOTED in ask(page, QUESTION).inner_text()
    page.locator(f"{CHAT} textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator(f"{CHAT} .turn").last.get_by_text("very busy").wait_for()
    context = browser.new_context()
    other = context.new_page()
    shop.open(other, key)
    assert QUOTED in ask(other, QUESTION).inner_text()
    context.close()


def test_a_visitor_can_tell_the_name_by_which_all_is_forgotten(page: Any, shop: Shop) -> None:
    shop.open(page, shop.key("shop", "--origin", shop.origin))
    ask(page, QUESTION)
    name = page.locator(CHAT).evaluate("chat => chat.visitor")
    assert len(name) == 32
    proof = shop.told("forget", "--visitor", name)
    assert proof["before"]["turns"] == 1
    assert set(proof["after"].values()) == {0}
    assert proof["answers_unlinked"] == 1


def test_without_its_key_nobody_gets_in_and_the_command_line_does(shop: Shop) -> None:
    shop.key("shop", "--origin", shop.origin)
    for path in ("/v1/documents", "/v1/costs", "/metrics"):
        assert httpx.get(f"{shop.service.url}{path}").status_code == 401
    shop.service.run("documents")
    shop.service.run("ask", QUESTION)
