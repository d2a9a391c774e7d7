"""What visitors of web pages asked, forgotten everywhere: a real service and real documents."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from test_conversation_service import COVER, Made, serving
from typer.testing import CliRunner

from api.audit.log import AuditLog, Deed
from api.build import build, embedding
from api.cli.main import make_app
from api.settings import Settings
from generation.money.tables import ANSWERS
from generation.reuse.tables import KEPT_ANSWERS
from retrieval.conversations.tables import TURNS

ANN, BOB = "a" * 32, "b" * 32
FRANCE = "How long does delivery take in France?"
KEEP_ALL = {"reuse": {"min_confidence": 0.0}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(Settings(data_dir=tmp_path_factory.mktemp("model")))


async def visit(made: Made, visitor: str, question: str, conversation: str | None) -> Any:
    headers = {"x-rag-visitor": visitor}
    return await made.ask(question, conversation, headers=headers)


def marks(made: Made) -> list[str | None]:
    return [row.visitor for row in sorted(made.rows(ANSWERS), key=lambda row: row.at)]


async def test_the_name_of_a_visitor_stands_nowhere(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model, **KEEP_ALL) as made:
        await visit(made, ANN, COVER, "c1")
        await visit(made, ANN, FRANCE, None)
        await visit(made, BOB, COVER, None)
        await made.ask(COVER, None)
        first, second, other, nobody = marks(made)
        assert first == second != other
        assert nobody is None
        await made.ask(FRANCE, None, headers={"x-rag-visitor": ANN, "x-rag-tenant": "acme"})
        assert marks(made)[-1] not in (None, first), "of another tenant it is another"
        made.application.state.dispose()
        whole = b"".join(file.read_bytes() for file in made.settings.data_dir.glob("state*"))
        assert ANN.encode() not in whole


async def test_a_name_that_cannot_be_is_refused(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model) as made:
        body, headers = {"question": COVER}, {"x-rag-visitor": "ann"}
        response = await made.client.post("/v1/answers", json=body, headers=headers)
        assert response.status_code == 422
        assert "give 8 to 64 letters" in response.json()["detail"]
        response = await made.client.delete("/v1/visitors/ann")
        assert response.status_code == 422


@pytest.mark.parametrize("way", ["http", "command line"])
async def test_a_visitor_is_forgotten_everywhere_and_proven(
    tmp_path: Path, model: Any, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, model, **KEEP_ALL) as made:
        await visit(made, ANN, COVER, "c1")
        await made.ask("How much is it?", "c1")  # the page has lost the name in between
        await visit(made, ANN, FRANCE, None)
        await visit(made, BOB, "How much is the basic plan?", "c2")
        answers = {row.answer_id: row for row in made.rows(ANSWERS)}
        if way == "http":
            stranger = {"X-Rag-Tenant": "stranger"}
            response = await made.client.delete(f"/v1/visitors/{ANN}", headers=stranger)
            assert response.json()["answers_unlinked"] == 0
            proof = (await made.client.delete(f"/v1/visitors/{ANN}")).json()
        else:
            monkeypatch.setenv("RAG_DATA_DIR", str(made.settings.data_dir))
            done = CliRunner().invoke(make_app(build), ["forget", "--visitor", ANN, "--json"])
            assert done.exit_code == 0, done.output
            proof = json.loads(done.stdout)
        none = {"lessons": 0, "corrections": 0, "dashboard_questions": 0}
        assert proof == {
            "before": {"turns": 2, "kept_answers": 3} | none,
            "after": {"turns": 0, "kept_answers": 0} | none,
            "answers_unlinked": 3,
        }
        assert [row.question for row in made.rows(TURNS)] == ["How much is the basic plan?"]
        assert len(made.rows(KEPT_ANSWERS)) == 1
        left = {row.answer_id: row for row in made.rows(ANSWERS)}
        assert left.keys() == answers.keys(), "money stays told"
        changed = [one for one in left if left[one].visitor != answers[one].visitor]
        assert len(changed) == 2
        assert {left[one].visitor for one in changed} == {None}
        in_talk = {one: row.conversation for one, row in answers.items() if row.conversation}
        new = {left[one].conversation for one, mark in in_talk.items()}
        assert len(new) == 2, "conversations stay apart"
        assert len(new & set(in_talk.values())) == 1, "nothing leads to the one that is forgotten"
        again = (await made.client.delete(f"/v1/visitors/{ANN}")).json()
        assert again["answers_unlinked"] == 0, "nothing leads there any more"
        [entry] = AuditLog(made.application.state).entries(None, 10)
        actor = "(no key)" if way == "http" else "command-line"
        told = "turns: 2, kept answers: 3, lessons: 0, corrections: 0, "
        told += "dashboard questions: 0, answers: 3"
        assert entry.deed == Deed(actor, "", "visitor.forget", told)


async def test_no_log_repeats_the_name_of_who_is_forgotten(
    tmp_path: Path, model: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api")
    async with serving(tmp_path, model) as made:
        await visit(made, ANN, COVER, "jane@example.com")
        for path in (f"/v1/visitors/{ANN}", "/v1/conversations/jane@example.com"):
            assert (await made.client.delete(path)).status_code == 200
    told = "\n".join(record.getMessage() for record in caplog.records if "api" in record.name)
    assert "DELETE /v1/visitors/{visitor} 200" in told
    assert "DELETE /v1/conversations/{conversation_id:path} 200" in told
    assert ANN not in told
    assert "jane" not in told


async def test_who_forgets_a_conversation_loses_the_visitor_too(tmp_path: Path, model: Any) -> None:
    async with serving(tmp_path, model) as made:
        await visit(made, ANN, COVER, "c1")
        await visit(made, ANN, FRANCE, "c2")
        await made.client.delete("/v1/conversations/c1")
        assert [mark is None for mark in marks(made)] == [True, False]


def test_forget_wants_one_of_three() -> None:
    for arguments in (["a", "--visitor", ANN], ["--conversation", "c", "--visitor", ANN]):
        done = CliRunner().invoke(make_app(build), ["forget", *arguments])
        assert done.exit_code == 2, done.output
        assert "--visitor" in done.output
