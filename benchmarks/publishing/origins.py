"""Where each result comes from: commit, machine, versions, and how long it took."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.publishing.markdown import Result, table

PACKAGES = ("numpy", "onnxruntime", "qdrant-edge-py", "sentence-transformers")
WRITTEN_BY_BENCHMARKS = (":!docs", ":!benchmarks/results")
_STARTED = time.perf_counter()


def origin(root: Path) -> dict[str, Any]:
    """Of a result that is made now, by this process, from the checkout in `root`."""
    return {
        "commit": _commit(root),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "took_s": round(time.perf_counter() - _STARTED),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def origins(results: Mapping[str, Result]) -> str:
    """One row for each result that says where it comes from."""
    told = {name: result for name, result in results.items() if "commit" in result}
    rows = [
        [
            f"`{name}`",
            result["commit"],
            result["python"],
            " × ".join(str(result[name]) for name in ("cores", "processor") if name in result),
            ", ".join(f"{name} {found}" for name, found in _versions(result).items()),
            f"{result['took_s'] / 60:.1f}" if "took_s" in result else "",
        ]
        for name, result in sorted(told.items())
    ]
    head = ["Result", "Commit", "Python", "Cores", "Versions", "Took, minutes"]
    return f"{table(head, rows)}{_together(told)}"


def _together(told: Mapping[str, Result]) -> str:
    took = [result.get("took_s") for result in told.values()]
    known = [one for one in took if one is not None]
    if len(known) < len(took):
        return ""
    return f"\n\nAll of it together took {sum(known) / 60:.0f} minutes."


def _versions(result: Result) -> dict[str, str]:
    """Of the result, and of the systems that it compares."""
    found = dict(result.get("versions", {}))
    for system in result.get("systems", {}).values():
        found |= system["versions"]
    return dict(sorted(found.items()))


def _commit(root: Path) -> str:
    """The commit, marked where the code is not what it holds; what benchmarks write is no code."""
    command = ["git", "rev-parse", "--short=7", "HEAD"]
    commit = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    command = ["git", "diff", "--quiet", "HEAD", "--", *WRITTEN_BY_BENCHMARKS]
    is_changed = subprocess.run(command, cwd=root, check=False).returncode
    return commit.strip() + ("-dirty" if is_changed else "")


def _processor() -> str:
    """The processor's name, as the system tells it."""
    told = Path("/proc/cpuinfo")
    for line in told.read_text().splitlines() if told.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
