"""Hostile documents and answers in the chat widget: nothing runs or is loaded, all is text."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest
from hostile_texts import HOSTILE_TEXTS
from patience import FAR_S
from widget_page import ANSWER, CHAT, open_chat, open_page, stream_of

LONGEST_S = 5  # on a busy machine; a text that is looked at again and again takes minutes
TAGS = set(
    """
    A ARTICLE BLOCKQUOTE BUTTON CODE DIALOG DIV EM FORM H2 H3 H4 HEADER HR LABEL LI MARK OL
    P PRE SECTION SPAN STRONG TABLE TBODY TD TEXTAREA TH THEAD TR UL path svg
""".split()
)
ATTRIBUTES = set(
    """
    aria-haspopup aria-hidden aria-label aria-labelledby aria-live aria-pressed class d dir
    for hidden href id maxlength novalidate open placeholder rel role rows start tabindex
    target title type viewBox
""".split()
)
# Everything that is in the widget: tags, attributes, protocols of links.
INVENTORY = """() => {
  const all = [...document.querySelector("thrifty-rag-chat").shadowRoot.querySelectorAll("*")];
  const unique = (values) => [...new Set(values)];
  return {
    tags: unique(all.map((node) => node.tagName)),
    attributes: unique(all.flatMap((node) => node.getAttributeNames())),
    protocols: unique(all.filter((node) => node.href).map((node) => node.protocol)),
    turned: all.filter((node) => /[\\u202a-\\u202e\\u2066-\\u2069]/.test(node.textContent)).length,
  };
}"""
ASK = 'question => document.querySelector("thrifty-rag-chat").ask(question)'
# Opens the sources of the newest answer, one after the other. Returns what was shown of each.
OPEN_SOURCES = """async () => {
  const shadow = document.querySelector("thrifty-rag-chat").shadowRoot;
  const reader = shadow.querySelector(".reader");
  const shown = [];
  for (const source of shadow.querySelectorAll(".turn:last-child .source")) {
    source.click();
    while (!reader.querySelector(".note").hidden) await new Promise(requestAnimationFrame);
    shown.push(reader.textContent);
    reader.close();
  }
  return shown;
}"""


@pytest.fixture
def watched(page: Any, service_url: str) -> Any:
    """A page with an open chat; afterwards nothing hostile must have happened on it."""
    wrongs: list[str] = []
    page.on("dialog", lambda dialog: (wrongs.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("popup", lambda popup: wrongs.append(f"popup {popup.url}"))
    page.on(
        "request",
        lambda request: (
            None if request.url.startswith(service_url) else wrongs.append(f"request {request.url}")
        ),
    )
    open_page(page, service_url)
    open_chat(page)
    yield page
    check_inventory(page)
    page.reload()
    page.wait_for_selector(f"{CHAT} .turn")
    check_inventory(page)
    assert page.evaluate("[window.hacked, document.title]") == [None, "Help"]
    assert page.url == f"{service_url}/help"
    assert wrongs == []


def check_inventory(page: Any) -> None:
    """Only what the widget makes itself is in it."""
    found = page.evaluate(INVENTORY)
    assert set(found["tags"]) <= TAGS
    assert set(found["attributes"]) <= ATTRIBUTES
    assert set(found["protocols"]) <= {"http:", "https:", "mailto:"}
    assert found["turned"] == 0


def test_there_are_sixty() -> None:
    assert len(set(HOSTILE_TEXTS)) >= 60


@pytest.mark.parametrize("status", ["answered", "abstained"])
def test_hostile_answers_do_nothing(watched: Any, status: str) -> None:
    text = ""

    def play(route: Any) -> None:
        citation = {"marker": 1, "document_id": text, "title": text, "source": text, "page": text,
                    "start": 0, "end": len(text), "quote": text}  # fmt: skip
        action = {"type": "link", "url": text}
        answer = {**ANSWER, "answer": f"{text} [1]", "status": status, "action": action}
        step = len(text) // 20 + 3
        pieces = [text[at : at + step] for at in range(0, len(text), step)]
        events = [("delta", {"text": piece}) for piece in pieces]
        body = stream_of(*events, ("answer", {**answer, "citations": [citation]}))
        route.fulfill(body=body, content_type="text/event-stream")

    watched.route("**/v1/answers", play)
    watched.route("**/v1/documents/**", lambda route: route.fulfill(json={"text": text}))
    for text in HOSTILE_TEXTS:
        started = time.monotonic()
        watched.evaluate(ASK, text)
        assert len(watched.evaluate(OPEN_SOURCES)) == 1
        assert time.monotonic() - started < LONGEST_S, text[:80]


def test_hostile_documents_do_nothing(watched: Any, service_url: str) -> None:
    codes = [f"{number * 7919 % 9000 + 1000}" for number in range(1, len(HOSTILE_TEXTS) + 1)]
    documents = [
        {"title": f"Wall {code} {text[:500]}",
         "text": f"Visitors write this on wall {code}: {text}\n\nThey do so at night."}
        for code, text in zip(codes, HOSTILE_TEXTS, strict=True)
    ]  # fmt: skip
    index(service_url, documents)
    watched.evaluate(f"document.querySelector('{CHAT}').dataset.collection = 'hostile'")
    shown = []
    for code in codes:
        watched.evaluate(ASK, f"What do visitors write on wall {code}?")
        shown += watched.evaluate(OPEN_SOURCES)
    assert sum(any(f"wall {code}" in text for text in shown) for code in codes) >= 60
    assert any("<script>" in text for text in shown), "shown as the text that it is"


def index(url: str, documents: list[dict[str, str]]) -> None:
    """Ingest texts into a collection of their own, and wait for it."""
    sent = {"collection": "hostile", "documents": documents}
    job = httpx.post(f"{url}/v1/documents", json=sent, timeout=FAR_S).raise_for_status().json()
    while job["state"] in ("queued", "running"):
        time.sleep(0.1)
        job = httpx.get(f"{url}/v1/jobs/{job['id']}", timeout=FAR_S).json()
    assert job["report"]["counts"]["added"] == len(documents)
