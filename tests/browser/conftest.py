"""The real service in a process of its own, and a real browser."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from patience import FAR_S
from sqlalchemy import update

from api.state.opening import open_state
from benchmarks.made_answers import UNANSWERED, write_answers
from generation.overview.asked import ASKED_QUESTIONS
from indexing.manifest.manifest import Manifest

RAG = str(Path(sys.executable).with_name("rag"))
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
ACTION_TIMEOUT_MS = 60_000

# Coins outside the Basic Multilingual Plane stand before the sentence that is asked for, so that
# places counted in UTF-16 units would miss it; the paragraphs push it below the dialog's fold.
COSTS = (
    "# What an answer costs 🪙\n\n"
    + "".join(
        f"Paragraph {number} 🪙🪙: the harbour of the town was quiet on that evening.\n\n"
        for number in range(60)
    )
    + "An answer by quoting costs nothing, because no paid model is called.\n\n"
    + "".join(f"Paragraph {number}: the boats came home.\n\n" for number in range(60, 90))
)
SETTINGS = (
    "# Settings\n\n"
    "The variable RAG_DATA_DIR names the folder that holds the store, the manifest and uploads.\n"
)
HOSTILE = (
    "# Parking <img src=x onerror=\"document.title='hacked'\">\n\n"
    "Visitors park their bicycles behind the greenhouse <script>document.title='hacked'</script>"
    " and lock them to the blue rail <b>at night</b>.\n"
)
HOSTILE_TITLE = "Recall <img src=x onerror=\"document.title='hacked'\">"


@dataclass(frozen=True)
class Service:
    """A running `rag serve` and the command line that shares its data folder."""

    url: str
    environment: dict[str, str]

    def run(self, *arguments: str) -> None:
        """Run `rag` with `arguments`; fails the test with what it said when it fails."""
        _rag(self.environment, *arguments)


@pytest.fixture(scope="session")
def service_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service over three small documents, one of them hostile."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "costs.md").write_text(COSTS, encoding="utf-8")
    (folder / "settings.md").write_text(SETTINGS, encoding="utf-8")
    (folder / "parking.md").write_text(HOSTILE, encoding="utf-8")
    environment = _environment(tmp_path_factory.mktemp("data"))
    _rag(environment, "ingest", str(folder))
    with _serving(environment) as service:
        yield service.url


@pytest.fixture
def empty_service(tmp_path: Path) -> Iterator[Service]:
    """The service with nothing indexed."""
    with _serving(_environment(tmp_path / "data")) as service:
        yield service


@pytest.fixture(scope="session")
def busy_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with made-up answers of thirty days, which keeps questions and has budgets."""
    folder, data = tmp_path_factory.mktemp("documents"), tmp_path_factory.mktemp("data")
    for name in ("Returns", "Delivery", HOSTILE_TITLE):
        text = f"# {name}\n\nWhat there is to know about this stands here.\n"
        (folder / f"{len(name)}.md").write_text(text, "utf-8")
    environment = {
        **_environment(data),
        "RAG_DASHBOARD__KEEP_QUESTIONS": "true",
        "RAG_BUDGETS__DAY_USD": "0.05",
        "RAG_BUDGETS__MONTH_USD": "50",
    }
    with _serving(environment) as service:
        service.run("ingest", str(folder))
        engine = open_state(data)
        documents = [found.document_id for found in Manifest(engine).documents(None)]
        write_answers(engine, 900, days=30, until=datetime.now(UTC), documents=documents)
        hostile = update(ASKED_QUESTIONS).where(ASKED_QUESTIONS.c.question == UNANSWERED[3])
        with engine.begin() as connection:
            connection.execute(hostile.values(question=HOSTILE_TITLE))
        engine.dispose()
        yield service


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium. Scoped to the module: Playwright's loop must be gone before async tests run."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM}: install Debian's package chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A blank page, light unless a test asks for dark.

    Afterwards it must have met no script error and broken no content policy.
    """
    context = browser.new_context(color_scheme=getattr(request, "param", "light"))
    context.set_default_timeout(ACTION_TIMEOUT_MS)
    opened = context.new_page()
    wrongs: list[str] = []
    opened.on("pageerror", lambda error: wrongs.append(str(error)))
    opened.on(
        "console",
        lambda line: wrongs.append(line.text) if "Content Security Policy" in line.text else None,
    )
    yield opened
    context.close()
    assert wrongs == []


def _environment(data_dir: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    return {**inherited, "RAG_DATA_DIR": str(data_dir)}


def _rag(environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [RAG, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@contextlib.contextmanager
def _serving(environment: dict[str, str]) -> Iterator[Service]:
    with subprocess.Popen(
        [RAG, "serve", "--port", "0"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()  # "serving … at URL (…)", or nothing when it failed
            found = re.search(r"http://[\d.:]+", said)
            assert found, f"rag serve said {said!r}"
            _wait_until_ready(found[0])
            yield Service(found[0], environment)
        finally:
            _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(FAR_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + FAR_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"{url}/ready", timeout=FAR_S).is_success:
                return
        time.sleep(0.1)
    pytest.fail(f"rag serve was not ready within {FAR_S} s")
