"""The examples in Python of the handbook's pages on clients, run one after the other."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from client_place import Place

DOCS = Path(__file__).resolve().parents[2] / "docs"
SERVED_AT = "http://127.0.0.1:8000"
ANSWER = "You can return an item within 30 days of delivery."


def ran(page: str, place: Place, url: str) -> str:
    """What the examples of a page print, against the service at `url`."""
    text = (DOCS / page).read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert examples
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(examples).replace(SERVED_AT, url)],
        env=place.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_llama_index(place: Place) -> None:
    assert not place.is_held
    printed = ran("integrations.md", place, "")
    assert ANSWER in printed
    assert "shop.md" in printed


def test_openai(place: Place, service_url: str) -> None:
    printed = ran("openai-api.md", place, service_url)
    assert printed.count(ANSWER) == 3  # the answer, its quote, the stream
    assert "1 Returns You can return" in printed
    assert "0.000000" in printed
