"""Takes the picture of the chat widget for the handbook: the real service, a real browser.

    python docs/take_pictures.py

Needs Debian's chromium, and Playwright, which comes with the extra `test`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

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
}
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


def take(page: Page, url: str) -> None:
    """Ask the questions on a page of a shop, and keep what is seen."""
    page.route("**/shop", lambda route: route.fulfill(body=SHOP, content_type="text/html"))
    page.goto(f"{url}/shop")
    chat = page.locator("thrifty-rag-chat")
    chat.get_by_role("button", name="Lumen help").click()
    for question in QUESTIONS:
        chat.get_by_role("textbox").fill(question)
        page.keyboard.press("Enter")
        chat.locator(".turn", has_text=question).locator(".rating").wait_for()
    page.screenshot(path=IMAGES / "widget.png")


def main() -> None:
    """Serve the documents of a shop from an empty folder, and take the pictures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in DOCUMENTS.items():
            (folder / file).write_text(text, "utf-8")
        environment = {**os.environ, "RAG_DATA_DIR": str(folder / "data")}
        ingest = [str(RAG), "ingest", *DOCUMENTS]
        subprocess.run(ingest, cwd=folder, env=environment, check=True)  # noqa: S603, our own
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
                take(browser.new_page(**options), found[0])  # type: ignore[arg-type]
                browser.close()
            service.terminate()


if __name__ == "__main__":
    main()
