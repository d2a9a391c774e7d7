"""The house rules of docs: who may import whom, what importing costs, how long things may be."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from patience import FAR_S

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT = {
    "rag": set(),
    "indexing": {"rag"},
    "retrieval": {"rag"},
    "compression": {"rag"},
    "generation": {"rag"},
    "evaluation": {"rag"},
    "api": {"rag", "indexing", "retrieval", "compression", "generation", "evaluation"},
}
OUTSIDE = {"tests", "benchmarks"}  # of ours, and not installed
TAKEN_BY_PYTHON_3_14 = {"gzip", "bz2", "lzma", "zlib", "zstd", "_common"}
SLOW = ("onnxruntime", "qdrant_edge", "fastapi", "sqlalchemy", "llama_index", "numpy")
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60


@cache
def modules() -> dict[str, Path]:
    """Every module of the installed packages by its dotted name."""
    found = {}
    for package in MAY_IMPORT:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported(name: str) -> Iterator[str]:
    """The modules that `name` imports anywhere, in functions and under TYPE_CHECKING too."""
    path = modules()[name]
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*up, node.module or ""]).strip(".") if node.level else node.module
            assert base is not None
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules() else base


def ours(name: str) -> set[str]:
    """The modules of ours that `name` imports, itself left out."""
    return {found for found in imported(name) if found in modules()} - {name}


def test_the_modules_are_found() -> None:
    assert {"rag.types", "api.build", "compression.budget"} <= set(modules())
    assert "indexing.sentences" in ours("indexing.chunking")
    assert "api.build" in ours("api.cli.main"), "an import under TYPE_CHECKING counts"


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_its_floor_allows(package: str) -> None:
    allowed = MAY_IMPORT[package] | {package}
    wrong = [
        f"{name} imports {target}"
        for name in modules()
        if name.split(".")[0] == package
        for target in imported(name)
        if target.split(".")[0] in (set(MAY_IMPORT) | OUTSIDE) - allowed
    ]
    assert not wrong


def test_every_package_of_the_project_is_in_the_table() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - OUTSIDE <= set(MAY_IMPORT)


def test_no_imports_go_in_a_circle() -> None:
    done: set[str] = set()
    circles = []

    def walk(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            circles.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for target in sorted(ours(name)):
                walk(target, (*path, name))
            done.add(name)

    for name in modules():
        walk(name, ())
    assert not circles


def test_no_module_in_compression_has_a_name_of_python_3_14() -> None:
    names = {path.stem for path in (ROOT / "compression").rglob("*")}
    assert not names & TAKEN_BY_PYTHON_3_14


def test_no_file_is_named_for_nothing_in_particular() -> None:
    vague = {"utils", "helpers", "common", "manager", "base"}
    assert not {path.stem for path in modules().values()} & vague


@pytest.mark.parametrize("name", sorted(modules()))
def test_a_file_is_short_enough_to_read(name: str) -> None:
    path = modules()[name]
    file_lines = len(path.read_text().splitlines())
    assert file_lines <= MAX_FILE_LINES
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MAX_FUNCTION_LINES, f"{node.name} has {lines} lines"


def run_python(code: str, folder: Path) -> str:
    """The standard output of a fresh interpreter, in an empty folder, with no settings of ours."""
    environment = {k: v for k, v in os.environ.items() if not k.upper().startswith("RAG_")}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=FAR_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_command_line_imports_nothing_slow(tmp_path: Path) -> None:
    code = (
        "import json, sys\nimport api.cli.main\n"
        f"print(json.dumps([name for name in {SLOW!r} if name in sys.modules]))"
    )
    assert json.loads(run_python(code, tmp_path)) == []


def test_importing_starts_no_thread_and_writes_no_file(tmp_path: Path) -> None:
    code = """
import importlib, json, sys, threading
written, started = [], []
def watch(event, args):
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        written.append(str(args[0]))
    elif event in ("os.mkdir", "sqlite3.connect", "socket.connect", "subprocess.Popen"):
        written.append(f"{event} {args[0]}")
    elif event == "_thread.start_new_thread":
        started.append(repr(args[0]))
sys.addaudithook(watch)
for name in NAMES:
    importlib.import_module(name)
    alive = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    if alive:
        started.append(f"{name}: {alive}")
print(json.dumps([written, started]))
"""
    names = f"NAMES = {sorted(modules())!r}\n"
    written, started = json.loads(run_python(names + code, tmp_path))
    assert written == []
    assert started == []
    assert list(tmp_path.iterdir()) == []
