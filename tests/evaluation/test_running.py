"""Asking every question: once, in order, and on from where it was interrupted."""

from __future__ import annotations

from pathlib import Path

import pytest
from evaluation_fakes import ScriptedSystem, questions_of

from evaluation.kept_records import KeptRecords
from evaluation.questions import EvaluationQuestion
from evaluation.records import Record
from evaluation.running import run
from rag.errors import InputError, QuestionError, StoreUnavailableError

QUESTIONS = questions_of(["a", "b", "c"])


async def test_every_question_is_asked_in_order_and_told() -> None:
    system = ScriptedSystem()
    told: list[tuple[int, int]] = []
    records = await run(system, QUESTIONS, on_progress=lambda *news: told.append(news))
    assert [record.question_id for record in records] == system.asked == ["a", "b", "c"]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


async def test_an_interrupted_run_goes_on_and_ends_as_if_it_never_was(tmp_path: Path) -> None:
    file = tmp_path / "new" / "records.jsonl"
    with pytest.raises(StoreUnavailableError):
        await run(ScriptedSystem(fails_at=2), QUESTIONS, KeptRecords(file, "x"))
    with file.open("ab") as torn:
        torn.write(b'{"question_id": "c", "quest')
    system = ScriptedSystem()
    records = KeptRecords(file, "x")
    assert set(records.done()) == {"a", "b"}
    assert not records.started_anew
    found = await run(system, QUESTIONS, records)
    assert system.asked == ["c"]
    assert found == await run(ScriptedSystem(), QUESTIONS)
    assert KeptRecords(file, "x").done() == {record.question_id: record for record in found}


async def test_records_of_something_else_are_not_used(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    await run(ScriptedSystem(), QUESTIONS, KeptRecords(file, "x"))
    other = KeptRecords(file, "y")
    assert other.started_anew
    assert other.done() == {}
    assert not KeptRecords(file, "y").started_anew


async def test_a_question_that_reads_otherwise_now_is_asked_again(tmp_path: Path) -> None:
    file = tmp_path / "records.jsonl"
    await run(ScriptedSystem(), QUESTIONS, KeptRecords(file, "x"))
    system = ScriptedSystem()
    changed = [*QUESTIONS[:2], EvaluationQuestion("c", "another question?")]
    records = await run(system, changed, KeptRecords(file, "x"))
    assert system.asked == ["c"]
    assert records[2].question == "another question?"
    assert KeptRecords(file, "x").done()["c"] == records[2]


async def test_a_question_that_is_refused_is_told_with_its_row() -> None:
    class Refusing:
        async def ask(self, question: EvaluationQuestion) -> Record:
            raise QuestionError("the question has 5,000 characters, the limit is 4,000: shorten it")

    with pytest.raises(InputError, match=r"^row 7: the question has 5,000 characters"):
        await run(Refusing(), [EvaluationQuestion("q", "q?", row=7)])


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .* give another folder"):
        KeptRecords(tmp_path / "file" / "records.jsonl", "x")
