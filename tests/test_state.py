"""The state: opened anywhere, brought up to date from any version, and honest when it fails."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from patience import FAR_S
from postgres import Cluster
from pydantic import SecretStr
from sqlalchemy import Engine, create_engine, insert, select
from sqlalchemy.exc import IntegrityError

from api.audit.tables import METADATA as AUDIT_METADATA
from api.cli.config import config
from api.jobs.tables import JOBS
from api.jobs.tables import METADATA as JOBS_METADATA
from api.keys.tables import METADATA as KEYS_METADATA
from api.settings import load_settings
from api.state.migrating import migrations
from api.state.opening import HEAD, open_state
from api.state.secrets import METADATA as SECRETS_METADATA
from api.state.secrets import secret_of
from api.state.turn import turn
from generation.batching.tables import METADATA as BATCHING_METADATA
from generation.deciding.corrections import METADATA as CORRECTIONS_METADATA
from generation.deciding.feedback import METADATA as FEEDBACK_METADATA
from generation.deciding.feedback import Feedback
from generation.deciding.traffic import METADATA as TRAFFIC_METADATA
from generation.distilling.tables import METADATA as DISTILLING_METADATA
from generation.experiments.stopping import METADATA as EXPERIMENTS_METADATA
from generation.money.tables import ANSWERS
from generation.money.tables import METADATA as MONEY_METADATA
from generation.overview.asked import METADATA as ASKED_METADATA
from generation.reuse.tables import METADATA as REUSE_METADATA
from indexing.manifest.tables import DOCUMENTS, FILES, SOURCES
from indexing.manifest.tables import METADATA as MANIFEST_METADATA
from rag.errors import RagError, SettingsError, StateError, StateUnavailableError
from retrieval.conversations.tables import METADATA as CONVERSATIONS_METADATA

ROOT = Path(__file__).resolve().parents[1]
RELEASE_WITHOUT_VERSIONS = (Path(__file__).with_name("state_before_versions.sql")).read_text()
FILE = "state.sqlite"


def make_old_state(url: SecretStr | None, folder: Path) -> None:
    """A state as the release without versions left it, with a document, an upload and jobs."""
    folder.mkdir()
    target = f"sqlite:///{folder / FILE}" if url is None else url.get_secret_value()
    engine = create_engine(target.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        for statement in RELEASE_WITHOUT_VERSIONS.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest) -> SecretStr | None:
    """A database without any table; None for a file that is not there."""
    if request.param == "sqlite":
        return None
    cluster: Cluster = request.getfixturevalue("postgres")
    return SecretStr(cluster.url(cluster.create_database()))


def differences(engine: Engine) -> list[object]:
    options = {"compare_type": True, "compare_server_default": True}
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        metadata = [
            MANIFEST_METADATA,
            JOBS_METADATA,
            MONEY_METADATA,
            BATCHING_METADATA,
            REUSE_METADATA,
            CORRECTIONS_METADATA,
            FEEDBACK_METADATA,
            TRAFFIC_METADATA,
            EXPERIMENTS_METADATA,
            DISTILLING_METADATA,
            CONVERSATIONS_METADATA,
            KEYS_METADATA,
            AUDIT_METADATA,
            SECRETS_METADATA,
            ASKED_METADATA,
        ]
        found: list[object] = compare_metadata(context, metadata)  # type: ignore[arg-type]
    return found


def test_the_constant_is_the_newest_migration() -> None:
    assert migrations().get_current_head() == HEAD


def test_a_fresh_state_has_the_tables_of_the_code(
    empty_url: SecretStr | None, tmp_path: Path
) -> None:
    engine = open_state(tmp_path, empty_url)
    assert differences(engine) == []
    engine.dispose()


def test_an_old_state_is_taken_over(empty_url: SecretStr | None, tmp_path: Path) -> None:
    make_old_state(empty_url, tmp_path / "data")
    engine = open_state(tmp_path / "data", empty_url)
    assert differences(engine) == []
    with engine.connect() as connection:
        documents = connection.execute(select(DOCUMENTS).order_by(DOCUMENTS.c.document_id)).all()
        assert [one.document_id for one in documents] == ["d1", "d2", "d3"]
        assert {one.indexed_at for one in documents} == {""}, "they are to be written again"
        assert {one.text for one in documents} == {"Old text."}
        assert connection.execute(select(FILES)).all() == [], "files are to be read again"
        sources = connection.execute(select(SOURCES).order_by(SOURCES.c.position)).all()
        assert [(one.source, one.file) for one in sources] == [
            ("/docs/a.md", "/docs/a.md"),
            ("upload:rows.jsonl#r1", "upload:rows.jsonl#r1"),
            ("api:d3", "api:d3"),
        ]
        jobs = connection.execute(select(JOBS).order_by(JOBS.c.id)).all()
        assert [(one.id, one.state) for one in jobs] == [("job_1", "done"), ("job_2", "failed")]
        assert "send it again" in jobs[1].reason
    engine.dispose()


def test_a_state_that_was_never_served_is_taken_over_too(tmp_path: Path) -> None:
    make_old_state(None, tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / FILE) as connection:
        connection.execute("DROP TABLE jobs")
    connection.close()
    engine = open_state(tmp_path / "data")
    assert differences(engine) == []
    engine.dispose()


def test_verdicts_outlive_the_column_that_may_be_empty_now(
    empty_url: SecretStr | None, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path / FILE}" if empty_url is None else empty_url.get_secret_value()
    engine = create_engine(target.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            for step in reversed(list(migrations().iterate_revisions("0007", "base"))):
                step.module.upgrade()
                context.stamp(migrations(), step.revision)
        connection.exec_driver_sql("INSERT INTO feedback VALUES ('a1', true, '2026-11-01')")
    engine.dispose()
    engine = open_state(tmp_path, empty_url)
    assert Feedback(engine).verdicts() == {"a1": True}
    assert differences(engine) == []
    engine.dispose()


def test_a_conversation_stays_one_and_its_old_mark_cannot_be_guessed_any_more(
    empty_url: SecretStr | None, tmp_path: Path
) -> None:
    target = f"sqlite:///{tmp_path / FILE}" if empty_url is None else empty_url.get_secret_value()
    engine = create_engine(target.replace("postgresql:", "postgresql+psycopg:"))
    guessable = [sha256(name).hexdigest()[:16] for name in (b"jane", b"joe")]
    with engine.begin() as connection:
        context = MigrationContext.configure(connection)
        with Operations.context(context):
            for step in reversed(list(migrations().iterate_revisions("0011", "base"))):
                step.module.upgrade()
                context.stamp(migrations(), step.revision)
        row = dict.fromkeys((column.name for column in ANSWERS.columns if not column.nullable), "x")
        for number, mark in enumerate([*guessable, guessable[0], None]):
            own = {"answer_id": f"a{number}", "conversation": mark, "ms": 1.0, "confidence": 0.5}
            connection.execute(insert(ANSWERS).values(row | own))
    engine.dispose()
    engine = open_state(tmp_path, empty_url)
    with engine.connect() as connection:
        query = select(ANSWERS.c.conversation).order_by(ANSWERS.c.answer_id)
        jane, joe, again, none = connection.scalars(query)
    assert (jane, none) == (again, None)
    assert len({jane, joe, *guessable}) == 4
    engine.dispose()


def test_a_secret_is_the_same_for_all_who_open_the_state(state_engine: Engine) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = set(pool.map(lambda _: secret_of(state_engine, "one"), range(8)))
    assert len(made) == 1
    assert len(made.pop()) == 32
    assert secret_of(state_engine, "one") != secret_of(state_engine, "two")


def test_foreign_keys_are_held_after_a_migration(tmp_path: Path) -> None:
    engine = open_state(tmp_path)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_a_migration_that_fails_leaves_the_old_state(tmp_path: Path) -> None:
    make_old_state(None, tmp_path / "data")
    with sqlite3.connect(tmp_path / "data" / FILE) as connection:
        connection.execute("CREATE TABLE bands (wrong)")
        before = connection.execute("SELECT * FROM sqlite_master ORDER BY name").fetchall()
    with pytest.raises(StateError):
        open_state(tmp_path / "data")
    after = connection.execute("SELECT * FROM sqlite_master ORDER BY name").fetchall()
    connection.close()
    assert after == before


def test_a_newer_state_is_refused_in_one_line(state_engine: Engine, tmp_path: Path) -> None:
    with state_engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0999'")
    url = None if state_engine.dialect.name == "sqlite" else state_engine.url
    secret = url and SecretStr(url.render_as_string(hide_password=False))
    with pytest.raises(SettingsError, match=r"version 0999, and this program .* up to") as caught:
        open_state(tmp_path / "state", secret)
    assert "\n" not in str(caught.value)


def test_opening_what_is_up_to_date_is_fast_and_needs_no_alembic(tmp_path: Path) -> None:
    open_state(tmp_path).dispose()
    code = (
        "import sys, time; from pathlib import Path; from api.state.opening import open_state\n"
        f"started = time.process_time(); open_state(Path({str(tmp_path)!r})).dispose()\n"
        "print(time.process_time() - started, 'alembic' in sys.modules)"
    )
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        took, loaded = done.stdout.split()
        seconds.append(float(took))
        assert loaded == "False"
    assert min(seconds) < 0.02


def test_many_processes_open_a_new_state_at_once(
    empty_url: SecretStr | None, tmp_path: Path
) -> None:
    make_old_state(empty_url, tmp_path / "data")
    at = time.time() + 1.5
    url = "None" if empty_url is None else f"SecretStr({empty_url.get_secret_value()!r})"
    code = (
        "import time; from pathlib import Path; from pydantic import SecretStr\n"
        "import api.state.migrating; from api.state.opening import open_state\n"
        f"time.sleep(max(0, {at} - time.time()))\n"
        f"open_state(Path({str(tmp_path / 'data')!r}), {url}).dispose()"
    )
    command = [sys.executable, "-c", code]
    started = [
        subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    told = [process.communicate(timeout=FAR_S)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 4, told
    engine = open_state(tmp_path / "data", empty_url)
    assert differences(engine) == []
    engine.dispose()


def test_opening_waits_for_who_writes_into_a_file_without_a_wal(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("CREATE TABLE other (x)")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO other VALUES (1)")
        release = threading.Timer(0.2, other.execute, ["COMMIT"])
        release.start()
        open_state(tmp_path).dispose()
        release.join()


def put_files(engine: Engine, *statements: str, count: int = 1, mark: str = "m") -> None:
    """Run statements, then insert rows, in one transaction."""
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        for number in range(count):
            connection.execute(insert(FILES).values(collection="c", file=str(number), mark=mark))


def raised(caught: pytest.ExceptionInfo[RagError]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_that_is_no_state(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"hello, world " * 1_000)
    with pytest.raises(
        StateError, match="no SQLite file, or a damaged one: put a backup"
    ) as caught:
        open_state(tmp_path)
    assert str(tmp_path / FILE) in raised(caught)


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(StateError, match="cannot be opened: let this user write") as caught:
        open_state(tmp_path)
    raised(caught)


def test_a_full_disk(tmp_path: Path) -> None:
    engine = open_state(tmp_path)
    with pytest.raises(StateError, match="the disk is full: free some space") as caught:
        put_files(engine, "PRAGMA max_page_count=30", count=1_000, mark="secret" * 500)
    assert "secret" not in raised(caught)
    engine.dispose()


def test_a_state_that_may_only_be_read(tmp_path: Path) -> None:
    engine = open_state(tmp_path)
    with pytest.raises(StateError, match="it may only be read: let this user write") as caught:
        put_files(engine, "PRAGMA query_only=ON")
    raised(caught)
    engine.dispose()


def test_a_locked_state_can_be_tried_again(tmp_path: Path) -> None:
    engine = open_state(tmp_path)
    other = sqlite3.connect(tmp_path / FILE)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StateUnavailableError, match="another process keeps it locked") as caught:
        put_files(engine, "PRAGMA busy_timeout=1")
    assert caught.value.retryable
    raised(caught)
    other.close()
    engine.dispose()


def test_a_mistake_of_the_program_stays_what_it_is(state_engine: Engine) -> None:
    put_files(state_engine)
    with pytest.raises(IntegrityError):
        put_files(state_engine)


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("postgresql://u:geheim@127.0.0.1:1/db", StateUnavailableError, "'db' .*127.0.0.1.*start"),
        ("postgresql://u:geheim@127.0.0.1:1/db?nonsense=1", StateUnavailableError, "nonsense"),
        ("postgresql://u:geheim@127.0.0.1:1/db?sslmode=geheim", StateUnavailableError, "sslmode"),
        (
            "postgresql://u@127.0.0.1:1/db?password=geheim",
            StateUnavailableError,
            "cannot be reached",
        ),
        ("postgresql://u:geheim@h:port/db", SettingsError, "no URL of PostgreSQL: give postgresql"),
        ("mysql://u:geheim@h/db", SettingsError, "no URL of PostgreSQL"),
        ("geheim", SettingsError, "no URL of PostgreSQL"),
    ],
)
def test_a_database_that_cannot_be_used(
    tmp_path: Path, url: str, kind: type[RagError], words: str
) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(kind, match=words) as caught:
        open_state(tmp_path, SecretStr(url))
    assert "geheim" not in raised(caught)


def test_the_settings_never_show_the_url(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAG_STATE_URL", "postgresql://u:geheim@h/db")
    config(json=True)
    config(json=False)
    assert "geheim" not in repr(load_settings())
    monkeypatch.setenv("RAG_STATE_URL", "mysql://u:geheim@h/db")
    with pytest.raises(SettingsError, match=r"RAG_STATE_URL is .*give postgresql://") as caught:
        load_settings()
    shown = capsys.readouterr().out
    assert "state_url" in shown
    assert "geheim" not in shown + raised(caught)


def test_a_missing_driver_names_its_install_command(tmp_path: Path) -> None:
    """In a process that sees every package but that one."""
    seen = tmp_path / "packages"
    seen.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith("psycopg") and path.suffix != ".pth":
            (seen / path.name).symlink_to(path)
    code = (
        f"import sys; sys.path += [{str(seen)!r}, {str(ROOT)!r}]\n"
        "from pathlib import Path; from pydantic import SecretStr\n"
        "from api.state.opening import open_state\n"
        "open_state(Path('.'), SecretStr('postgresql://u:geheim@h/db'))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "MissingExtraError: psycopg, which RAG_STATE_URL needs, is not installed" in done.stderr
    assert "pip install 'thrifty-rag[postgres]'" in done.stderr


def test_a_server_that_goes_away_and_comes_back(postgres: Cluster, tmp_path: Path) -> None:
    engine = open_state(tmp_path, SecretStr(postgres.url(postgres.create_database())))
    with engine.connect() as connection:
        own = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        postgres.run_sql(f"SELECT pg_terminate_backend({own})")
        with pytest.raises(StateUnavailableError, match="cannot be reached") as caught:
            connection.execute(select(FILES))
    raised(caught)
    put_files(engine)
    engine.dispose()


async def test_one_process_at_a_time_has_the_turn(postgres: Cluster, tmp_path: Path) -> None:
    url = SecretStr(postgres.url(postgres.create_database()))
    ours, theirs = open_state(tmp_path / "ours", url), open_state(tmp_path / "theirs", url)
    order = []

    async def take_next() -> None:
        async with turn(theirs, "one"):
            order.append("theirs")

    async with turn(ours, "one"):
        waiting = asyncio.create_task(take_next())
        async with turn(theirs, "two"):  # another collection does not wait
            order.append("other collection")
        await asyncio.wait({waiting}, timeout=0.3)
        order.append("ours ends")
    await waiting
    assert order == ["other collection", "ours ends", "theirs"]
    ours.dispose()
    theirs.dispose()


async def test_a_turn_ends_with_its_process(postgres: Cluster, tmp_path: Path) -> None:
    url = postgres.url(postgres.create_database())
    code = (
        "import asyncio, time; from pathlib import Path; from pydantic import SecretStr\n"
        "from api.state.opening import open_state; from api.state.turn import turn\n"
        "async def hold():\n"
        f"    async with turn(open_state(Path({str(tmp_path)!r}), SecretStr({url!r})), 'one'):\n"
        "        print('held', flush=True); time.sleep(60)\n"
        "asyncio.run(hold())"
    )
    holder = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.communicate()
    engine = open_state(tmp_path, SecretStr(url))
    async with turn(engine, "one"):
        pass
    engine.dispose()


async def test_a_turn_that_is_given_up_is_not_kept(postgres: Cluster, tmp_path: Path) -> None:
    url = SecretStr(postgres.url(postgres.create_database()))
    engine = open_state(tmp_path, url)

    async def wait_for_it() -> None:
        async with turn(engine, "one"):
            raise AssertionError("it was ours")

    async with turn(engine, "one"):
        waiting = asyncio.create_task(wait_for_it())
        await asyncio.wait({waiting}, timeout=0.3)
        waiting.cancel()
        await asyncio.wait({waiting})
        assert waiting.cancelled()
    async with turn(engine, "one"):
        pass
    engine.dispose()


async def test_turns_follow_each_other(state_url: SecretStr | None, tmp_path: Path) -> None:
    engine = open_state(tmp_path, state_url)
    async with turn(engine, "one"), turn(engine, "two"):
        pass
    async with turn(engine, "one"):
        pass
    engine.dispose()
