"""How long a test waits for what has to come, and what it reads when it has come."""

from __future__ import annotations

import json
from subprocess import Popen
from typing import Any

FAR_S = 300.0
"""Seconds. A working machine needs few of them, but a shared one may stand still for a minute."""


def told_json(process: Popen[str]) -> dict[str, Any]:
    """The first object that a process writes. Fails when the process ends without."""
    assert process.stdout is not None
    shown = ""
    for line in process.stdout:
        shown += line
        if line == "}\n":
            told: dict[str, Any] = json.loads(shown)
            return told
    raise AssertionError(f"the process ended after it had written {shown!r}")
