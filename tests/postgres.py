"""A PostgreSQL of the tests' own: a cluster in a passing folder, behind a Unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, create_engine

from tests.patience import FAR_S

USER = "postgres"
SETTINGS = (
    "-c listen_addresses='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off "
    "-c shared_buffers=16MB"
)


def find_programs() -> Path | None:
    """The folder with initdb and pg_ctl: what the path names, else Debian's newest."""
    named = shutil.which("pg_ctl")
    places = [Path(named).parent] if named else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


class Cluster:
    """A running PostgreSQL; every database in it is a test's own."""

    def __init__(self, programs: Path, folder: Path, settings: str) -> None:
        self._programs = programs
        self._folder = folder
        self._settings = settings
        self._made = 0

    def initialise(self) -> None:
        """Make its files."""
        self._run("initdb", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-N")

    def start(self) -> None:
        """Start the server, and wait for it."""
        options = f"{self._settings} -k {self._folder}"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        """Stop the server as a crash does: whoever is connected is cut off."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def create_database(self, template: str = "template0") -> str:
        """The name of a new database, a copy of `template`."""
        self._made += 1
        name = f"test_{self._made}"
        self.run_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def url(self, database: str) -> str:
        """The URL of a database, without the driver, as a person gives it."""
        made = URL.create("postgresql", USER, database=database, query={"host": str(self._folder)})
        return made.render_as_string(hide_password=False)

    def run_sql(self, statement: str) -> None:
        """Run a statement outside all test databases."""
        url = self.url(USER).replace("postgresql:", "postgresql+psycopg:")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.exec_driver_sql(statement)
        engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
        command = [str(self._programs / program), "-D", str(self._folder / "data"), *arguments]
        # Not captured by pipes: the server would keep them open, and this would wait for it.
        with (self._folder / "out").open("a") as out:
            subprocess.run(
                [*as_user, *command],
                check=True, cwd="/", stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                timeout=FAR_S,
            )  # fmt: skip


@contextmanager
def running_cluster(programs: Path, settings: str = SETTINGS) -> Iterator[Cluster]:
    """A fresh cluster, stopped and deleted at the end; by default one that forgets in a crash."""
    # Not in pytest's folder, which the user that the server must run as cannot read.
    folder = Path(tempfile.mkdtemp(prefix="rag-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, USER)
    cluster = Cluster(programs, folder, settings)
    try:
        cluster.initialise()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
