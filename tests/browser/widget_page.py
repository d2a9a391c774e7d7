"""A page with the widget, as a company would have it, and what the tests do on it."""

from __future__ import annotations

import json
from typing import Any

from axe_playwright_python.sync_playwright import Axe

PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>Help</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>html {{ font-size: 62.5% }} h2, p {{ color: red; letter-spacing: 9px }}</style></head>
<body><main><h1>Help</h1><a id="link" href="#x">Topics</a></main>
<script src="{script}/widget.js" {attributes}></script></body></html>"""
CHAT = "thrifty-rag-chat"
QUESTION = "What does an answer by quoting cost?"
UNANSWERABLE = "Who won the chess olympiad of 1978 in Buenos Aires?"
PHONE = {"width": 360, "height": 740}
ANSWER: dict[str, Any] = {
    "id": "ans_1",
    "status": "answered",
    "answer": "Quotes are free [1].",
    "confidence": 0.9,
    "citations": [
        {"marker": 1, "document_id": "doc_1", "title": "Costs", "source": "https://example.org/a",
         "page": 3, "start": 0, "end": 15, "quote": "Quotes are free"},
    ],
    "action": None,
}  # fmt: skip
AXE_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


def open_page(page: Any, url: str, attributes: str = "", language: str = "en") -> None:
    """Load a page of the service's own origin that has the script tag."""
    page.emulate_media(reduced_motion="reduce")  # nothing moves while it is measured
    html = PAGE.format(language=language, script=url, attributes=attributes)
    page.route(f"{url}/help", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{url}/help")
    page.wait_for_selector(f"{CHAT} .launcher", state="attached")


def open_chat(page: Any) -> None:
    """Click on the button in the corner."""
    page.locator(f"{CHAT} .launcher").click()
    page.wait_for_selector(f"{CHAT} .panel[open]")


def ask(page: Any, question: str) -> Any:
    """Type a question, and wait for its turn to be done. Returns the turn."""
    page.locator(f"{CHAT} textarea").fill(question)
    page.keyboard.press("Enter")
    wait_until_done(page)
    return page.locator(f"{CHAT} .turn").last


def wait_until_done(page: Any) -> None:
    """Wait until no question is under way."""
    page.wait_for_selector(f"{CHAT} .send[aria-label=Send]")


def play_answer(page: Any, **changes: Any) -> None:
    """Let the browser itself answer all questions."""
    answer = {**ANSWER, **changes}
    page.route("**/v1/answers", lambda route: route.fulfill(json=answer))


def stream_of(*events: tuple[str, Any]) -> str:
    """Events as the service sends them."""
    return "".join(f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n" for name, data in events)


def focused(page: Any) -> str:
    """The class, id or tag of what has the focus, within the widget too."""
    found: str = page.evaluate(
        """(() => {
          let node = document.activeElement;
          while (node.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
          return node.className || node.id || node.tagName;
        })()"""
    )
    return found


def axe_violations(page: Any) -> list[str]:
    """What axe finds wrong with the page."""
    options = {"runOnly": {"type": "tag", "values": AXE_TAGS}, "resultTypes": ["violations"]}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{one['id']}: {node['target']} {node['failureSummary']}"
            for one in found for node in one["nodes"]]  # fmt: skip
