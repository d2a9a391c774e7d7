"""`rag tune` over the real path: what it writes, resuming, chunk sizes, a service, bad input."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_fakes import TEXTS, MakeClient, fake_application
from typer.testing import CliRunner

from api.build import Application, build
from api.cli.main import make_app
from api.doors.door import LocalDoor
from api.doors.through_service import RemoteDoor
from api.fitting.tuned_files import how_to_apply, tuned_toml
from api.fitting.tuning import FINDING, SENDING, TuningPlan, tune
from api.settings import Settings, load_settings, setting_paths
from evaluation.loading import load_questions
from evaluation.tuning.outcome import Outcome, Tuning
from indexing.embedding.packaged import PackagedEmbedder
from indexing.ingesting.pipeline import IngestionPipeline
from rag.errors import StoreUnavailableError
from rag.ports import ChunkStore

THINGS = ("kettle", "toaster", "blender", "freezer", "heater", "printer", "scanner", "camera")
FILLING = " ".join(f"Part {n} speaks of cleaning, storage and the warranty." for n in range(16))


def invoke(*arguments: str, build: Any = build) -> Any:
    return CliRunner().invoke(make_app(build), list(arguments))


def rows() -> list[dict[str, Any]]:
    """One question for each document, and one that none answers."""
    asked = [
        {"question": f"How much power does the {thing} take?", "answer": f"{n}11 watts"}
        for n, thing in enumerate(THINGS, 1)
    ]
    return [*asked, {"question": "Who won the chess match?", "answerable": False}]


@pytest.fixture
def file(tmp_path: Path, model_cache: Path, embedder: PackagedEmbedder) -> Path:
    """A question set, beside a collection that answers it, on the real model."""
    assert embedder.dimension  # its graph is built, and lies where the applications look
    (tmp_path / ".rag").mkdir()
    (tmp_path / ".rag" / "models").symlink_to(model_cache, target_is_directory=True)
    folder = tmp_path / "docs"
    folder.mkdir()
    for n, thing in enumerate(THINGS, 1):
        text = f"# The {thing}\n\nThe {thing} takes {n}11 watts of power.\n\n## More\n\n{FILLING}\n"
        (folder / f"{thing}.md").write_text(text)
    assert invoke("ingest", str(folder)).exit_code == 0
    file = tmp_path / "power.jsonl"
    file.write_text("\n".join(map(json.dumps, rows())))
    return file


class CountedStore:
    """The real store; counts searches, and fails once it is told."""

    def __init__(self, store: ChunkStore, fails_at: int | None = None) -> None:
        self._store = store
        self._fails_at = fails_at
        self.searches = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def search(self, query: Any) -> Any:
        if self.searches == self._fails_at:
            raise StoreUnavailableError("the server of the store is out of reach: start it")
        self.searches += 1
        return await self._store.search(query)


def counting(fails_at: int | None = None) -> tuple[Callable[[Settings], Application], list[Any]]:
    """A build whose store counts, and the stores that it made."""
    made: list[Any] = []

    def build_counted(settings: Settings) -> Application:
        application = build(settings)
        made.append(CountedStore(application.store, fails_at))
        parts = replace(application.ingestion.parts, store=made[-1])
        return replace(application, ingestion=IngestionPipeline(parts))

    return build_counted, made


def test_it_finds_cheaper_settings_and_writes_them(file: Path, tmp_path: Path) -> None:
    before = invoke("documents", "--json").stdout
    done = invoke("tune", str(file))
    assert done.exit_code == 0, done.stderr
    told = json.loads(Path("rag.tuned.json").read_text())
    assert told["measure"] == "answer retained"
    changes = told["outcome"]["changes"]
    assert any(name.startswith("context.") for name in changes)
    present, chosen = told["outcome"]["checked"]
    assert chosen["context_tokens"] < present["context_tokens"]
    assert (present["quality"], chosen["quality"]) == (1, 1)
    assert "as it is" in done.stdout
    assert told["outcome"]["verdict"] in done.stdout
    notes = done.stderr.splitlines()
    assert notes[0].startswith("note: 8 questions have reference answers: too few to trust")
    assert notes[1] == "note: written: rag.tuned.toml, rag.tuned.json, rag.tuned.html"
    assert notes[2].startswith("note: to use them, copy rag.tuned.toml into rag.toml, and start")
    page = Path("rag.tuned.html").read_text()
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")
    assert not Path("rag.toml").exists()
    assert list((tmp_path / ".rag" / "tunings").iterdir()) == []
    assert invoke("documents", "--json").stdout == before
    Path("rag.tuned.toml").rename("rag.toml")
    settings = load_settings()
    for name, value in changes.items():
        group, field = name.split(".")
        assert getattr(getattr(settings, group), field) == value
    assert invoke("ask", "How much power does the kettle take?").exit_code == 0


def test_a_quality_that_nothing_reaches_changes_nothing(file: Path) -> None:
    never = [
        {"question": f"How heavy is the {thing}?", "answer": "never said"} for thing in THINGS[:3]
    ]
    file.write_text("\n".join(map(json.dumps, [*rows()[:2], *never])))
    done = invoke("tune", str(file), "--quality", "1", "--json", "--output", "out/tuned.toml")
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["goal"] == "answer retained of 1"
    assert told["outcome"]["changes"] == {}
    assert (
        "stay as they are: no trial reaches answer retained of 1; the best, as it is, has"
        in (told["outcome"]["verdict"])
    )
    assert "to use them" not in done.stderr
    assert tomllib.loads(Path("out/tuned.toml").read_text()) == {}
    assert "# No setting is to be changed." in Path("out/tuned.toml").read_text()


def test_an_interrupted_tuning_goes_on(file: Path, tmp_path: Path) -> None:
    counted, stores = counting()
    assert invoke("tune", str(file), "--limit", "4", build=counted).exit_code == 0
    total = stores[0].searches
    broken, _ = counting(fails_at=total // 2)
    done = invoke("tune", str(file), "--limit", "4", build=broken)
    assert done.exit_code == 1
    assert done.stderr.splitlines()[-1].startswith("error: the server of the store is out of")
    assert not done.stdout
    assert list((tmp_path / ".rag" / "tunings").iterdir())
    resumed, stores = counting()
    assert invoke("tune", str(file), "--limit", "4", build=resumed).exit_code == 0
    assert stores[0].searches < total * 0.9, "times decide among equals, so others may be tried"


def test_sizes_of_chunks_are_tried_in_indexes_of_their_own(file: Path) -> None:
    done = invoke("tune", str(file), "--json", "--chunk-sizes", "64,190,254", "--limit", "4")
    assert done.exit_code == 0, done.stderr
    assert "note: indexing 8 documents for chunks of 64, 254 tokens: about " in done.stderr
    names = {one["name"] for one in json.loads(done.stdout)["outcome"]["trials"]}
    assert {"ingestion.chunk_tokens=64", "ingestion.chunk_tokens=254"} <= names
    chunks = [one["chunks"] for one in json.loads(invoke("documents", "--json").stdout)]
    assert set(chunks) == {chunks[0]}, "the collection itself is as it was"


def test_another_size_of_chunks_cuts_anew_at_the_next_ingestion(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def chunks() -> int:
        return sum(one["chunks"] for one in json.loads(invoke("documents", "--json").stdout))

    before = chunks()
    monkeypatch.setenv("RAG_INGESTION__CHUNK_TOKENS", "64")
    assert chunks() == before
    assert invoke("ingest", str(tmp_path / "docs")).exit_code == 0
    assert chunks() > before
    monkeypatch.setenv("RAG_INGESTION__CHUNK_TOKENS", "255")
    done = invoke("documents")
    assert done.exit_code == 1
    assert done.stderr == (
        "error: ingestion.chunk_tokens is 255, and the embedding model reads 254: lower it\n"
    )


async def test_a_service_that_holds_the_data_is_tuned_from_its_texts(
    file: Path, make_client: MakeClient, tmp_path: Path
) -> None:
    plan = TuningPlan(file, load_questions(file), {}, None, 0.01, None, (), (), 4, 0)
    application = build(load_settings())
    notes: list[str] = []
    try:
        remote = RemoteDoor(await make_client(application))  # type: ignore[arg-type]
        found: list[Tuning] = []
        for door in (LocalDoor(application), remote):
            tuning, _ = await tune(door, plan, notes.append, lambda done, total: None)
            found.append(tuning)
    finally:
        await application.close()
    here, there = (tuning.outcome.trials[0] for tuning in found)
    assert (here.quality, here.context_tokens) == (there.quality, there.context_tokens)
    assert [note for note in notes if note.startswith("indexing 8 documents for chunks of 190")]


def test_every_setting_that_is_tried_is_one_and_every_value_fits() -> None:
    paths = {".".join(path) for path in setting_paths()}
    for knob in (*FINDING, *SENDING):
        assert knob.setting in paths
        group, name = knob.setting.split(".")
        for value in knob.values:
            load_settings({group: {name: value}})


def a_tuning(changes: dict[str, Any]) -> Tuning:
    """A tuning that chose these changes."""
    return Tuning(
        format=1,
        question_file="q.jsonl",
        collection="default",
        documents=2,
        version="0.1.0",
        finished_at="2026-01-01T00:00:00+00:00",
        seed=0,
        measure="nDCG@10",
        goal="nDCG@10 of 0.9",
        questions=40,
        notes=(),
        outcome=Outcome(changes, "a verdict", (), None),
    )


def test_what_is_left_to_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"context.max_tokens": 300, "ingestion.chunk_tokens": 120}
    monkeypatch.setenv("RAG_CONTEXT__MAX_TOKENS", "500")
    first, second, third = how_to_apply(a_tuning(changes), Path("x.toml"))
    assert first == "to use them, copy x.toml into rag.toml, and start `rag serve` again if it runs"
    assert second == "RAG_CONTEXT__MAX_TOKENS goes before rag.toml: change it there, or unset it"
    assert third == "then give `rag ingest` all documents again: it cuts and embeds them anew"
    assert how_to_apply(a_tuning({}), Path("x.toml")) == []


def test_the_settings_are_written_as_toml() -> None:
    changes = {"retrieval.reranker": 'a "b" \\ c', "retrieval.dense_share": 0.5}
    told = tuned_toml(a_tuning(changes))
    assert tomllib.loads(told) == {"retrieval": {"reranker": 'a "b" \\ c', "dense_share": 0.5}}
    told = tuned_toml(a_tuning({"retrieval.reranker": None}))
    assert tomllib.loads(told) == {"retrieval": {}}
    assert "# reranker: leave it out" in told


@pytest.mark.parametrize(
    ("row", "arguments", "words"),
    [
        ({"question": "a"}, [], "have gold documents, and tuning by 'nDCG@10' needs at least 2"),
        ({"question": "a", "documents": ["nope.md"]}, [], "row 1: the collection holds no"),
        ({"qestion": "a"}, [], "row 1: 'qestion' is no field"),
        ({"question": "a"}, ["-c", "nope"], "no collection 'nope': there are default"),
        ({"question": "a"}, ["--measure", "cost"], "there is no tuning by 'cost': give one of"),
        ({"question": "a"}, ["--chunk-sizes", "1,x"], "--chunk-sizes is '1,x': give whole numbers"),
        ({"question": "a"}, ["--output", "rag.toml"], "which settings are read from: give another"),
        ({"question": "a"}, ["--output", "x.json"], "--output is x.json: give a name that ends in"),
        ({"question": "a"}, ["--output", "mine.toml"], "`rag tune` has not written it: give"),
        ({"question": "a"}, ["--output", "folder.toml"], "folder.toml cannot be written (Is a dir"),
    ],
)
def test_bad_input_gets_one_line(
    tmp_path: Path, row: dict[str, Any], arguments: list[str], words: str
) -> None:
    for name, text in TEXTS.items():
        (tmp_path / f"{name}.md").write_text(text)
        invoke("ingest", str(tmp_path / f"{name}.md"), build=fake_application)
    (tmp_path / "mine.toml").write_text("[context]\n")
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "help.jsonl").write_text(json.dumps(row))
    done = invoke("tune", "help.jsonl", *arguments, build=fake_application)
    assert done.exit_code == 1
    assert done.stdout == ""
    line = done.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    assert words in line
    assert (tmp_path / "mine.toml").read_text() == "[context]\n"


@pytest.mark.parametrize(
    "arguments", [[], ["q.jsonl", "--quality", "2"], ["q.jsonl", "--margin", "x"]]
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert invoke("tune", *arguments, build=fake_application).exit_code == 2
