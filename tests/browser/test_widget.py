"""The chat widget as a visitor meets it: the real service, the real script, a real browser.

Only states that the real service cannot be brought into here are played, by the browser's own
interception of requests or by a stand-in at another origin.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from answering_elsewhere import Elsewhere
from widget_page import (
    ANSWER,
    CHAT,
    PAGE,
    QUESTION,
    UNANSWERABLE,
    ask,
    focused,
    open_chat,
    open_page,
    play_answer,
    stream_of,
    wait_until_done,
)

FOLDER = Path(__file__).parents[2] / "api" / "static" / "widget"
MAX_BYTES = 30_000
PROMISED_LANGUAGES = "en de fr es it nl pt pl tr ar he ja zh".split()
STREAM = {"content_type": "text/event-stream"}
QUOTED = "costs nothing, because no paid model is called"


def test_the_script_is_small_and_inserts_text_only(service_url: str) -> None:
    response = httpx.get(f"{service_url}/widget.js")
    script = response.text
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert response.headers["content-encoding"] == "gzip"
    assert len(gzip.compress(response.content)) <= MAX_BYTES
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|srcdoc", script
    )
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert set(re.findall(r"https?://[^\s`\"'/]+", script)) <= {"http://www.w3.org"}


def test_every_module_is_in_the_script(service_url: str) -> None:
    script = httpx.get(f"{service_url}/widget.js").text
    for module in FOLDER.glob("*.js"):
        assert module.read_text("utf-8").splitlines()[0] in script, module.name


def test_no_name_is_given_twice_in_one_script() -> None:
    texts = [module.read_text("utf-8") for module in FOLDER.glob("*.js")]
    declared = re.compile(
        r"^(?:export )?(?:async )?(?:function\*?|class|const|let) (\w+)", re.MULTILINE
    )
    names = [name for text in texts for name in declared.findall(text)]
    assert len(names) > 20
    assert len(names) == len(set(names)), sorted(names)


def test_a_browser_that_has_the_script_is_told_so(service_url: str) -> None:
    first = httpx.get(f"{service_url}/widget.js")
    again = httpx.get(f"{service_url}/widget.js", headers={"If-None-Match": first.headers["etag"]})
    plain = httpx.get(f"{service_url}/widget.js", headers={"Accept-Encoding": "identity"})
    assert (again.status_code, again.content) == (304, b"")
    assert "content-encoding" not in plain.headers
    assert plain.text == first.text


def test_every_language_says_everything(page: Any, service_url: str) -> None:
    page.goto(service_url)
    *all_of_them, brazilian, unknown = page.evaluate(
        """async (languages) => {
          const { speak } = await import("/static/widget/languages.js");
          return [...languages.map((one) => speak([one])), speak(["xx", "pt-BR"]), speak([null])];
        }""",
        PROMISED_LANGUAGES,
    )
    assert [one["language"] for one in all_of_them] == PROMISED_LANGUAGES
    assert (brazilian["language"], unknown["language"]) == ("pt", "en")
    english = unknown["words"]
    for one in all_of_them:
        assert one["words"].keys() == english.keys(), one["language"]
        assert all(text.strip() for text in one["words"].values()), one["language"]
        for name, text in english.items():
            assert ("{n}" in text) == ("{n}" in one["words"][name]), (one["language"], name)
    assert {one["language"] for one in all_of_them if one["direction"] == "rtl"} == {"ar", "he"}


def test_a_question_is_answered_with_its_sources(page: Any, service_url: str) -> None:
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    open_page(page, service_url)
    open_chat(page)
    assert focused(page) == "question"
    with page.expect_response("**/v1/answers") as caught:
        turn = ask(page, QUESTION)
    assert caught.value.headers["content-type"].startswith("text/event-stream")
    assert re.fullmatch("[0-9a-f]{32}", caught.value.request.post_data_json["conversation_id"])
    assert QUESTION in turn.locator(".asked").inner_text()
    assert QUOTED in turn.locator(".answer").inner_text()
    assert turn.locator(".marker").first.get_attribute("aria-label") == "Source 1"
    assert "What an answer costs" in turn.locator(".source").first.inner_text()
    assert QUOTED in page.locator(f"{CHAT} .panel > [role=status]").inner_text()
    assert all(url.startswith(service_url) for url in asked_for)


def test_a_citation_opens_the_exact_quote(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    turn = ask(page, QUESTION)
    citation = httpx.post(f"{service_url}/v1/answers", json={"question": QUESTION}).json()[
        "citations"
    ][0]
    document = httpx.get(f"{service_url}/v1/documents/{citation['document_id']}").json()["text"]
    turn.locator(".marker").first.click()
    page.wait_for_selector(f"{CHAT} .reader .note", state="hidden")
    mark = page.locator(f"{CHAT} mark")
    before = mark.evaluate("mark => mark.previousSibling.data")
    assert mark.text_content() == citation["quote"]
    assert document[: citation["start"]].endswith(before.removeprefix("…"))
    assert "🪙" in document[: citation["start"]], "places in UTF-16 units would miss it"
    assert mark.evaluate(
        """mark => {
          const [inner, outer] = [mark, mark.parentElement]
            .map((one) => one.getBoundingClientRect());
          return inner.top >= outer.top && inner.bottom <= outer.bottom;
        }"""
    )
    page.keyboard.press("Escape")
    assert page.is_hidden(f"{CHAT} .reader")
    assert page.is_visible(f"{CHAT} .panel"), "one Escape closes one dialog"
    assert focused(page) == "marker"


def test_a_quote_that_is_gone_is_still_shown(page: Any, service_url: str) -> None:
    play_answer(page)
    open_page(page, service_url)
    open_chat(page)
    turn = ask(page, QUESTION)
    changed = {"text": "Something else."}
    page.route("**/v1/documents/*", lambda route: route.fulfill(json=changed))
    turn.locator(".source").click()
    page.wait_for_selector(f"{CHAT} .note:has-text('has changed')")
    assert page.locator(f"{CHAT} mark").text_content() == "Quotes are free"
    assert page.locator(f"{CHAT} .reader a").get_attribute("href") == "https://example.org/a"
    assert "page 3" in page.locator(f"{CHAT} .reader header").inner_text()


def test_a_verdict_reaches_the_service(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    turn = ask(page, QUESTION)
    with page.expect_response("**/v1/feedback") as caught:
        turn.get_by_role("button", name="Yes").click()
    assert caught.value.ok
    assert caught.value.json()["verdict"] == "right"
    page.wait_for_selector(f"{CHAT} .rating:has-text('Thank you!')")
    assert turn.get_by_role("button", name="Yes").get_attribute("aria-pressed") == "true"
    assert turn.get_by_role("button", name="No").get_attribute("aria-pressed") == "false"


def test_a_conversation_outlives_the_page(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    ask(page, QUESTION).get_by_role("button", name="Yes").click()
    page.wait_for_selector(f"{CHAT} .rating:has-text('Thank you!')")
    page.reload()
    page.wait_for_selector(f"{CHAT} .turn")
    assert page.is_visible(f"{CHAT} .panel")
    assert focused(page) == "BODY", "a page that loads keeps its focus"
    turn = page.locator(f"{CHAT} .turn")
    assert QUOTED in turn.inner_text()
    assert turn.get_by_role("button", name="Yes").get_attribute("aria-pressed") == "true"
    turn.locator(".source").first.click()
    page.wait_for_selector(f"{CHAT} .reader .note", state="hidden")
    page.keyboard.press("Escape")
    first = page.evaluate("document.querySelector('thrifty-rag-chat').memory.id")
    page.get_by_role("button", name="Start over").click()
    assert page.locator(f"{CHAT} .turn").count() == 0
    page.reload()
    page.wait_for_selector(f"{CHAT} .panel[open]")
    assert page.locator(f"{CHAT} .turn").count() == 0
    assert page.evaluate("document.querySelector('thrifty-rag-chat').memory.id") != first


def test_memory_that_somebody_broke_is_left_behind(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    for broken in ("{", '{"at": 9e15, "turns": [null, {"question": ""}]}', '"x"', '{"turns": 3}'):
        page.evaluate(
            "text => Object.keys(localStorage).forEach((name) => localStorage.setItem(name, text))",
            broken,
        )
        page.reload()
        page.wait_for_selector(f"{CHAT} .launcher", state="attached")
        assert page.locator(f"{CHAT} .turn").count() == 0


def test_text_appears_as_it_is_written_for_a_page_of_another_origin(
    page: Any, service_url: str
) -> None:
    events = [("delta", {"text": "Half "}), ("restart", {}), ("delta", {"text": "Quotes are"}),
              ("delta", {"text": " free [1]."}), ("answer", ANSWER)]  # fmt: skip
    with Elsewhere(events).running() as elsewhere:
        attributes = f'data-service="{elsewhere.service_url}" data-key="pk_1" data-collection="a"'
        elsewhere.html = PAGE.format(language="en", script=service_url, attributes=attributes)
        page.goto(elsewhere.page_url)
        open_chat(page)
        page.locator(f"{CHAT} textarea").fill(QUESTION)
        page.keyboard.press("Enter")
        for shown in ("Half", "Looking it up…", "Quotes are", "Quotes are free [1]."):
            elsewhere.may_write.release()
            page.locator(f"{CHAT} .answer").get_by_text(shown, exact=True).wait_for()
        spoken = page.locator(f"{CHAT} .panel > [role=status]")
        assert spoken.inner_text() == "Looking it up…", "pieces are not read out"
        assert page.get_by_role("button", name="Stop").count() == 1
        elsewhere.may_write.release()
        wait_until_done(page)
        assert spoken.inner_text().startswith("Answer: Quotes are free")
        assert page.locator(f"{CHAT} .marker").count() == 1
        [(headers, body)] = elsewhere.heard
    assert headers["authorization"] == "Bearer pk_1"
    assert "cookie" not in headers
    assert re.fullmatch("[0-9a-f]{32}", headers["x-rag-visitor"])
    assert body["question"] == QUESTION
    assert body["collection"] == "a"
    assert body["stream"] is True


def test_an_answer_can_be_stopped_and_asked_for_again(page: Any, service_url: str) -> None:
    held: list[Any] = []
    page.route("**/v1/answers", lambda route: held.append(route))  # noqa: PLW0108, Playwright wants a function
    open_page(page, service_url)
    open_chat(page)
    page.locator(f"{CHAT} textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector(f"{CHAT} .turn:has-text('You stopped this answer.')")
    page.unroute("**/v1/answers")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(f"{CHAT} .source")
    assert page.locator(f"{CHAT} .turn").count() == 1


@pytest.mark.parametrize(
    ("played", "shown", "may_retry"),
    [
        (None, "Are you online?", True),
        ({"status": 503, "json": {"detail": "full", "retryable": True}}, "very busy", True),
        ({"status": 429, "body": "<h1>no</h1>"}, "very busy", True),
        ({"status": 422, "json": {"detail": "too long"}}, "cannot be answered", False),
        ({"body": stream_of(("delta", {"text": "Half"})), **STREAM}, "broke off", True),
        ({"body": stream_of(("error", {"status": 503})), **STREAM}, "very busy", True),
        ({"body": "{", "content_type": "application/json"}, "broke off", True),
    ],
)
def test_what_goes_wrong_is_said_in_words(
    page: Any, service_url: str, played: dict[str, Any] | None, shown: str, may_retry: bool
) -> None:
    page.route(
        "**/v1/answers", lambda route: route.abort() if played is None else route.fulfill(**played)
    )
    open_page(page, service_url, 'data-handoff="https://example.org/contact"')
    open_chat(page)
    turn = ask(page, QUESTION)
    assert shown in turn.inner_text()
    assert shown in page.locator(f"{CHAT} .panel > [role=status]").inner_text()
    assert turn.get_by_role("button", name="Try again").count() == may_retry
    assert turn.get_by_role("link", name="Contact us").count() == 1


def test_what_is_not_found_is_handed_off(page: Any, service_url: str) -> None:
    open_page(page, service_url, 'data-handoff="mailto:help@example.org"')
    open_chat(page)
    turn = ask(page, UNANSWERABLE)
    assert "I could not find this in our documents." in turn.inner_text()
    assert turn.locator(".rating").count() == 0
    address = turn.get_by_role("link", name="Contact us").get_attribute("href")
    assert address.startswith("mailto:help@example.org?subject=Who%20won%20the")


@pytest.mark.parametrize(
    ("url", "offered"), [("https://example.org/c", 1), ("javascript:alert(1)", 0), (None, 0)]
)
def test_the_service_says_where_to_go(
    page: Any, service_url: str, url: str | None, offered: int
) -> None:
    action = url and {"type": "link", "url": url}
    play_answer(page, status="abstained", citations=[], action=action)
    open_page(page, service_url)
    open_chat(page)
    assert ask(page, QUESTION).get_by_role("link").count() == offered


def test_a_question_is_sent_to_people_with_an_address(page: Any, service_url: str) -> None:
    action = {"type": "webhook", "url": "v1/handoffs"}
    play_answer(page, status="abstained", citations=[], action=action)
    open_page(page, service_url)
    open_chat(page)
    turn = ask(page, QUESTION)
    send = turn.get_by_role("button", name="Contact us")
    send.click()
    assert turn.locator("input:invalid").count() == 1, "there is no reply without an address"
    turn.get_by_label("Your e-mail address").fill("ann@example.org")
    page.route("**/v1/handoffs", lambda route: route.abort())
    send.click()
    page.wait_for_selector(f"{CHAT} .message:has-text('Are you online?')")
    page.route("**/v1/handoffs", lambda route: route.fulfill(json={"status": "sent"}))
    with page.expect_request("**/v1/handoffs") as caught:
        send.click()
    page.wait_for_selector(f"{CHAT} .message:has-text('We will reply by e-mail.')")
    body = caught.value.post_data_json
    assert re.fullmatch("[0-9a-f]{32}", body.pop("conversation_id"))
    assert body == {"question": QUESTION, "contact": "ann@example.org", "answer_id": "ans_1"}
    page.reload()
    page.wait_for_selector(f"{CHAT} .turn:has-text('We will reply by e-mail.')")
    assert page.get_by_label("Your e-mail address").count() == 0
    assert "ann@" not in page.evaluate("JSON.stringify(localStorage)")


def test_an_unsure_answer_says_so(page: Any, service_url: str) -> None:
    play_answer(page, confidence=0.3)
    open_page(page, service_url)
    open_chat(page)
    assert "I am not sure about this" in ask(page, QUESTION).inner_text()
