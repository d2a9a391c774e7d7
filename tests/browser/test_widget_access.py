"""The chat widget for everybody: axe finds nothing in any of its states."""

from __future__ import annotations

from typing import Any

import pytest
from widget_page import (
    CHAT,
    PHONE,
    QUESTION,
    UNANSWERABLE,
    ask,
    axe_violations,
    open_chat,
    open_page,
    play_answer,
)

RICH = """# A heading

Words with **weight**, *stress*, `code` and a [link](https://example.org) [1].

- one
- two
  1. deeper

> quoted

| a | b |
|---|---|
| 1 | 2 |

```
print(1)
```

---
"""


def test_axe_looks_into_the_widget(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    page.evaluate("document.querySelector('thrifty-rag-chat').style.cssText = '--rag-quiet: #eee'")
    assert any("color-contrast" in one for one in axe_violations(page))


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_wrong(page: Any, service_url: str) -> None:
    open_page(page, service_url, 'data-handoff="https://example.org/contact"')
    assert axe_violations(page) == [], "closed"
    open_chat(page)
    assert axe_violations(page) == [], "open"
    ask(page, QUESTION).get_by_role("button", name="Yes").click()
    page.wait_for_selector(f"{CHAT} .rating:has-text('Thank you!')")
    ask(page, UNANSWERABLE)
    assert axe_violations(page) == [], "with answers"
    page.locator(f"{CHAT} .source").first.click()
    page.wait_for_selector(f"{CHAT} .reader .note", state="hidden")
    assert axe_violations(page) == [], "with a quote in its document"


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_wrong_with_long_and_failed_answers(page: Any, service_url: str) -> None:
    open_page(page, service_url, 'data-handoff="https://example.org/contact"')
    open_chat(page)
    play_answer(page, answer=RICH, confidence=0.2)
    turn = ask(page, QUESTION)
    for tag in ("li ol li", "blockquote", "td", "pre code", "strong", "em", "hr", ".note", "a"):
        assert turn.locator(f".answer {tag}").count() >= 1, tag
    play_answer(page, status="abstained", action={"type": "webhook", "url": "v1/handoffs"})
    page.evaluate("document.querySelector('thrifty-rag-chat').dataset.handoff = ''")
    assert ask(page, QUESTION).get_by_label("Your e-mail address").count() == 1
    page.route("**/v1/answers", lambda route: route.abort())
    ask(page, QUESTION)
    page.route("**/v1/answers", lambda route: None)
    page.locator(f"{CHAT} textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").wait_for()
    assert axe_violations(page) == []


@pytest.mark.parametrize("colour", ["#ffd54a", "#c2185b", "#777"])
def test_axe_finds_nothing_wrong_with_any_colour(page: Any, service_url: str, colour: str) -> None:
    open_page(page, service_url, f'data-color="{colour}" data-handoff="https://example.org/"')
    open_chat(page)
    ask(page, UNANSWERABLE)
    assert axe_violations(page) == []


def test_axe_finds_nothing_wrong_on_a_phone_from_right_to_left(page: Any, service_url: str) -> None:
    page.set_viewport_size(PHONE)
    open_page(page, service_url, language="he")
    page.locator(f"{CHAT} .launcher").click()
    page.locator(f"{CHAT} textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    page.locator(f"{CHAT} .source").first.click()
    page.wait_for_selector(f"{CHAT} .reader .note", state="hidden")
    assert axe_violations(page) == [], "reading"
    page.keyboard.press("Escape")
    assert axe_violations(page) == []
