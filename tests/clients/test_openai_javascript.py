"""The official JavaScript client of OpenAI, as it is, against the real service."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from patience import FAR_S

HERE = Path(__file__).parent
ANSWER = "You can return an item within 30 days of delivery."


@pytest.fixture(scope="module")
def told(service_url: str) -> dict[str, Any]:
    """What `chat.mjs` saw."""
    if shutil.which("node") is None:
        pytest.skip("no node: install Debian's packages nodejs and npm")
    if not (HERE / "node_modules" / "openai").is_dir():
        pytest.skip(f"no JavaScript client: run `npm ci` in {HERE}")
    done = subprocess.run(
        ["node", "chat.mjs", f"{service_url}/v1"],
        cwd=HERE, capture_output=True, text=True, check=False, timeout=FAR_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_models(told: dict[str, Any]) -> None:
    assert told["models"] == ["museum", "shop"]


def test_chat(told: dict[str, Any]) -> None:
    [choice] = told["chat"]["choices"]
    assert ANSWER in choice["message"]["content"]
    assert told["chat"]["rag"]["citations"][0]["title"] == "Returns"


def test_stream(told: dict[str, Any]) -> None:
    *chunks, usage = told["chunks"]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)
    assert ANSWER in text
    assert text == told["helped"] == told["chat"]["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["rag"]["citations"][0]["title"] == "Returns"
    assert usage["usage"]["total_tokens"] == 0


def test_errors(told: dict[str, Any]) -> None:
    bad = {"kind": "BadRequestError", "status": 400}
    expected = [
        {"kind": "NotFoundError", "status": 404, "code": "model_not_found", "param": "model"},
        {**bad, "code": "question", "param": "messages"},
        {**bad, "code": "question", "param": "messages"},
        {**bad, "code": "invalid", "param": "n"},
    ]
    assert told["errors"] == expected * 2
