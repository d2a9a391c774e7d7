"""Takes the pictures of the pages for the handbook: the real service, a real browser.

    PYTHONPATH=. python docs/take_pictures.py

The answers on the dashboard are made up. Needs Debian's chromium, and Playwright, which comes with
the extra `test`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from api.state.opening import open_state
from benchmarks.made_answers import write_answers
from indexing.manifest.manifest import Manifest

IMAGES = Path(__file__).with_name("images")
RAG = Path(sys.executable).with_name("rag")
DOCUMENTS = {
    "returns.md": """# Returns and refunds

You can return any item within 30 days of delivery, unused and in its original packaging.
Start a return from your account page: choose the order, print the label, drop the parcel anywhere.

We refund the full price within 5 working days after the parcel has reached our warehouse.
The money goes back to the card or the account that you paid with.
""",
    "shipping.md": """# Shipping

Orders placed before 14:00 leave our warehouse the same working day.
Standard delivery takes 2 to 4 working days and costs 4.90 euros.
""",
    "invoices.md": "# Invoices\n\nEvery parcel holds an invoice with VAT.\n",
    "repairs.md": "# Repairs\n\nWe repair every lamp of ours, after the warranty at cost.\n",
    "recall.md": "# Recall of the Lumen 3\n\nLamps sold in October get a new plug for free.\n",
}
ENVIRONMENT = {
    "RAG_DASHBOARD__KEEP_QUESTIONS": "true",
    "RAG_BUDGETS__DAY_USD": "0.25",
    "RAG_BUDGETS__MONTH_USD": "5",
}
ANSWERS = 4_000
QUESTIONS = ("How long do I have to return an item?",)
SHOP = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Lumen</title><style>
body { margin: 0; font: 17px/1.6 Georgia, serif; color: #26323a; background: #fbf8f3 }
header { padding: 22px 56px; background: #26323a; color: #fff; font-size: 22px }
main { padding: 36px 56px; max-width: 500px } li { margin: 10px 0 }
</style></head><body><header>Lumen · lamps since 1962</header><main><h1>How can we help?</h1>
<p>Most questions about orders, returns and repairs are answered in our handbook.</p>
<ul><li>Where is my order?</li><li>Returns and refunds</li><li>Repairs and spare parts</li>
<li>Invoices</li></ul></main>
<script src="/widget.js" data-title="Lumen help"></script></body></html>"""


def take_widget(page: Page, url: str) -> None:
    """Ask the questions on a page of a shop."""
    page.route("**/shop", lambda route: route.fulfill(body=SHOP, content_type="text/html"))
    page.goto(f"{url}/shop")
    chat = page.locator("thrifty-rag-chat")
    chat.get_by_role("button", name="Lumen help").click()
    for question in QUESTIONS:
        chat.get_by_role("textbox").fill(question)
        page.keyboard.press("Enter")
        chat.locator(".turn", has_text=question).locator(".rating").wait_for()
    page.screenshot(path=IMAGES / "widget.png")


def take_playground(page: Page, url: str) -> None:
    """Ask on the page for questions."""
    page.set_viewport_size({"width": 1100, "height": 1120})
    page.goto(url)
    for question in ("What does delivery cost?", "When do you refund the price of a parcel?"):
        page.get_by_label("Your question").fill(question)  # the first one warms the model up
        page.keyboard.press("Enter")
        page.locator("#asked", has_text=question).wait_for()
        page.locator("#facts .bill").wait_for()
    page.screenshot(path=IMAGES / "page.png")


def take_dashboard(page: Page, url: str) -> None:
    """Look at the dashboard."""
    page.set_viewport_size({"width": 1280, "height": 1150})
    page.goto(f"{url}/dashboard")
    page.locator("#sums .panel").first.wait_for()
    page.wait_for_function("document.querySelectorAll('canvas').length === 5")
    page.screenshot(path=IMAGES / "dashboard.png")


def make_answers(data: Path) -> None:
    """Write the answers of a month into the state."""
    state = open_state(data)
    documents = [found.document_id for found in Manifest(state).documents(None)]
    write_answers(state, ANSWERS, days=30, until=datetime.now(UTC), documents=documents)
    state.dispose()


def main() -> None:
    """Serve the documents of a shop from an empty folder, and take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in DOCUMENTS.items():
            (folder / file).write_text(text, "utf-8")
        environment = {**os.environ, **ENVIRONMENT, "RAG_DATA_DIR": str(folder / "data")}
        ingest = [str(RAG), "ingest", *DOCUMENTS]
        subprocess.run(ingest, cwd=folder, env=environment, check=True)  # noqa: S603, our own
        make_answers(folder / "data")
        serve = [str(RAG), "serve", "--port", "0"]
        with subprocess.Popen(  # noqa: S603, our own
            serve, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        ) as service:
            assert service.stdout is not None
            found = re.search(r"http://[\d.:]+", service.stdout.readline())
            assert found
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
                )
                size = {"width": 1040, "height": 640}
                options = {"viewport": size, "reduced_motion": "reduce", "color_scheme": "light"}
                for take in (take_widget, take_playground, take_dashboard):
                    take(browser.new_page(**options), found[0])  # type: ignore[arg-type]
                browser.close()
            service.terminate()


if __name__ == "__main__":
    main()
