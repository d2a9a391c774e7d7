"""`rag evaluate` around the fake application, in this process and through a service."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_fakes import TEXTS, MakeApplication, MakeClient, QuotingGenerator, fake_application, ingest
from typer.testing import CliRunner

from api.cli.main import make_app
from api.doors.door import LocalDoor
from api.doors.through_service import RemoteDoor
from api.fitting.evaluating import DoorSystem, Plan, evaluate
from evaluation.asking import PipelineSystem
from evaluation.loading import load_questions
from evaluation.questions import EvaluationQuestion
from evaluation.report import Report
from rag.errors import StoreUnavailableError
from rag.ports import Listener
from rag.types import Context, Generation, Hit, Question

ROWS: list[dict[str, Any]] = [
    {"id": "days", "question": "How many days do refunds take?", "answer": "14 days",
     "spans": [{"document": "refunds.md", "text": "Refunds take 14 days."}]},
    {"id": "free", "question": "When is shipping free?", "documents": ["shipping.md"]},
    {"id": "chess", "question": "Who won?", "answerable": False},
]  # fmt: skip


def invoke(*arguments: str, build: Any = fake_application) -> Any:
    return CliRunner().invoke(make_app(build), list(arguments))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A question set, beside a collection that answers it."""
    folder = tmp_path / "docs"
    folder.mkdir()
    for name, text in TEXTS.items():
        (folder / f"{name}.md").write_text(text)
    assert invoke("ingest", str(folder)).exit_code == 0
    file = tmp_path / "help.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    return file


class CountingGenerator(QuotingGenerator):
    """Counts what it is asked, and fails when it is told to."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.asked: list[str] = []
        self._fails_at = fails_at

    async def generate(
        self, question: Question, hits: list[Hit], context: Context, listener: Listener
    ) -> Generation:
        if len(self.asked) == self._fails_at:
            raise StoreUnavailableError("the server of the store is out of reach: start it")
        self.asked.append(question.text)
        return await super().generate(question, hits, context, listener)


def with_generator(generator: CountingGenerator) -> Any:
    return lambda settings: fake_application(settings, generator=generator)


def test_a_table_is_printed_and_a_report_is_kept(file: Path, tmp_path: Path) -> None:
    done = invoke("evaluate", str(file), "--output", "out")
    assert done.exit_code == 0, done.stderr
    cells = {line.split("│")[1].strip(): line.split("│")[2:] for line in done.stdout.splitlines()
             if "│" in line}  # fmt: skip
    assert [cell.strip() for cell in cells["nDCG@10"][:3]] == ["1.000", "1.000 to 1.000", "2"]
    assert cells["abstention AUROC"][0].strip() == "1.000"
    assert cells["answered"][2].strip() == "2"
    assert done.stderr.splitlines() == ["note: the report is in out/report.html"]
    assert {path.name for path in Path("out").iterdir()} == {
        "records.jsonl", "report.html", "report.json"
    }  # fmt: skip
    told = json.loads(invoke("evaluate", str(file), "--output", "out", "--json").stdout)
    assert told == json.loads(Path("out/report.json").read_text())
    assert told["about"]["documents"] == 2
    assert told["about"]["settings"]["context"]["max_tokens"] == 1_000


def test_what_was_asked_is_not_asked_again_unless_it_is_wanted(file: Path) -> None:
    broken = CountingGenerator(fails_at=2)
    done = invoke("evaluate", str(file), build=with_generator(broken))
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: the server of the store is out of")
    resumed = CountingGenerator()
    done = invoke("evaluate", str(file), build=with_generator(resumed))
    assert done.exit_code == 0
    assert "note: 2 records of these settings and documents are kept" in done.stderr
    assert resumed.asked == [ROWS[2]["question"]]
    fresh = CountingGenerator()
    assert invoke("evaluate", str(file), "--fresh", build=with_generator(fresh)).exit_code == 0
    assert len(fresh.asked) == 3


def test_gold_that_was_corrected_is_measured_without_asking_again(file: Path) -> None:
    invoke("evaluate", str(file))
    file.write_text(json.dumps(ROWS[0] | {"answer": "15 days", "spans": []}))
    silent = CountingGenerator(fails_at=0)
    done = invoke("evaluate", str(file), "--json", build=with_generator(silent))
    assert done.exit_code == 0, done.stderr
    figures = {one["name"]: one["value"] for one in json.loads(done.stdout)["measurements"]}
    assert figures["answer retained"] == 0


def test_other_settings_or_documents_start_anew(file: Path, tmp_path: Path) -> None:
    invoke("evaluate", str(file), "--output", "out")
    done = invoke("evaluate", str(file), "--output", "out", "--max-context-tokens", "50")
    assert "starting anew" in done.stderr
    (tmp_path / "docs" / "refunds.md").write_text("Refunds take 14 days. Mostly.")
    invoke("ingest", str(tmp_path / "docs"))
    done = invoke("evaluate", str(file), "--output", "out", "--max-context-tokens", "50")
    assert "starting anew" in done.stderr
    for tokens in ("50", "60"):
        invoke("evaluate", str(file), "--max-context-tokens", tokens)
    folders = list((tmp_path / ".rag" / "evaluations").iterdir())
    assert len(folders) == 2, "each state has a folder of its own"


def test_two_runs_are_compared(file: Path) -> None:
    invoke("evaluate", str(file), "--output", "one")
    done = invoke(
        "evaluate", str(file), "--output", "two", "--max-context-tokens", "50", "--against", "one"
    )
    assert done.exit_code == 0, done.stderr
    assert (
        "against one: 3 questions in both; settings that differ: context.max_tokens" in done.stdout
    )
    told = json.loads(Path("two/report.json").read_text())["comparison"]
    assert told["changed_settings"] == {"context.max_tokens": [1_000, 50]}
    assert {one["p"] for one in told["differences"] if one["name"] == "nDCG@10"} == {1}


def test_a_sample_is_the_same_for_a_seed_and_part_of_a_larger_one(file: Path) -> None:
    def asked(*options: str) -> list[str]:
        told = json.loads(invoke("evaluate", str(file), "--json", *options).stdout)
        return [row["question_id"] for row in told["rows"]]

    one, two = asked("--limit", "1"), asked("--limit", "2")
    assert one == asked("--limit", "1")
    assert set(one) < set(two)
    assert asked("--limit", "9") == ["days", "free", "chess"]
    assert {asked("--limit", "1", "--seed", str(seed))[0] for seed in range(8)} > set(one)


@pytest.mark.parametrize(
    ("row", "arguments", "words"),
    [
        (
            {"question": "a", "documents": ["nope.md"]},
            [],
            "row 1: the collection holds no",
        ),
        ({"question": "x" * 5_000}, [], "row 1: the question has 5,000 characters"),
        ({"qestion": "a"}, [], "row 1: 'qestion' is no field"),
        ({"question": "a"}, ["-c", "nope"], "no collection 'nope': there are default"),
        ({"question": "a"}, ["-c", "a/b"], "collection is 'a/b'"),
        ({"question": "a"}, ["--max-context-tokens", "0"], "context.max_tokens is 0"),
        ({"question": "a"}, ["--against", "nope"], "nope cannot be read"),
        ({"question": "a"}, ["--output", "help.jsonl"], "give another folder with --output"),
    ],
)
def test_bad_input_gets_one_line(
    file: Path, row: dict[str, Any], arguments: list[str], words: str
) -> None:
    file.write_text(json.dumps(row))
    done = invoke("evaluate", str(file), *arguments)
    assert done.exit_code == 1
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.parametrize("arguments", [[], ["q.jsonl", "--limit", "0"], ["q.jsonl", "--seed", "x"]])
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert invoke("evaluate", *arguments).exit_code == 2


async def test_a_service_gives_the_same_report(
    make_application: MakeApplication, make_client: MakeClient, tmp_path: Path
) -> None:
    application = make_application()
    await ingest(application, **{f"{name}.md": text for name, text in TEXTS.items()})
    file = tmp_path / "help.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)))
    remote = RemoteDoor(await make_client(application))
    found: list[Report] = []
    for name, door in (("here", LocalDoor(application)), ("there", remote)):  # type: ignore[arg-type]
        plan = Plan(
            file, load_questions(file), application.settings, tmp_path / name, None, 0, False
        )
        report, _ = await evaluate(door, plan, print, lambda done, total: None)
        found.append(report)
    here, there = found
    without_time = [
        [(one.name, one.value, one.n) for one in report.measurements if one.unit != "ms"]
        for report in found
    ]
    assert without_time[0] == without_time[1]
    assert here.about.fingerprint == there.about.fingerprint
    assert [row.fault for row in here.rows] == [row.fault for row in there.rows]


async def test_a_pipeline_alone_gives_the_records_of_the_door(
    make_application: MakeApplication,
) -> None:
    application = make_application()
    await ingest(application, **TEXTS)
    settings = application.settings
    pipeline = PipelineSystem(
        application.pipeline, settings.collection, settings.context.max_tokens
    )
    through = DoorSystem(LocalDoor(application), settings)  # type: ignore[arg-type]
    for text in ("How many days do refunds take?", "Who won?"):
        question = EvaluationQuestion("q", text)
        here, there = await pipeline.ask(question), await through.ask(question)
        assert set(here.ms) == set(there.ms) == {"retrieve", "compress", "generate"}
        assert replace(here, ms={}) == replace(there, ms={})
        assert here.hits
        assert here.pieces


def test_without_the_plots_it_says_how_to_get_them_before_anything_is_asked(file: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        f"sys.argv = ['rag', 'evaluate', {str(file)!r}]; from api.cli.main import run; run()"
    )
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: matplotlib, which draws the report of an evaluation, is not installed: "
        "install it with `pip install 'thrifty-rag[evaluate]'`\n"
    )
