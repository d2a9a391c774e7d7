"""The benchmarks that borrow from the tests start where no test runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from patience import FAR_S

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["budgets", "dashboard"])
def test_it_starts(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=FAR_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "usage" in done.stdout
