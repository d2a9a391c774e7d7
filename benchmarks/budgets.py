"""Whether budgets are walls under load and `kill -9`, and what the ledger costs a call.

    python -m benchmarks.budgets

Several processes put 1,000 calls at once before walls that let about half of them pass, on SQLite
and on PostgreSQL; some of them are killed while they run, and begin anew. Afterwards the bill of
the made-up provider is compared with the ledger. Then calls are timed that need no time themselves.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Engine, func, select

from api.state.opening import open_state
from benchmarks.budget_load import USD_PER_TOKEN, MadeUpPricing, call_of, walls_for
from benchmarks.publish import write_result
from generation.money.budgets import Account, Room, accounts_of
from generation.money.ledger import SqlLedger, utc_now
from generation.money.tables import BUDGETS, LEDGER, RESERVATIONS
from rag.types import Answer, Cost, Usage
from tests.postgres import find_programs, running_cluster

ROOT = Path(__file__).parent.parent
REQUESTS = 1_000
PROCESSES = 4
KILLS = 4
HOLD_S = 8.0
TIMED = 300
AT_ONCE = 32
DURABLE = "-c listen_addresses='' -c shared_buffers=64MB"

_SPENT = re.compile(r"is \$([\d,.]+): \$([\d,.]+) is spent.* may take \$([\d,.]+):")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the state of a trial is, and what its provider billed."""

    folder: Path
    url: str

    @property
    def bill(self) -> Path:
        """Of the made-up provider."""
        return self.folder / "bill.txt"

    def open(self) -> Engine:
        """The state."""
        return open_state(self.folder, SecretStr(self.url) if self.url else None)

    def start(self, numbers: range, total: int, hold_s: float) -> subprocess.Popen[str]:
        """A process that asks the requests of these numbers."""
        command = [sys.executable, "-m", "benchmarks.budget_load", str(self.folder), self.url]
        command += map(str, [self.bill, numbers.start, numbers.stop, total, hold_s])
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def trial(place: Place, requests: int, processes: int, kills: int, hold_s: float) -> dict[str, Any]:
    """The load, with kills; what is found of it afterwards."""
    engine = place.open()
    share = -(-requests // processes)
    parts = [range(n, min(n + share, requests)) for n in range(0, requests, share)]
    with watching(engine, requests) as crossed:
        started = time.perf_counter()
        running = [place.start(part, requests, hold_s) for part in parts]
        for kill in range(kills):
            victim = kill % len(parts)
            _wait_for_bills(place, (kill + 1) * requests // (4 * kills), running[victim])
            running[victim].kill()
            running[victim].communicate()
            running[victim] = place.start(parts[victim], requests, hold_s)
        told = [one for process in running for one in json.loads(process.communicate()[0])]
        took_s = time.perf_counter() - started
    later = SqlLedger(engine, now=lambda: utc_now() + timedelta(seconds=2 * hold_s))
    lost = later.settle_lost()
    later.close()
    findings = judge(engine, place.bill, told, requests)
    engine.dispose()
    return {
        **findings,
        "moments_past_a_wall": len(crossed),
        "kills": kills,
        "lost_at_the_end": lost,
        "seconds": round(took_s, 1),
    }


@contextmanager
def watching(engine: Engine, requests: int) -> Iterator[list[Account]]:
    """Look at the budgets again and again; gives those that were past their wall."""
    crossed: list[Account] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            crossed.extend(account for account, _ in past_walls(engine, requests))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield crossed
    finally:
        is_over.set()
        watcher.join()


def past_walls(engine: Engine, requests: int) -> list[tuple[Account, Room]]:
    """The budgets in which more is spent and reserved than their walls allow."""
    walls = walls_for(requests)
    with engine.connect() as connection:
        rows = connection.execute(select(BUDGETS)).all()
    return [
        (wall.account, Room(row.spent_pico_usd, row.reserved_pico_usd))
        for row in rows
        for wall in walls.of(row.scope, row.name, f"{row.period}-01")
        if wall.account.period == row.period
        and row.spent_pico_usd + row.reserved_pico_usd > wall.limit
    ]


def judge(
    engine: Engine, bill: Path, told: Sequence[dict[str, Any]], requests: int
) -> dict[str, Any]:
    """What the row of the issue asks for, in counts that are all to be 0, and how much was done."""
    billed: dict[str, Decimal] = defaultdict(Decimal)
    for line in bill.read_text().splitlines():
        answer_id, usd = line.split()
        billed[answer_id] += Decimal(usd)
    with engine.connect() as connection:
        rows = connection.execute(select(LEDGER)).all()
        reservations = connection.scalar(select(func.count()).select_from(RESERVATIONS))
        budgets = connection.execute(select(BUDGETS)).all()
    counted: dict[Any, int] = defaultdict(int)
    for row in rows:
        taken = row.at_most_pico_usd if row.pico_usd is None else row.pico_usd
        for name in (row.answer_id, *accounts_of(row.tenant, row.key, row.at)):
            counted[name] += taken
    refused = [one for one in told if one["refusal"]]
    return {
        "requests": requests,
        "answered": sum(one["answered"] for one in told),
        "refused": len(refused),
        "ledger_lines": len(rows),
        "outcomes": {
            name: sum(row.outcome == name for row in rows)
            for name in sorted({row.outcome for row in rows})
        },
        "billed_usd": str(sum(billed.values())),
        "counted_usd": str(Decimal(sum(map(_counted, rows))).scaleb(-12)),
        "day_wall_usd": str(walls_for(requests).day_usd),
        "walls_passed": len(past_walls(engine, requests)),
        "bills_not_covered": sum(
            usd > Decimal(counted[name]).scaleb(-12) for name, usd in billed.items()
        ),
        "false_refusals": sum(not is_justified(one, counted, requests) for one in refused),
        "still_reserved": reservations + sum(row.reserved_pico_usd != 0 for row in budgets),
        "wrong_sums": sum(
            row.spent_pico_usd != counted[Account(row.scope, row.name, row.period)]
            for row in budgets
        ),
    }


def _counted(row: Any) -> int:
    taken: int = row.at_most_pico_usd if row.pico_usd is None else row.pico_usd
    return taken


def is_justified(refused: dict[str, Any], counted: dict[Any, int], requests: int) -> bool:
    """Whether a wall was in the way by what was spent alone, as the refusal said it was."""
    said = _SPENT.search(refused["refusal"])
    if said is None:
        return False
    limit, spent, at_most = (Decimal(usd.replace(",", "")) for usd in said.groups())
    call = call_of(refused["number"])
    really_at_most = USD_PER_TOKEN * call.max_output_tokens
    walls = walls_for(requests).before(call.question, utc_now().isoformat())
    in_the_way = [
        wall
        for wall in walls
        if counted[wall.account if wall.account.period else wall.account.name]
        + int(really_at_most.scaleb(12))
        > wall.limit
    ]
    return spent + at_most > limit and at_most == really_at_most and bool(in_the_way)


def _wait_for_bills(place: Place, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not place.bill.exists() or place.bill.read_text().count("\n") < count:
        if process.poll() is not None or time.monotonic() > deadline:
            return
        time.sleep(0.005)


async def overhead(engine: Engine) -> dict[str, float]:
    """Milliseconds that the ledger adds to a call and to an answer, alone and among others."""
    ledger = SqlLedger(engine, walls_for(1_000_000))
    pricing = MadeUpPricing()

    async def call(number: int) -> None:
        made = call_of(number)
        made = replace(made, question=replace(made.question, answer_id=_new_name()))
        line = await ledger.reserve(
            made, pricing.at_most_usd(made), provider="p", model="m", hold_s=60, max_wait_s=60
        )
        await ledger.settle(replace(line, outcome="done", usage=Usage(), usd=Decimal(0)))

    async def answer(number: int) -> None:
        cost = Cost((), Decimal("0.01"))
        made = Answer(_new_name(), "answered", "", "extractive", "m", 1.0, (), Usage(), 0, cost)
        await ledger.record_answer(call_of(number).question, made)

    try:
        return {
            "call_alone_ms": await _median_ms(call, 1),
            f"call_of_{AT_ONCE}_ms": await _median_ms(call, AT_ONCE),
            "answer_alone_ms": await _median_ms(answer, 1),
            f"answer_of_{AT_ONCE}_ms": await _median_ms(answer, AT_ONCE),
        }
    finally:
        ledger.close()


def _new_name() -> str:
    return f"ans_{uuid.uuid4().hex}"


async def _median_ms(work: Callable[[int], Awaitable[None]], at_once: int) -> float:
    """The median time of one piece of work, with so many under way at a time."""
    times: list[float] = []
    numbers = iter(range(TIMED + at_once))

    async def work_on() -> None:
        for number in numbers:
            started = time.perf_counter()
            await work(number)
            times.append((time.perf_counter() - started) * 1000)

    await asyncio.gather(*(work_on() for _ in range(at_once)))
    return round(statistics.median(times[at_once:]), 2)


def measure(place: Place, requests: int) -> dict[str, Any]:
    """Walls and overhead of one database."""
    found = trial(place, requests, PROCESSES, KILLS, HOLD_S)
    engine = place.open()
    found["overhead"] = asyncio.run(overhead(engine))
    engine.dispose()
    return found


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--dry-run", action="store_true", help="show the figures only")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        figures["sqlite"] = measure(Place(Path(folder), ""), arguments.requests)
    programs = find_programs()
    if programs is not None:
        with (
            tempfile.TemporaryDirectory() as folder,
            running_cluster(programs, DURABLE) as cluster,
        ):
            place = Place(Path(folder), cluster.url(cluster.create_database()))
            figures["postgresql"] = measure(place, arguments.requests)
    print(json.dumps(figures, indent=2))
    if not arguments.dry_run:
        write_result("budgets", figures)


if __name__ == "__main__":
    main()
