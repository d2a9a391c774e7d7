"""Opens the state: a SQLite file in the data folder, or a PostgreSQL database by its URL.

Whoever opens it finds the tables in the newest version. Write-ahead logging lets readers of SQLite
go on during a write; a commit survives a killed process.
"""

from __future__ import annotations

import sqlite3
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from api.state.failures import map_failures
from rag.errors import MissingExtraError, SettingsError

FILE = "state.sqlite"
HEAD = "0016"
"""The version of the tables that this code works with: its newest migration."""

POSTGRES_INSTALL = "pip install 'thrifty-rag[postgres]'"
BUSY_TIMEOUT_MS = 10_000
_ASK_AGAIN_S = 0.02
_MIGRATING = 0x7261_6701  # an advisory lock of PostgreSQL: nobody else's number


def open_state(data_dir: Path, url: SecretStr | None = None) -> Engine:
    """The engine, its tables in the newest version; without a `url`, of a file in `data_dir`.

    Several processes may open it at once. Raises SettingsError for a URL that cannot be used and
    for a state of a newer version, MissingExtraError without the driver, StateError otherwise.
    """
    engine = _open_file(data_dir) if url is None else _open_postgres(url)
    try:
        _bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _open_file(data_dir: Path) -> Engine:
    data_dir.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        URL.create("sqlite", database=str(data_dir / FILE)), hide_parameters=True
    )
    event.listen(engine, "connect", _prepare)
    map_failures(engine, str(data_dir / FILE))
    return engine


def _open_postgres(url: SecretStr) -> Engine:
    if find_spec("psycopg") is None:
        raise MissingExtraError("psycopg, which RAG_STATE_URL needs,", POSTGRES_INSTALL)
    parsed = _parse(url.get_secret_value())
    engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True)
    host = parsed.host or parsed.query.get("host", "localhost")
    map_failures(engine, f"database {parsed.database or ''!r} of PostgreSQL at {host}")
    return engine


def _parse(url: str) -> URL:
    """The URL with our driver in it. Raises SettingsError, which does not repeat it."""
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() in ("postgresql", "postgres"):
            return parsed.set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        pass
    raise SettingsError(
        "state_url is no URL of PostgreSQL: give postgresql://user:password@host:5432/database, "
        "with every sign in the password percent-encoded, or leave it unset for a file"
    )


def _bring_up_to_date(engine: Engine) -> None:
    with engine.connect() as connection:
        if _is_newest(connection):
            return
    # Its own connection, since SQLite turns its foreign keys off and on outside a transaction only.
    with engine.connect() as connection:
        is_file = engine.dialect.name == "sqlite"
        if is_file:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=OFF")  # type: ignore[union-attr]
        _wait_for_turn(connection)
        if not _is_newest(connection):
            from api.state.migrating import migrate

            migrate(connection)
        connection.commit()
        if is_file:
            connection.connection.driver_connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[union-attr]


def _is_newest(connection: Connection) -> bool:
    """Whether the tables are in the newest version. Raises SettingsError for a newer one."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return False
    version = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    if version is not None and version > HEAD:
        raise SettingsError(
            f"the state has version {version}, and this program knows versions up to {HEAD}: "
            "install the newer version of the program that wrote it, or give another data_dir"
        )
    return version == HEAD


def _wait_for_turn(connection: Connection) -> None:
    """Keep other processes from migrating until the transaction ends."""
    if connection.dialect.name == "sqlite":
        connection.rollback()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATING})")


def _prepare(connection: Any, _record: object) -> None:
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    _turn_on_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _turn_on_wal(connection: Any) -> None:
    """SQLite waits for nobody when it changes the kind of its journal, so this waits for it."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(_ASK_AGAIN_S)
