"""The golden help centre, evaluated by the command over the real path: floors under its figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.build import build
from api.cli.main import make_app

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


def question_of(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the golden questions in the format of `rag evaluate`."""
    if row["document"] is None:
        return {"question": row["question"], "answerable": False}
    span = {"document": row["document"], "text": row["answer"]}
    return {"question": row["question"], "answer": row["answer"], "spans": [span]}


@pytest.mark.usefixtures("embedder")
def test_the_golden_questions_are_evaluated(
    tmp_path: Path, model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").symlink_to(model_cache, target_is_directory=True)
    monkeypatch.setenv("RAG_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    rows = [json.loads(line) for line in (GOLDEN / "questions.jsonl").read_text().splitlines()]
    Path("golden.jsonl").write_text("\n".join(json.dumps(question_of(row)) for row in rows))
    app = make_app(build)
    assert CliRunner().invoke(app, ["ingest", str(GOLDEN / "corpus")]).exit_code == 0
    done = CliRunner().invoke(app, ["evaluate", "golden.jsonl", "--json"])
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    figures = {one["name"]: one for one in told["measurements"]}
    assert told["unmeasured"] == {}
    assert figures["nDCG@10"]["n"] == 25
    assert figures["nDCG@10"]["value"] >= 0.88  # measured .921
    assert figures["recall@10"]["value"] == 1
    assert figures["answer retained"]["value"] >= 0.96  # measured 1
    assert figures["right when answered"]["value"] >= 0.85  # measured .9
    assert figures["refused rightly"]["value"] >= 0.87  # measured 1
    assert figures["abstention AUROC"]["value"] >= 0.9  # measured .96
    assert figures["cost"]["value"] == 0
    assert figures["baseline cost"]["value"] > 0
