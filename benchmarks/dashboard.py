"""How long the dashboard takes to be gathered over 100,000 answers of a month.

    python -m benchmarks.dashboard [--answers 100000]

Measured is what `GET /v1/dashboard` does, without HTTP, on a SQLite file and on PostgreSQL where
that is installed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, text

from api.state.opening import open_state
from benchmarks.made_answers import write_answers
from benchmarks.publish import write_result
from generation.overview.changes import WEEK, changes
from generation.overview.over_time import over_time
from generation.overview.selection import Selection
from generation.overview.worth_a_look import dearest, unanswered, verdict_counts, worst_rated
from tests.postgres import find_programs, running_cluster

DAYS, LISTED, REPEATS = 30, 10, 7
DURABLE = "-c listen_addresses='' -c shared_buffers=64MB"


def parts(engine: Engine, chosen: Selection) -> dict[str, Callable[[], object]]:
    """What a dashboard is gathered from."""
    return {
        "over time": lambda: over_time(engine, chosen, "day"),
        "drift": lambda: changes(engine, chosen, chosen.until - 2 * WEEK, LISTED),
        "dearest": lambda: dearest(engine, chosen, LISTED),
        "worst rated": lambda: worst_rated(engine, chosen, LISTED),
        "unanswered": lambda: unanswered(engine, chosen, LISTED),
        "verdicts": lambda: verdict_counts(engine, chosen),
    }


def measure(engine: Engine, answers: int) -> dict[str, float]:
    """Milliseconds of each part and of all of them, as medians."""
    until = datetime(2026, 11, 1, tzinfo=UTC)
    write_answers(engine, answers, days=DAYS, until=until)
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE answers"))  # as its daemon does in time
    found: dict[str, float] = {}
    for name, look in parts(engine, Selection(until - timedelta(days=DAYS), until)).items():
        look()
        found[name] = median(_ms(look) for _ in range(REPEATS))
    return found | {"all": sum(found.values())}


def _ms(look: Callable[[], object]) -> float:
    began = time.perf_counter()
    look()
    return (time.perf_counter() - began) * 1000


def measure_in(url: str | None, answers: int) -> dict[str, float]:
    """The same in a new state: of a file, or of the empty database at `url`."""
    with tempfile.TemporaryDirectory() as folder:
        engine = open_state(Path(folder), None if url is None else SecretStr(url))
        try:
            return measure(engine, answers)
        finally:
            engine.dispose()


def main() -> None:
    """Measure, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=100_000)
    answers = parser.parse_args().answers
    figures: dict[str, Any] = {"answers": answers, "days": DAYS, "repeats": REPEATS}
    figures["sqlite_ms"] = measure_in(None, answers)
    programs = find_programs()
    if programs is not None:
        with running_cluster(programs, DURABLE) as cluster:
            figures["postgresql_ms"] = measure_in(cluster.url(cluster.create_database()), answers)
    print(figures)
    write_result("dashboard", figures)


if __name__ == "__main__":
    main()
