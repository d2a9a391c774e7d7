"""How the chat widget fits in: keyboard, phone, direction, colours, and the page around it."""

from __future__ import annotations

from typing import Any

from widget_page import (
    CHAT,
    PHONE,
    QUESTION,
    ask,
    focused,
    open_chat,
    open_page,
    wait_until_done,
)


def test_the_keyboard_is_enough(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    page.focus("#link")
    page.keyboard.press("Tab")
    assert focused(page) == "launcher"
    page.keyboard.press("Enter")
    assert focused(page) == "question"
    page.keyboard.type("What does an answer")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("by quoting cost?")
    page.keyboard.press("Enter")
    wait_until_done(page)
    reached = []
    while len(reached) < 12 and "launcher" not in reached:
        page.keyboard.press("Shift+Tab")
        reached.append(focused(page))
        if reached[-1] == "BODY":
            break
    assert {"marker", "source", "log"} <= set(reached), reached
    assert {"round right", "round wrong"} <= set(reached), reached
    page.evaluate("document.querySelector('thrifty-rag-chat').open()")
    page.keyboard.press("Escape")
    assert page.is_hidden(f"{CHAT} .panel")
    assert focused(page) == "launcher"


def test_a_wide_page_stays_in_use_beside_the_chat(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    page.click("#link")
    assert focused(page) == "link"
    assert page.is_visible(f"{CHAT} .panel")


def test_a_phone_gives_the_chat_the_whole_screen(page: Any, service_url: str) -> None:
    page.set_viewport_size(PHONE)
    open_page(page, service_url)
    open_chat(page)
    turn = ask(page, QUESTION)
    box = page.locator(f"{CHAT} .panel").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 360, 740)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for _ in range(12):
        page.keyboard.press("Tab")
        assert focused(page) != "link", "what is covered cannot be reached"
    buttons = page.locator(f"{CHAT} .panel button")
    sizes = "all => all.map((one) => Math.min(one.offsetWidth, one.offsetHeight))"
    assert min(buttons.evaluate_all(sizes)) >= 24
    turn.locator(".source").first.click()
    page.wait_for_selector(f"{CHAT} .reader .note", state="hidden")
    box = page.locator(f"{CHAT} .reader").bounding_box()
    assert (box["x"], box["y"], box["width"], box["height"]) == (0, 0, 360, 740)
    page.keyboard.press("Escape")
    page.reload()
    page.wait_for_selector(f"{CHAT} .launcher", state="attached")
    assert page.is_hidden(f"{CHAT} .panel"), "a page that loads on a phone is not covered"


def test_a_panel_follows_the_size_of_its_window(page: Any, service_url: str) -> None:
    open_page(page, service_url)
    open_chat(page)
    page.set_viewport_size(PHONE)
    page.wait_for_selector(f"{CHAT} .panel:modal")
    page.set_viewport_size({"width": 1200, "height": 800})
    page.wait_for_selector(f"{CHAT} .panel[open]:not(:modal)")
    assert page.is_hidden(f"{CHAT} .launcher")


def test_right_to_left_turns_the_chat_around(page: Any, service_url: str) -> None:
    open_page(page, service_url, language="ar-EG")
    page.locator(f"{CHAT} .launcher").click()
    panel = page.locator(f"{CHAT} .panel")
    assert panel.evaluate("node => getComputedStyle(node).direction") == "rtl"
    assert panel.bounding_box()["x"] < 100, "in the other corner"
    assert "اطرح سؤالاً" in panel.inner_text()
    page.locator(f"{CHAT} textarea").fill(QUESTION)
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{CHAT} .source")
    texts = page.locator(f"{CHAT} .answer > p, {CHAT} .asked > :last-child")
    assert set(texts.evaluate_all("all => all.map((one) => getComputedStyle(one).direction)")) == {
        "ltr"
    }


def test_a_page_chooses_how_it_looks(page: Any, service_url: str) -> None:
    attributes = (
        'data-title="Lamps" data-greeting="Shine!" data-color="#ffd54a" data-position="left" '
        'data-theme="dark" data-language="de"'
    )
    open_page(page, service_url, attributes)
    open_chat(page)
    panel = page.locator(f"{CHAT} .panel")
    assert panel.bounding_box()["x"] < 100
    header = panel.locator("header")
    style = "node => [getComputedStyle(node).backgroundColor, getComputedStyle(node).color]"
    assert header.evaluate(style) == ["rgb(255, 213, 74)", "rgb(0, 0, 0)"], "readable on any colour"
    assert panel.evaluate(style) == ["rgb(26, 30, 33)", "rgb(230, 232, 233)"]
    assert header.inner_text().strip() == "Lamps"
    assert "Shine!" in panel.inner_text()
    assert page.get_by_role("button", name="Schließen").count() == 1
    page.evaluate(
        "document.querySelector('thrifty-rag-chat').style.setProperty('--rag-surface', '#000080')"
    )
    assert panel.evaluate(style)[0] == "rgb(0, 0, 128)"


def test_the_page_around_changes_nothing_in_the_chat(page: Any, service_url: str) -> None:
    open_page(page, service_url)  # whose style sheet is loud
    open_chat(page)
    title = page.locator(f"{CHAT} #title")
    assert title.evaluate("node => getComputedStyle(node).letterSpacing") == "normal"
    assert title.evaluate("node => getComputedStyle(node).fontSize") == "17px"


def test_a_strict_content_policy_is_kept(page: Any, service_url: str) -> None:
    page.goto(service_url)  # the page at / has one
    page.add_script_tag(url="/widget.js")
    open_chat(page)
    ask(page, QUESTION)
    assert (
        page.locator(f"{CHAT} .panel").evaluate("node => getComputedStyle(node).display") == "flex"
    )


def test_an_element_of_the_page_itself_is_enough(page: Any, service_url: str) -> None:
    html = f'<title>x</title><script src="/widget.js"></script><{CHAT} data-title="Mine"></{CHAT}>'
    page.route("**/help", lambda route: route.fulfill(body=html, content_type="text/html"))
    page.goto(f"{service_url}/help")
    page.wait_for_selector(f"{CHAT} .launcher")
    assert page.locator(CHAT).count() == 1
    open_chat(page)
    assert page.locator(f"{CHAT} #title").inner_text() == "Mine"
