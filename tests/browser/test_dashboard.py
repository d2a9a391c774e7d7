"""The page at `/dashboard` as a person meets it: the real service, its real numbers, a browser."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from widget_page import PHONE, axe_violations

STATIC = Path(__file__).parents[2] / "api" / "static"
VENDORED = {  # npm, uplot 1.6.32
    "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot.LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
TITLES = ("Dollars", "Answers by tier", "Given again and not answered", "Confidence", "Latency")


def open_dashboard(page: Any, url: str) -> None:
    page.emulate_media(reduced_motion="reduce")
    page.goto(url + "/dashboard")
    page.wait_for_selector("#content:not([hidden])")


def numbers(url: str, **asked: str) -> Any:
    return httpx.get(f"{url}/v1/dashboard", params=asked).json()


def wait_until_drawn(page: Any, title: str) -> None:
    """Wait until more than a thousand points of a plot's canvas are drawn."""
    page.wait_for_function(
        """title => {
          const figures = [...document.querySelectorAll("figure")];
          const figure = figures.find((one) => one.innerText.includes(title));
          const canvas = figure?.querySelector("canvas");
          if (!canvas?.width) return false;
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return data.filter((value, place) => place % 4 === 3 && value > 0).length > 1000;
        }""",
        arg=title,
    )


def test_the_library_of_plots_is_what_its_makers_published() -> None:
    vendor = STATIC / "vendor"
    assert {file.name for file in vendor.iterdir()} == set(VENDORED)
    for name, digest in VENDORED.items():
        assert hashlib.sha256((vendor / name).read_bytes()).hexdigest() == digest, name
    assert "uPlot (v1.6.32)" in (vendor / "uPlot.iife.min.js").read_text("utf-8")[:100]


def test_files_are_small_and_insert_text_only() -> None:
    scripts = [*(STATIC / "dashboard").glob("*.js"), STATIC / "figures.js"]
    assert sum(file.stat().st_size for file in scripts) < 30_000
    for file in scripts:
        text = file.read_text("utf-8")
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)
    markup = (STATIC / "dashboard.html").read_text("utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)", markup)
    assert "//" not in markup.replace("<!doctype html>", ""), "a foreign address"


def test_the_sums_are_those_of_the_service(page: Any, busy_service: Any) -> None:
    asked_for: list[str] = []
    page.on("request", lambda request: asked_for.append(request.url))
    open_dashboard(page, busy_service.url)
    told = numbers(busy_service.url)
    sums = page.inner_text("#sums")
    assert f"${float(told['total']['spent_usd']):.2f}" in sums
    assert f"${float(told['total']['saved_usd']):.2f}" in sums
    assert f"{told['total']['answers']:,}" in sums
    assert f"{told['wrong']} of {told['judged']} judged" in sums
    assert all(url.startswith(busy_service.url) for url in asked_for), "a foreign request"
    assert any("/v1/dashboard?since=" in url for url in asked_for)


def test_every_plot_is_drawn_and_told_in_a_table(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    for title in TITLES:
        wait_until_drawn(page, title)
    tiers = page.locator("figure", has_text="Answers by tier")
    assert "premium" in tiers.locator(".legend").inner_text()
    tiers.get_by_text("Numbers").click()
    rows = tiers.locator("tbody tr")
    assert rows.count() == 30
    point = numbers(busy_service.url)["points"][-1]
    row = rows.first.inner_text().split()
    assert row[0] == point["start"]
    assert [int(value) for value in row[1:]] == list(point["tiers"].values())


def test_pointing_at_a_plot_tells_its_numbers(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    figure = page.locator("figure", has_text="Confidence").first
    assert "%" in figure.locator(".legend").inner_text()
    figure.locator(".u-over").hover(position={"x": 100, "y": 60})
    assert re.search(r"\d{4}-\d\d-\d\d", figure.locator(".legend").inner_text())


def test_answers_worth_a_look_budgets_drift_and_jobs(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    unanswered = page.locator("section", has_text="Questions that the documents do not answer")
    assert re.search(r"Do you deliver to Norway\?\s+\d+ times", unanswered.inner_text(), re.I)
    dearest = page.locator("section", has_text="The dearest answers").inner_text()
    assert numbers(busy_service.url)["dearest"][0]["question"] in dearest
    assert "% sure" in page.locator("section", has_text="Said to be wrong").last.inner_text()
    assert "of $50.00" in page.inner_text("#budgets")
    drift = page.locator("section", has_text="Drift").last.inner_text()
    assert "Highest cosine" in drift
    assert re.search(r"Stable|Moved|Drifted", drift)
    assert "done" in page.locator("section", has_text="Ingestion jobs").last.inner_text()


def test_hostile_texts_stay_texts(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    assert page.get_by_text("<img src=x").count() >= 2, "as a question and as a topic"
    assert page.locator("main img, main script").count() == 0
    assert page.title() == "Dashboard · Thrifty RAG"


def test_another_time_is_shown(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    with page.expect_response("**/v1/dashboard?**") as caught:
        page.select_option("#days", "2")
    found = caught.value.json()
    assert found["step"] == "hour"
    page.wait_for_function(
        "text => document.querySelector('#sums').innerText.includes(text)",
        arg=f"{found['total']['answers']:,}",
    )
    page.locator("figure", has_text="Dollars").get_by_text("Numbers").click()
    assert (
        ":00" in page.locator("figure", has_text="Dollars").locator("tbody th").first.inner_text()
    )
    with page.expect_response("**/v1/dashboard?**") as caught:
        page.fill("#reference", found["drift"]["reference"]["since"])
    assert caught.value.json()["drift"]["reference"]["since"] in caught.value.url


def test_the_page_looks_again_by_itself(page: Any, busy_service: Any) -> None:
    page.clock.install()
    open_dashboard(page, busy_service.url)
    with page.expect_response("**/v1/dashboard?**"):
        page.clock.run_for(11_000)


def test_without_answers_it_says_so(page: Any, empty_service: Any) -> None:
    open_dashboard(page, empty_service.url)
    assert page.is_visible("#empty")
    assert page.is_hidden("#sums")
    assert "No budget is set" in page.inner_text("#budgets")
    assert "Nobody has judged an answer yet." in page.inner_text("#tables")
    assert axe_violations(page) == []
    httpx.post(
        empty_service.url + "/v1/documents", json={"documents": [{"id": "a", "text": "Tea."}]}
    )
    page.wait_for_timeout(500)
    asked = {"question": "Who won the chess olympiad?"}
    assert httpx.post(empty_service.url + "/v1/answers", json=asked).is_success
    page.reload()
    page.wait_for_selector("#sums:not([hidden])")
    unanswered = page.locator("section", has_text="Questions that the documents do not answer")
    assert "RAG_DASHBOARD__KEEP_QUESTIONS=true" in unanswered.inner_text()
    assert "chess" not in page.inner_text("main")
    assert axe_violations(page) == [], "one answer"


def test_a_lost_service_is_admitted(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    page.route("**/v1/dashboard?**", lambda route: route.abort())
    page.select_option("#days", "7")
    page.wait_for_selector("#problem:not([hidden])")
    assert "cannot be reached" in page.inner_text("#problem")
    assert axe_violations(page) == []
    page.unroute("**/v1/dashboard?**")
    page.click("text=Try again")
    page.wait_for_selector("#problem", state="hidden")


@pytest.mark.parametrize("page", ["light", "dark"], indirect=True)
def test_axe_finds_nothing_wrong(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    assert axe_violations(page) == []
    for opened in page.get_by_text("Numbers").all():
        opened.click()
    assert axe_violations(page) == [], "with all tables"


def test_phone_needs_no_sideways_scrolling(page: Any, busy_service: Any) -> None:
    page.set_viewport_size(PHONE)
    open_dashboard(page, busy_service.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert axe_violations(page) == []
    page.set_viewport_size({"width": 1200, "height": 800})
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.querySelector('.uplot').offsetWidth < 360")


def test_keyboard_reaches_choices_and_tables(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
    assert reached[0] == "days"
    assert reached.count("Numbers") == len(TITLES)


def test_both_pages_lead_to_each_other(page: Any, busy_service: Any) -> None:
    open_dashboard(page, busy_service.url)
    page.get_by_role("link", name="Ask a question").click()
    page.wait_for_selector("#question")
    page.get_by_role("link", name="Dashboard").click()
    page.wait_for_selector("#content:not([hidden])")
