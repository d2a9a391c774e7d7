"""Tracing is off by itself, and what turns it on is checked before anything starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from api.settings import load_settings
from rag.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "endpoint", ["collector:4318", "grpc://collector:4317", "http://", "http://me:secret@host"]
)
def test_what_is_no_address_of_a_collector_is_told(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("RAG_TRACING__ENDPOINT", endpoint)
    with pytest.raises(SettingsError, match=r"such as http://127\.0\.0\.1:4318"):
        load_settings()


def test_an_empty_variable_is_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAG_TRACING__ENDPOINT", "")
    assert load_settings().tracing.endpoint is None


def test_without_a_collector_nothing_of_it_is_loaded() -> None:
    done = run(
        "import sys, api.build, api.http.app\n"
        "late = {'api.telemetry.tracing', 'opentelemetry.sdk'}\n"
        "print(*late & set(sys.modules))"
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_an_extra_that_is_not_installed_is_told_with_what_installs_it() -> None:
    done = run(
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from api.build import open_tracing\n"
        "from api.settings import Settings\n"
        "open_tracing(Settings(tracing={'endpoint': 'http://127.0.0.1:4318'}))"
    )
    assert "MissingExtraError: OpenTelemetry, which RAG_TRACING__ENDPOINT needs," in done.stderr
    assert "pip install 'thrifty-rag[otel]'" in done.stderr
