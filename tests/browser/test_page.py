"""The page at `/` as a person meets it: the real service, the real files, a real browser.

Only states that the real service cannot be brought into here (a spent budget, a connection that
breaks) are played by the browser's own interception of requests.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import FAR_S
from widget_page import axe_violations

STATIC = Path(__file__).parents[2] / "api" / "static"
QUESTION = "What does an answer by quoting cost?"
UNANSWERABLE = "Who won the chess olympiad of 1978 in Buenos Aires?"
PHONE = {"width": 360, "height": 740}
ANSWER: dict[str, Any] = {
    "id": "ans_1",
    "status": "degraded",
    "answer": "Quotes are free [1]. Not cited [7].",
    "tier": "extractive",
    "model": "quote",
    "confidence": 0.42,
    "citations": [
        {"marker": 1, "document_id": "doc_1", "title": "Costs", "source": "https://example.org/a?b=c",
         "page": 3, "start": 0, "end": 15, "quote": "Quotes are free"},
        {"marker": 2, "document_id": "doc_2", "title": "Trap", "source": "javascript:alert(1)",
         "page": None, "start": 0, "end": 1, "quote": "x"},
    ],
    "usage": {"input_tokens": 0, "cached_input_tokens": 0, "output_tokens": 0,
              "context_tokens": 1312},
    "cost": {"total_usd": "0.000000", "baseline_usd": None, "saved_usd": None,
             "lines": [{"stage": "retrieve", "model": None, "usd": "0.000000", "ms": 3.1}]},
    "degraded_because": "the budget of $1.00 for this day is spent",
}  # fmt: skip

# The lowest contrast of any visible text against the nearest opaque background, WCAG 2.
CONTRAST = """() => {
  const parse = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255)
    .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const backdrop = (node) => {
    for (; node; node = node.parentElement) {
      const colour = parse(getComputedStyle(node).backgroundColor);
      if (colour.length === 3) return colour;
    }
    return [255, 255, 255];
  };
  const modal = document.querySelector("dialog[open]");
  const found = [...(modal ?? document.body).querySelectorAll("*")]
    .filter((node) => node.checkVisibility() && node.tagName !== "METER")
    .filter((node) => [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim()))
    .map((node) => {
      const [a, b] = [light(parse(getComputedStyle(node).color)), light(backdrop(node))];
      return [(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), node.textContent.slice(0, 40)];
    });
  return found.sort((a, b) => a[0] - b[0])[0];
}"""


def open_page(page: Any, url: str) -> None:
    page.goto(url + "/")
    page.wait_for_selector("#service:not([data-state=waiting])")


def ask(page: Any, question: str) -> None:
    page.fill("#question", question)
    page.keyboard.press("Enter")
    page.wait_for_selector("#progress", state="hidden")


def play_answer(page: Any, answer: dict[str, Any]) -> None:
    page.route("**/v1/answers", lambda route: route.fulfill(json=answer))


def test_files_are_small_and_insert_text_only() -> None:
    files = [STATIC / name for name in ("index.html", "style.css", "app.js")]
    assert sum(file.stat().st_size for file in files) < 30_000
    markup, _, script = (file.read_text(encoding="utf-8") for file in files)
    script += "".join(file.read_text("utf-8") for file in (STATIC / "playground").iterdir())
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", markup)
    assert "//" not in markup.replace("<!doctype html>", ""), "a foreign address"


def test_start_shows_what_the_page_is_for(page: Any, service_url: str) -> None:
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    open_page(page, service_url)
    assert page.title() == "Thrifty RAG"
    assert page.inner_text("h1") == "Thrifty RAG"
    assert page.inner_text("#service") == "Ready · 3 documents"
    assert page.evaluate("document.activeElement.id") == "question"
    assert "What does an answer cost?" in page.inner_text("#examples")
    assert page.is_hidden("#result")
    assert page.is_hidden("#empty")
    assert all(url.startswith(service_url) for url in asked_for)


def test_page_forbids_foreign_content(service_url: str) -> None:
    response = httpx.get(service_url + "/", timeout=FAR_S)
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in response.headers["content-security-policy"]


def test_answer_comes_with_citation_confidence_and_bill(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    with page.expect_response("**/v1/answers") as caught:
        ask(page, QUESTION)
    assert caught.value.headers["content-type"].startswith("text/event-stream")
    assert page.inner_text("#asked") == QUESTION
    quoted = "costs nothing, because no paid model is called"
    assert quoted in page.inner_text("#answer")
    assert page.locator("#answer .marker").first.inner_text() == "[1]"
    assert page.get_attribute("#answer", "aria-busy") == "false"
    card = page.locator("#citation-1")
    assert quoted in card.locator("blockquote").inner_text()
    assert "costs.md" in card.locator(".meta").inner_text()
    assert re.fullmatch(r"\d+%", page.inner_text(".gauge").strip())
    assert page.locator("meter").evaluate("meter => meter.value > 0 && meter.value <= 1")
    assert "extractive" in page.inner_text("#facts dl")
    bill = page.inner_text(".bill")
    for word in ("retrieve", "compress", "generate", "Total", "Baseline", "Saved"):
        assert word in bill
    assert re.search(r"Total\s+[\d.]+ m?s\s+\$0\n", bill)
    assert re.search(r"Baseline.*\$0\.\d{6}", bill, re.DOTALL)


def test_answer_tells_why_its_tier_and_where_the_time_went(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, "Which variable names the folder that holds the manifest?")  # asked nowhere else
    why = page.locator("#facts div", has_text="Why this tier").inner_text()
    assert re.search(r"confidence of [01]\.\d\d", why)
    stages = page.locator(".bill tbody tr")
    begun = stages.locator(".trace .length").evaluate_all(
        "nodes => nodes.map((node) => node.getBoundingClientRect().left)"
    )
    assert len(begun) == stages.count() >= 3
    assert begun == sorted(begun), "one after the other"
    paid, baseline = page.locator(".against .length").evaluate_all(
        "nodes => nodes.map((node) => node.offsetWidth / node.parentElement.offsetWidth)"
    )
    assert paid < 0.05
    assert baseline == 1


def test_hits_and_context_are_shown_when_asked_for(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, QUESTION)
    page.get_by_text("Hits and context").click()
    page.wait_for_selector(".hits")
    asked = {"question": QUESTION}
    hits = httpx.post(service_url + "/v1/search", json=asked).json()["hits"]
    context = httpx.post(service_url + "/v1/context", json=asked).json()
    shown = page.locator(".hits li")
    assert shown.count() == len(hits)
    assert f"{hits[0]['score']:.3f}" in shown.first.inner_text()
    assert "in the context" in page.inner_text(".hits")
    assert page.locator(".context").text_content() == context["context"]
    assert f"{context['tokens']:,} tokens" in page.inner_text(".found")
    shown.first.get_by_role("button").click()
    page.wait_for_selector("mark")
    assert page.locator("mark").text_content() == hits[0]["text"]


def test_an_arm_and_a_model_are_told(page: Any, service_url: str) -> None:
    usage = {"input_tokens": 1200, "cached_input_tokens": 800, "output_tokens": 90}
    told = {"tier": "premium", "model": "big-1", "arm": "tone/short", "because": "worth it"}
    play_answer(page, {**ANSWER, **told, "usage": {**usage, "context_tokens": 9}})
    open_page(page, service_url)
    ask(page, QUESTION)
    facts = page.inner_text("#facts dl")
    for text in ("tone/short", "worth it", "big-1", "1,200 tokens read, 800 of them cached"):
        assert text in facts


def test_hits_that_cannot_be_fetched_are_admitted(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, QUESTION)
    page.route("**/v1/search", lambda route: route.abort())
    page.get_by_text("Hits and context").click()
    page.wait_for_selector(".found .bad")
    assert "rag serve" in page.inner_text(".found .bad")


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_wrong(page: Any, service_url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    open_page(page, service_url)
    assert axe_violations(page) == [], "at the start"
    ask(page, QUESTION)
    page.get_by_text("Hits and context").click()
    page.wait_for_selector(".hits")
    page.click("#documents summary")
    assert axe_violations(page) == [], "with an answer"


def test_marker_leads_to_its_citation(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, QUESTION)
    page.locator("#answer .marker").first.click()
    assert page.evaluate("document.activeElement.id") == "citation-1"


def test_dialog_highlights_the_exact_span(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, QUESTION)
    citation = httpx.post(
        service_url + "/v1/answers", json={"question": QUESTION}, timeout=FAR_S
    ).json()["citations"][0]
    document = httpx.get(
        f"{service_url}/v1/documents/{citation['document_id']}", timeout=FAR_S
    ).json()
    assert "🪙" in document["text"][: citation["start"]]
    page.locator("#citation-1 blockquote").click()
    page.wait_for_selector("mark")
    shown = page.locator("#reader-text").text_content()
    before = page.evaluate("document.querySelector('mark').previousSibling.data")
    assert shown == document["text"]
    assert page.locator("mark").text_content() == citation["quote"]
    assert len(before) == citation["start"]  # Python counts code points, as the service does
    assert page.inner_text("#reader-title") == citation["title"]
    assert page.locator("mark").evaluate(
        """mark => {
          const box = mark.parentElement;
          const [inner, outer] = [mark, box].map((node) => node.getBoundingClientRect());
          return box.scrollTop > 0 && inner.top >= outer.top && inner.bottom <= outer.bottom;
        }"""
    )


def test_span_that_no_longer_fits_is_found_or_admitted(page: Any, service_url: str) -> None:
    listed = httpx.get(service_url + "/v1/documents", timeout=FAR_S).json()["documents"]
    settings = next(item for item in listed if "Settings" in item["title"])
    cited = {**ANSWER["citations"][0], "document_id": settings["document_id"]}
    moved = {**cited, "marker": 1, "quote": "RAG_DATA_DIR"}
    gone = {**cited, "marker": 2, "quote": "This sentence was deleted."}
    play_answer(page, {**ANSWER, "citations": [moved, gone]})
    open_page(page, service_url)
    ask(page, QUESTION)
    page.locator("#citation-1 button").click()
    assert page.locator("mark").text_content() == "RAG_DATA_DIR"
    page.click("#close")
    page.locator("#citation-2 button").click()
    page.wait_for_selector("#reader-note:not([hidden])")
    assert "has changed" in page.inner_text("#reader-note")
    assert page.locator("mark").count() == 0


def test_unanswerable_question_is_not_answered(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, UNANSWERABLE)
    assert "The documents do not answer this." in page.inner_text("#notice")
    assert page.inner_text("#answer") == "", "says it once"
    assert page.is_visible(".bill")


def test_hostile_document_stays_text(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, "Where do visitors park their bicycles?")
    assert "<script>" in page.inner_text("#citation-1 blockquote")
    page.locator("#citation-1 button").click()
    page.wait_for_selector("mark")
    assert "<b>at night</b>" in page.inner_text("#reader-text")
    page.click("#close")
    page.click("#documents summary")
    assert "<img src=x" in page.inner_text("#documents ul")
    assert page.locator("main img, main script, main b, dialog img, dialog script").count() == 0
    assert page.title() == "Thrifty RAG"


def test_document_can_be_read_from_the_list(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    page.click("#documents summary")
    page.get_by_role("button", name="Settings").click()
    page.wait_for_selector("#reader-text:has-text('RAG_DATA_DIR')")
    assert "settings.md" in page.inner_text("#reader-meta")
    assert page.locator("mark").count() == 0


def test_example_is_asked_by_a_click(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    page.get_by_role("button", name="What does an answer cost?").click()
    page.wait_for_selector(".bill")
    assert page.input_value("#question") == "What does an answer cost?"


def test_problem_of_the_service_is_shown(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, "why " * 2_000)
    assert "4,000" in page.inner_text("#problem")
    assert page.locator("#problem button").count() == 0, "the same question cannot succeed"
    page.click("summary:has-text('Options')")
    page.fill("#max-context-tokens", "-5")
    ask(page, QUESTION)
    assert "-5" in page.inner_text("#problem")


def test_empty_question_is_not_sent(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    page.click("button:has-text('Ask')")
    assert page.inner_text("#question-note") == "Write a question first."
    assert page.is_hidden("#result")


def test_lost_network_can_be_tried_again(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    page.route("**/v1/answers", lambda route: route.abort())
    ask(page, QUESTION)
    assert "The service cannot be reached" in page.inner_text("#problem")
    page.unroute("**/v1/answers")
    page.click("text=Try again")
    page.wait_for_selector("#citation-1")
    assert page.is_hidden("#problem")


def test_unreachable_service_is_admitted_at_the_start(page: Any, service_url: str) -> None:
    for path in ("**/ready", "**/v1/documents"):
        page.route(path, lambda route: route.abort())
    open_page(page, service_url)
    assert "cannot be reached" in page.inner_text("#service")
    assert page.is_hidden("#empty"), "nothing is known about the documents"


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ([("delta", {"text": "Half an"})], "The answer broke off"),
        (
            [
                ("delta", {"text": "Half"}),
                ("error", {"title": "Overloaded", "detail": "come back"}),
            ],
            "come back",
        ),
    ],
)
def test_stream_that_fails_is_a_problem(
    page: Any, service_url: str, events: list[tuple[str, Any]], shown: str
) -> None:
    body = "".join(f"event: {name}\r\ndata: {json.dumps(data)}\r\n\r\n" for name, data in events)
    page.route(
        "**/v1/answers", lambda route: route.fulfill(body=body, content_type="text/event-stream")
    )
    open_page(page, service_url)
    ask(page, QUESTION)
    assert shown in page.inner_text("#problem")
    assert page.is_hidden("#facts")


def test_waiting_is_shown_and_can_be_stopped(page: Any, service_url: str) -> None:
    held: list[Any] = []
    page.route("**/v1/answers", lambda route: held.append(route))  # noqa: PLW0108, Playwright wants a function
    open_page(page, service_url)
    page.fill("#question", QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Reading the documents…")
    assert page.get_attribute("#answer", "aria-busy") == "true"
    page.click("#stop")
    page.wait_for_selector("#problem:has-text('You stopped this question.')")
    assert page.is_hidden("#progress")


def test_degraded_answer_says_why_and_unknown_is_not_nothing(page: Any, service_url: str) -> None:
    play_answer(page, ANSWER)
    open_page(page, service_url)
    ask(page, QUESTION)
    assert "the budget of $1.00 for this day is spent" in page.inner_text("#notice")
    assert page.inner_text("#answer") == "Quotes are free [1]. Not cited [7]."
    assert page.locator("#answer .marker").count() == 1
    assert page.inner_text(".gauge").strip() == "42%"
    assert "1,312 tokens" in page.inner_text("#facts")
    assert len(re.findall("unknown", page.inner_text(".bill"))) == 2
    link = page.locator("#citation-1 a")
    assert link.get_attribute("href") == "https://example.org/a?b=c"
    assert "noopener" in link.get_attribute("rel")
    assert "page 3" in page.inner_text("#citation-1")
    assert page.locator("#citation-2 a").count() == 0
    assert "javascript:alert(1)" in page.inner_text("#citation-2")


def test_empty_service_tells_how_to_index(page: Any, empty_service: Any, tmp_path: Path) -> None:
    open_page(page, empty_service.url)
    assert "rag ingest PATH" in page.inner_text("#empty")
    assert page.is_hidden("#examples")
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "tea.md").write_text("# Tea\n\nGreen tea is brewed at 70 degrees.\n")
    empty_service.run("ingest", str(folder), "--collection", "kitchen")
    page.click("#look-again")
    page.wait_for_selector("#documents:not([hidden])")
    assert page.is_hidden("#empty")
    ask(page, "At how many degrees is green tea brewed?")  # in the only collection there is
    assert "70 degrees" in page.inner_text("#answer")
    (folder / "tea.md").write_text("# Cars\n\nRed cars need 95 octane petrol.\n")
    empty_service.run("ingest", str(folder / "tea.md"), "--collection", "garage")
    open_page(page, empty_service.url)
    page.select_option("#collection", "garage")
    ask(page, "Which petrol do red cars need?")
    assert "95 octane" in page.inner_text("#answer")


def test_keyboard_reaches_everything(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, QUESTION)
    page.locator("#citation-1 button").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("mark")
    assert page.evaluate("document.activeElement.tagName") == "MARK"
    page.keyboard.press("Escape")
    assert page.is_hidden("#reader")
    assert page.evaluate("document.activeElement.closest('.cited').id") == "citation-1"
    page.focus("#question")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate(
                """(() => {
                  const node = document.activeElement;
                  const outline = getComputedStyle(node).outlineStyle;
                  return [node.textContent.trim().split("\\n")[0], outline];
                })()"""
            )
        )
    names = [name for name, _ in reached]
    assert names[:2] == ["Ask", "Options"]
    assert "[1]" in names
    assert any(name.startswith("Documents") for name in names)
    assert all(outline != "none" for name, outline in reached if name in ("Ask", "Options", "[1]"))


def test_structure_is_named_for_assistive_technology(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    ask(page, QUESTION)
    for landmark in ("banner", "main", "contentinfo", "complementary"):
        assert page.get_by_role(landmark).count() == 1
    assert page.get_by_role("textbox", name="Your question").count() == 1
    assert page.get_by_role("meter", name="Confidence").count() == 1
    assert page.get_by_role("table", name="Bill").count() == 1
    assert page.get_by_role("link", name="Citation 1").count() >= 1
    assert page.get_attribute("#answer", "aria-live") == "polite"
    assert page.evaluate(
        "[...document.querySelectorAll('input, select, textarea')].every((n) => n.labels.length)"
    )


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_text_has_contrast(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    page.click("#documents summary")
    lowest = [page.evaluate(CONTRAST)]
    ask(page, QUESTION)
    lowest.append(page.evaluate(CONTRAST))
    page.locator("#citation-1 button").click()
    page.wait_for_selector("mark")
    lowest.append(page.evaluate(CONTRAST))
    page.click("#close")
    ask(page, UNANSWERABLE)
    lowest.append(page.evaluate(CONTRAST))
    ask(page, "why " * 2_000)
    lowest.append(page.evaluate(CONTRAST))
    assert min(lowest)[0] >= 4.5, min(lowest)


def test_phone_needs_no_sideways_scrolling(page: Any, service_url: str) -> None:
    page.set_viewport_size(PHONE)
    open_page(page, service_url)
    page.click("#documents summary")
    ask(page, QUESTION)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.locator("#citation-1 button").click()
    page.wait_for_selector("mark")
    assert page.evaluate("document.querySelector('#reader-text').scrollWidth") <= PHONE["width"]
    box = page.locator("#close").bounding_box()
    assert box["x"] + box["width"] <= PHONE["width"]
    page.click("#close")
    assert page.is_hidden("#reader")
