"""The page at `/` of a service that asks for keys, used by keyboard alone."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import COSTS, RAG, Service
from widget_page import axe_violations

QUESTION = "What does an answer by quoting cost?"


@pytest.fixture
def locked(empty_service: Service, tmp_path: Path) -> Service:
    """A service with a document and a key."""
    path = tmp_path / "costs.md"
    path.write_text(COSTS, encoding="utf-8")
    empty_service.run("ingest", str(path))
    key_of(empty_service, "other")
    return empty_service


def key_of(service: Service, name: str) -> str:
    done = subprocess.run(
        [RAG, "keys", "create", name, "--json"],
        env=service.environment, capture_output=True, check=True,
    )  # fmt: skip
    made: dict[str, str] = json.loads(done.stdout)
    return made["key"]


def open_locked(page: Any, service: Service) -> None:
    page.goto(service.url + "/")
    page.wait_for_selector("#key")


def enter(page: Any, key: str) -> None:
    assert page.evaluate("document.activeElement.id") == "key"
    page.keyboard.type(key)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_the_page_asks_for_a_key_and_is_used_with_it(page: Any, locked: Service) -> None:
    open_locked(page, locked)
    assert page.is_hidden("#ask")
    assert page.inner_text("#key-note") == ""
    assert axe_violations(page) == [], "locked"
    enter(page, "no key at all")
    page.wait_for_selector("#key-note:has-text('Enter a key')")
    page.fill("#key", "")
    enter(page, "rag_sk_wrong")
    page.wait_for_selector("#key-note:has-text('the key is not valid')")
    assert axe_violations(page) == [], "refused"
    enter(page, key_of(locked, "desk"))
    page.wait_for_selector("#service:has-text('Ready · 1 document')")
    assert page.is_hidden("#key")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector("#citation-1")
    assert "costs nothing" in page.inner_text("#answer")
    page.locator("#citation-1 button").press("Enter")
    page.wait_for_selector("mark")
    page.keyboard.press("Escape")
    assert axe_violations(page) == [], "answered"


def test_the_key_is_kept_for_the_tab_alone_until_it_is_forgotten(
    page: Any, locked: Service
) -> None:
    open_locked(page, locked)
    enter(page, key_of(locked, "desk"))
    page.wait_for_selector("#service:has-text('Ready')")
    page.reload()
    page.wait_for_selector("#service:has-text('Ready')")
    assert page.evaluate("localStorage.length") == 0
    assert page.evaluate("document.cookie") == ""
    other = page.context.new_page()
    open_locked(other, locked)
    page.get_by_role("button", name="Forget the key").press("Enter")
    page.wait_for_selector("#key")
    assert page.evaluate("sessionStorage.getItem('thrifty-rag-key')") == ""


def test_a_key_that_was_revoked_is_asked_for_again(page: Any, locked: Service) -> None:
    open_locked(page, locked)
    enter(page, key_of(locked, "desk"))
    page.wait_for_selector("#service:has-text('Ready')")
    locked.run("keys", "revoke", "desk")
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector("#key-note:has-text('the key is not valid')")
    assert page.is_hidden("#ask")


def test_a_key_that_may_not_read_is_told_why(page: Any, locked: Service) -> None:
    done = subprocess.run(
        [RAG, "keys", "create", "site", "--scope", "publish", "--origin", "https://example.org",
         "--collection", "default", "--json"],
        env=locked.environment, capture_output=True, check=True,
    )  # fmt: skip
    open_locked(page, locked)
    enter(page, json.loads(done.stdout)["key"])
    page.wait_for_selector("#key-note:has-text('has the scopes publish')")
