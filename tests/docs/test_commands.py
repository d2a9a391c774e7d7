"""The handbook tells the truth: its commands run, its links lead somewhere, nothing is missing.

In a ```console block, lines that begin with `$ ` are run; the lines below must stand in the output,
in order. Digits are compared as digits, white space as white space, and `…` stands for anything.
In http-api.md, every block with a curl command is run against a real service.
"""

import ast
import importlib
import json
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main
from patience import FAR_S, told_json

import api.routes
from api.cli.main import make_app
from api.settings import setting_paths, variable_name

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = sorted(DOCS.glob("*.md"))
TEXTS = {page.name: page.read_text("utf-8") for page in PAGES}
WHOLE = "\n".join(TEXTS.values())
SERVED_AT = "http://127.0.0.1:8000"
UNFINISHED = ("queued", "running")
BEGUN = ("started_at", "attempts", "progress")
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<![`!])\[[^\]\n]+\]\(([^)\s]+)\)")


def blocks(name):
    """The fenced blocks of a page, as pairs of language and content."""
    return [match.groups() for match in _BLOCK.finditer(TEXTS[name])]


def sessions(name):
    """The commands of a page's console blocks, each with the lines that it is said to print."""
    found = []
    for language, block in blocks(name):
        for line in block.splitlines() if language == "console" else ():
            if line.startswith("$ "):
                found.append((line.removeprefix("$ "), []))
            elif line.strip():
                found[-1][1].append(line)
    return found


WITH_SESSIONS = [page.name for page in PAGES if sessions(page.name)]


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """The folder in which the embedding model is prepared once for all pages."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def environment(tmp_path, models):
    """Variables for a shell in which `rag` works on an empty data folder."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "models").symlink_to(models, target_is_directory=True)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RAG_")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"RAG_DATA_DIR": str(data), "PATH": path}


@pytest.mark.parametrize("name", WITH_SESSIONS)
def test_the_commands_print_what_the_page_says(name, tmp_path, environment):
    folder = tmp_path / "work"
    folder.mkdir()
    for command, expected in sessions(name):
        done = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        output = squeezed(done.stdout)
        for line in expected:
            found = re.search(pattern(line), output)
            assert found, f"{command} does not print {line!r}, but {done.stdout}"
            output = output[found.end() :]


def test_console_blocks_show_the_main_commands():
    ran = " ".join(command for name in WITH_SESSIONS for command, _ in sessions(name))
    for command in ("ingest", "ask", "forget", "config"):
        assert f"rag {command}" in ran


@pytest.fixture
def service(tmp_path, environment):
    """The URL of a service, and the folder in which its caller sits."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "hours.md").write_text("# Opening hours\n\nThe shop opens at 9:00 on weekdays.\n")
    with subprocess.Popen(
        ["rag", "serve", "--port", "0", "--json"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield told_json(process)["url"], folder
        finally:
            process.terminate()
            process.wait(timeout=FAR_S)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_http_examples_answer_what_the_page_says(service, environment):
    url, folder = service
    pairs = zip(blocks("http-api.md"), blocks("http-api.md")[1:], strict=False)
    examples = [(one, kind, shown) for (lang, one), (kind, shown) in pairs if lang == "sh"]
    assert len(examples) >= 12
    job = ""
    for command, kind, shown in examples:
        answer = curl(command.replace(SERVED_AT, url), folder, environment | {"JOB": job})
        if kind == "json":
            found, told = json.loads(answer), json.loads(shown)
            assert shape(without_progress(found)) == shape(without_progress(told)), command
            for key in ("status", "answer", "detail"):
                assert found.get(key) == told.get(key), command
            job = found["id"] if found.get("id", "").startswith("job_") else job
            if told.get("state") == "queued":
                wait_for(f"{url}/v1/jobs/{job}", folder, environment)
            else:
                assert found.get("state") == told.get("state"), command
        else:
            events = re.compile(r"^event: .*$", re.MULTILINE)
            assert events.findall(answer) == events.findall(shown)


def test_links_lead_to_pages_and_headings():
    for name, text in TEXTS.items():
        for target in _LINK.findall(text):
            if target.startswith(("http://", "https://")):
                continue
            page, _, anchor = target.partition("#")
            assert (page or name) in TEXTS, f"{name} links to {target}"
            if anchor:
                assert anchor in anchors(TEXTS[page or name]), f"{name} links to {target}"


def test_the_front_page_links_to_every_page():
    linked = {target.partition("#")[0] for target in _LINK.findall(TEXTS["index.md"])}
    assert linked >= set(TEXTS) - {"index.md"}


def test_every_command_and_option_is_documented():
    commands = typer.main.get_command(make_app(None)).commands
    for name, command in commands.items():
        assert f"rag {name}" in WHOLE
        for parameter in command.params:
            for option in parameter.opts:
                if option.startswith("--") and option != "--help":
                    assert option in WHOLE, f"rag {name} {option}"


def test_every_setting_is_documented():
    for path in setting_paths():
        assert variable_name(path) in TEXTS["configuration.md"]


def test_every_route_is_documented():
    for module in pkgutil.iter_modules(api.routes.__path__):
        for route in importlib.import_module(f"api.routes.{module.name}").router.routes:
            path = route.path.replace(":path}", "}")
            for method in route.methods - {"HEAD"}:
                assert f"`{method} {path}`" in TEXTS["http-api.md"]


def test_every_documented_route_exists():
    existing = {
        f"{method} {route.path.replace(':path}', '}')}"
        for module in pkgutil.iter_modules(api.routes.__path__)
        for route in importlib.import_module(f"api.routes.{module.name}").router.routes
        for method in route.methods
    }
    for name, text in TEXTS.items():
        for method, path in re.findall(r"`(GET|POST|PUT|DELETE) (/[^`?\s]*)[^`]*`", text):
            shown = path.replace("{id}", "{document_id}")
            assert path == "/openapi.json" or f"{method} {shown}" in existing, f"{name}: {path}"


def test_every_message_under_troubleshooting_stands_in_the_code():
    templates = [text for path in source_files() for text in message_templates(path)]
    for row in re.findall(r"^\| `(.+?)` ", TEXTS["troubleshooting.md"], re.MULTILINE):
        parts = row.split("…")
        wanted = re.compile(".*?".join(map(re.escape, parts)), re.DOTALL)
        holding = (text for text in templates if all(part in text for part in parts))
        assert any(wanted.search(text) for text in holding), row


def test_every_test_named_as_a_proof_exists():
    tests = DOCS.parent / "tests"
    for row in re.findall(r"^\| .* \| (`.*`) \|$", TEXTS["guarantees.md"], re.MULTILINE):
        for file, names in re.findall(r"`([\w/]+\.py)`: ((?:`\w+`(?:, )?)+)", row):
            [module] = tests.rglob(file.removeprefix("tests/"))
            for name in re.findall(r"`(\w+)`", names):
                assert f"def {name}(" in module.read_text("utf-8"), f"{file}: {name}"


def source_files():
    """The modules of the packages."""
    packages = ("rag", "indexing", "retrieval", "compression", "generation", "evaluation", "api")
    return [path for name in packages for path in (DOCS.parent / name).rglob("*.py")]


def message_templates(path):
    """The texts in a module, `…` for every value that is put into one."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
            yield "".join(map(str, parts))


def squeezed(text):
    """`text` with single spaces and every digit as 0."""
    return re.sub(r"\d+", "0", " ".join(text.split()))


def pattern(line):
    """What matches an expected line in squeezed output."""
    return ".*?".join(re.escape(squeezed(part)) for part in line.split("…"))


def curl(command, folder, environment):
    """What a curl command prints."""
    return subprocess.run(
        command.replace("curl ", "curl --silent --noproxy '*' ", 1),
        shell=True,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def wait_for(job_url, folder, environment):
    """Wait until a job is done."""
    while json.loads(curl(f"curl {job_url}", folder, environment))["state"] != "done":
        pass


def without_progress(answer):
    """Without what depends on whether a job that was just accepted has begun already."""
    return answer | dict.fromkeys(BEGUN) if answer.get("state") in UNFINISHED else answer


def shape(value):
    """The keys and the kinds of values of some JSON; numbers are of one kind."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return "number" if isinstance(value, int | float) else type(value).__name__


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
