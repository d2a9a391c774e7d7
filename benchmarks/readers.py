"""What the readers make of real office files, beside what other libraries make of them.

    python -m benchmarks.readers --data ../shared/data

For every file of files_office: the share of the words of a reference that are in our text (recall),
the share of our words that are in the reference (precision), and the same for each library that is
installed. The reference is the file in expected_outputs where there is one; those were written by
markitdown itself, which is why it has 1.000 there. For other files we and a library are compared
with each other: its recall is the share of our words that it found.

The libraries are looked for in this environment and in those named with `--python`, so that they
need not live beside the project.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.publish import write_result
from indexing.readers.by_extension import SUPPORTED_EXTENSIONS, ReadLimits, read_file
from rag.errors import DocumentError

# Run in another environment: prints the text of each file, or null, and the seconds it took.
_PEERS = {
    "markitdown": """
import json, sys, time
from markitdown import MarkItDown
reader = MarkItDown()
def read(path):
    return reader.convert(path).text_content
""",
    "trafilatura": """
import json, sys, time
import trafilatura
def read(path):
    if not path.endswith(".html"):
        return None
    with open(path, "rb") as file:
        page = file.read()
    return trafilatura.extract(page, include_tables=True, favor_recall=True)
""",
}
_LOOP = """
for path in sys.argv[1:]:
    began = time.perf_counter()
    try:
        text = read(path)
    except Exception:
        text = None
    print("\\x1e" + json.dumps([path, text, time.perf_counter() - began]))
"""


def words(text: str) -> Counter[str]:
    """The words of a text and how often each stands in it, without marks of tables and headings."""
    return Counter(re.findall(r"\w+", text.lower()))


def shares(found: str, reference: str) -> dict[str, float]:
    """Recall and precision of the words of `found`, 0 to 1."""
    ours, wanted = words(found), words(reference)
    common = (ours & wanted).total()
    return {
        "recall": round(common / max(wanted.total(), 1), 3),
        "precision": round(common / max(ours.total(), 1), 3),
    }


def ours(paths: Sequence[Path]) -> dict[str, tuple[str | None, float]]:
    """Our text of each file, None where it is refused, and the seconds it took."""
    texts: dict[str, tuple[str | None, float]] = {}
    for path in paths:
        began = time.perf_counter()
        try:
            result = read_file(path, "benchmark", path.name, ReadLimits())
            text = "\n\n".join(document.text for document in result.documents)
        except DocumentError as error:
            print(f"refused: {error}", file=sys.stderr)
            text = None
        texts[path.name] = text, time.perf_counter() - began
    return texts


def peer(
    name: str, pythons: Sequence[str], paths: Sequence[Path]
) -> dict[str, tuple[str | None, float]]:
    """The same of another library; empty where no environment has it."""
    for python in pythons:
        command = [python, "-c", _PEERS[name] + _LOOP, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            rows = [json.loads(line.splitlines()[0]) for line in done.stdout.split("\x1e")[1:]]
            return {Path(path).name: (text, seconds) for path, text, seconds in rows}
    print(f"{name} is not installed: give an environment that has it", file=sys.stderr)
    return {}


def compared(office: Path, pythons: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each file."""
    paths = sorted(path for path in office.iterdir() if path.suffix in SUPPORTED_EXTENSIONS)
    mine = ours(paths)
    others = {name: peer(name, pythons, paths) for name in _PEERS}
    rows = []
    for path in paths:
        text, seconds = mine[path.name]
        row: dict[str, Any] = {"file": path.name, "words": words(text or "").total()}
        row["ms"] = round(seconds * 1000, 1)
        expected = office / "expected_outputs" / f"{path.stem}.md"
        reference = (
            expected.read_text("utf-8") if path.suffix == ".pdf" and expected.exists() else ""
        )
        if reference:
            row["against_expected"] = shares(text or "", reference)
        for name, found in others.items():
            theirs, their_seconds = found.get(path.name, (None, 0.0))
            if theirs is not None:
                row[name] = {
                    "words": words(theirs).total(),
                    "ms": round(their_seconds * 1000, 1),
                    "ours_in_theirs": shares(text or "", theirs),
                }
                if reference:
                    row[name]["against_expected"] = shares(theirs, reference)
        rows.append(row)
    return rows


def printed(rows: Sequence[dict[str, Any]]) -> None:
    """The table, one line a file."""
    print(f"{'file':46} {'words':>6} {'ms':>7}  expected R/P    markitdown: words ms R/P    "
          "trafilatura: words ms R/P")  # fmt: skip
    for row in rows:
        line = f"{row['file'][:46]:46} {row['words']:6} {row['ms']:7}  "
        line += _pair(row.get("against_expected"))
        for name in _PEERS:
            told = row.get(name)
            line += (
                f"   {told['words']:6} {told['ms']:7} {_pair(told['ours_in_theirs'])}"
                if told
                else " " * 31
            )
        print(line)


def _pair(found: dict[str, float] | None) -> str:
    return f"{found['recall']:.3f}/{found['precision']:.3f}" if found else " " * 11


def main() -> None:
    """Read, compare, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--python", action="append", default=[], help="of another environment")
    arguments = parser.parse_args()
    rows = compared(arguments.data / "files_office", [sys.executable, *arguments.python])
    printed(rows)
    write_result("readers", {"files": rows})


if __name__ == "__main__":
    main()
