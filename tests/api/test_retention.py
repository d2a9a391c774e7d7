"""What is kept for a time only: swept in both states, at the start of a service, and documented."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_fakes import MakeApplication
from sqlalchemy import Engine, Table, func, inspect, select

from api.audit.tables import AUDIT
from api.forgetting.retention import sweep
from api.http.app import create_app
from api.jobs.records import JobRecords
from api.jobs.tables import JOBS
from api.settings import Settings, load_settings, setting_paths
from api.state.opening import open_state
from generation.batching.tables import BATCH_ENTRIES, BATCHES
from generation.deciding.corrections import CORRECTIONS
from generation.distilling.tables import LESSONS
from generation.money.tables import ANSWERS
from generation.overview.asked import ASKED_QUESTIONS
from generation.reuse.tables import KEPT_ANSWERS
from retrieval.conversations.tables import TURNS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "retention.md"
WHAT = {
    "questions of conversations": (TURNS, "at", timedelta(minutes=30)),
    "kept answers": (KEPT_ANSWERS, "kept_at", timedelta(days=30)),
    "lessons": (LESSONS, "at", timedelta(days=180)),
    "corrections": (CORRECTIONS, "at", timedelta(days=180)),
    "questions of the dashboard": (ASKED_QUESTIONS, "at", timedelta(days=30)),
    "batches": (BATCHES, "changed_at", timedelta(days=30)),
    "marks of visitors": (ANSWERS, "at", timedelta(days=180)),
    "entries of the audit log": (AUDIT, "at", timedelta(days=365)),
}


def put(engine: Engine, table: Table, number: int, **values: Any) -> None:
    """A row whose columns hold something of their kind."""
    samples = {"VARCHAR": f"{number}", "TEXT": "{}", "BLOB": b"", "BOOLEAN": False, "FLOAT": 0.5}
    row = {
        column.name: samples.get(str(column.type), number)
        for column in table.c
        if column.name != "position"
    }
    with engine.begin() as connection:
        connection.execute(table.insert(), row | values)


def ago(age: timedelta) -> str:
    return (datetime.now(UTC) - age).isoformat(timespec="microseconds")


def fill(engine: Engine) -> None:
    """Of everything one that is just old enough to go, and one that is not."""
    for table, at, kept_for in WHAT.values():
        for number, age in enumerate((kept_for * 1.01, kept_for * 0.99), 1):
            put(engine, table, number, **{at: ago(age)})


def counts(engine: Engine) -> dict[str, int]:
    found = {}
    with engine.connect() as connection:
        for what, (table, *_) in WHAT.items():
            query = select(func.count()).select_from(table)
            if table is ANSWERS:
                query = query.where(ANSWERS.c.visitor.is_not(None))
            found[what] = connection.scalar(query) or 0
    return found


def test_what_is_too_old_is_deleted_and_nothing_else(state_engine: Engine) -> None:
    fill(state_engine)
    assert counts(state_engine) == dict.fromkeys(WHAT, 2)
    assert sweep(Settings(), state_engine) == dict.fromkeys(WHAT, 1)
    assert counts(state_engine) == dict.fromkeys(WHAT, 1)
    assert sweep(Settings(), state_engine) == dict.fromkeys(WHAT, 0)
    with state_engine.connect() as connection:
        assert connection.scalar(select(func.count()).select_from(ANSWERS)) == 2, "money stays"


def test_the_words_of_a_batch_go_with_it(state_engine: Engine) -> None:
    put(state_engine, BATCHES, 1, changed_at=ago(timedelta(days=31)), state="submitted")
    with state_engine.begin() as connection:
        words = {"question_id": "q", "waiting": "Where is my refund?", "given": ""}
        connection.execute(BATCH_ENTRIES.insert(), {"batch_id": "1", "position": 0, **words})
    assert sweep(Settings(), state_engine)["batches"] == 1
    with state_engine.connect() as connection:
        assert connection.execute(select(BATCH_ENTRIES)).all() == []


@pytest.mark.parametrize(
    ("groups", "what", "left"),
    [
        ({"retention": {"batch_days": 2}}, "batches", 0),
        ({"retention": {"audit_days": 3_000}}, "entries of the audit log", 2),
        ({"reuse": {"keep_days": 1}}, "kept answers", 0),
        ({"reuse": {"keep_days": 400}}, "marks of visitors", 2),
        ({"distillation": {"keep_days": 400}}, "marks of visitors", 2),
        ({"distillation": {"keep_days": 1}}, "marks of visitors", 1),
        ({"conversations": {"keep_minutes": 1}}, "questions of conversations", 0),
    ],
)
def test_the_settings_say_how_old(
    state_engine: Engine, groups: Mapping[str, Any], what: str, left: int
) -> None:
    fill(state_engine)
    if groups == {"distillation": {"keep_days": 1}}:
        put(state_engine, ANSWERS, 3, at=ago(timedelta(days=29)))  # a kept answer may be there
    sweep(load_settings(groups), state_engine)
    assert counts(state_engine)[what] == left


@pytest.mark.parametrize(("days", "is_left", "has_payload"), [(6, 1, 1), (8, 1, 0), (91, 0, 0)])
def test_jobs_and_what_failed_in_them_expire(
    state_engine: Engine, days: int, is_left: int, has_payload: int
) -> None:
    put(state_engine, JOBS, 1, owner="me", state="failed", finished_at=ago(timedelta(days=days)))
    put(state_engine, JOBS, 2, owner="me", state="queued", finished_at=None)
    JobRecords(state_engine, "me").drop_old()
    with state_engine.connect() as connection:
        query = select(func.count(), func.count(JOBS.c.payload)).where(JOBS.c.state == "failed")
        assert connection.execute(query).one() == (is_left, has_payload)
        assert connection.scalar(select(JOBS.c.payload).where(JOBS.c.state == "queued")) is not None


async def test_a_service_sweeps_when_it_starts(
    make_application: MakeApplication, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="api.forgetting.retention")
    application = make_application({"dashboard": {"keep_questions": True}})
    fill(application.state)
    app = create_app(application)  # type: ignore[arg-type]
    async with app.router.lifespan_context(app):
        pass
    state = open_state(application.settings.data_dir)
    assert counts(state) == dict.fromkeys(WHAT, 1)
    state.dispose()
    [line] = caplog.messages
    assert line == "deleted, since they are too old: " + ", ".join(f"1 {what}" for what in WHAT)


# The page


def rows_of_page() -> list[list[str]]:
    found = re.findall(r"^\| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    return [row.split(" | ") for row in found if row.count(" | ") == 4]


def test_every_table_of_the_state_stands_in_the_page(tmp_path: Path) -> None:
    state = open_state(tmp_path)
    tables = set(inspect(state).get_table_names()) - {"alembic_version", "sqlite_sequence"}
    state.dispose()
    told = {name for row in rows_of_page() for name in re.findall(r"`(\w+)`", row[1])}
    assert tables <= told


def test_every_setting_of_the_page_exists_with_that_default() -> None:
    known = {".".join(path) for path in setting_paths()}
    limits = {name for name in known if re.search(r"\.(keep_|\w+_days$)", name)}
    told: set[str] = set()
    for _, _, how_long, setting, _ in rows_of_page():
        names = re.findall(r"`([a-z_]+\.[a-z_]+)`", setting)
        told |= set(names)
        for name in names:
            group, _, field = name.partition(".")
            default = getattr(getattr(Settings(), group), field)
            if len(names) == 1:
                assert f"{default:g} " in how_long, (name, how_long)
    assert told <= known
    assert limits <= told, "a limit that the page does not tell"


def test_no_table_of_words_is_without_a_limit() -> None:
    for what, _, how_long, setting, _ in rows_of_page()[1:]:
        if "for ever" in how_long:
            assert "question" not in what.lower(), what
        assert setting.strip()
