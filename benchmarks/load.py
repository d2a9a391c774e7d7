"""The service under load: alone, at its capacity, for ten minutes, and with four times too much.

    python -m benchmarks.load --data ../shared/data

The service holds the 2,655 passages of nq_open, and no question comes again before 2,655 others:
nothing is reused. Once it quotes; once its local tier is a stand-in for a model that needs 300 ms.
The load comes from wrk, which takes little of the cores that it shares with the service.

The capacity is what sixteen clients get answered a second who ask one question after the other.
Then requests come at random moments, whether or not earlier ones were answered (an open loop: what
is late counts from when it was due): at 70% of the capacity for `--minutes`, with the memory of the
service, and at four times the capacity. Alone is one client that asks one question after the other,
just before that crowd comes and just after it. The crowd comes `--rounds` times, and medians are
told. Of ten requests eight want an answer, one a streamed one, and one hits or a context. Last, how
long the first byte of a streamed quote takes.

The host of a virtual machine takes processor time for others, for seconds or for minutes. Its share
is told with each figure. What it took more than a twentieth from is measured again, three times at
most; the least disturbed one counts, whatever came out, and what the others took and refused is
told, too.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.engine_overhead import SLOW, SLOW_FIRST_TOKEN_S, serve
from benchmarks.publish import write_result
from benchmarks.service import rag, running_process

SCRIPT = Path(__file__).with_name("open_loop.lua")
CLIENTS = 16
SPARE_CONNECTIONS = 8
"""Besides five for each request of a second: enough that none is waited for, and that nobody comes
back sooner than he is told, which is within two seconds, even after a standstill."""
STEADY_SHARE = 0.7
OVERLOAD = 4
SETTLING_S = 3.0
"""At the begin of an overload: the time in which it is noticed, which is told apart."""
DISTURBED = 0.05
TRIES = 3
STREAMS = 200
MEMORY_EVERY_S = 5.0


@dataclass(slots=True)
class Target:
    """A running service, and a file with what to ask it, of which so many lines were asked."""

    port: int
    pid: int
    requests: Path
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """When a request was due, in seconds from the start; how long its answer took; its status."""

    due_s: float
    ms: float
    status: int


@dataclass(frozen=True, slots=True)
class Load:
    """The replies of so many seconds, and the share of the processors that the host took."""

    replies: list[Reply]
    seconds: float
    stolen: float

    def __add__(self, other: Load) -> Load:
        seconds = self.seconds + other.seconds
        stolen = (self.stolen * self.seconds + other.stolen * other.seconds) / seconds
        return Load(self.replies + other.replies, seconds, stolen)


def asked_by(target: Target, clients: int, seconds: float) -> Load:
    """So many clients ask one question after the other."""
    return _run(target, clients, seconds, 0)


def asked_at(target: Target, rate: float, seconds: float) -> Load:
    """So many requests come a second, whether or not earlier ones were answered."""
    return _run(target, SPARE_CONNECTIONS + round(5 * rate), seconds, rate)


def _run(target: Target, connections: int, seconds: float, rate: float) -> Load:
    before = _processor_time()
    with tempfile.NamedTemporaryFile("r") as out:
        command = ["wrk", "-t1", f"-c{connections}", f"-d{round(seconds)}s", "--timeout", "30s"]
        url = f"http://127.0.0.1:{target.port}"
        told_script = [str(target.requests), str(target.asked), str(rate), out.name]
        command += ["-s", str(SCRIPT), url, "--", *told_script]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        if "Socket errors" in told.stdout:
            raise RuntimeError(told.stdout)
        lines = (line.split() for line in out if line.endswith("\n"))
        replies = [Reply(float(due), float(ms), int(status)) for due, ms, status in lines]
    target.asked += len(replies) + connections  # those that were under way at the end, too
    stolen, whole = (after - early for after, early in zip(_processor_time(), before, strict=True))
    return Load(replies, seconds, stolen / whole)


def _processor_time() -> tuple[int, int]:
    """What the host took of the processors' time, and all of it, in ticks."""
    with open("/proc/stat") as file:
        ticks = [int(tick) for tick in file.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def summed(load: Load) -> dict[str, Any]:
    """Rates and times of what was answered; `errors` counts every other status."""
    good = [reply.ms for reply in load.replies if reply.status == 200]
    return {
        "requests": len(load.replies),
        "errors": len(load.replies) - len(good),
        "answers_per_s": round(len(good) / load.seconds, 1),
        **_quantiles(good),
        "stolen": round(load.stolen, 3),
    }


def overloaded(load: Load) -> dict[str, Any]:
    """The admitted and the refused, once it was noticed; before that, how long the longest took."""
    settled = [reply for reply in load.replies if reply.due_s >= SETTLING_S]
    refused = [reply.ms for reply in settled if reply.status == 503]
    early = [reply.ms for reply in load.replies if reply.due_s < SETTLING_S]
    let_in = [reply for reply in settled if reply.status != 503]
    return {
        **summed(Load(let_in, load.seconds - SETTLING_S, load.stolen)),
        "refused": {"requests": len(refused), **_quantiles(refused)},
        "longest_while_settling_ms": round(max(early), 1),
    }


def _quantiles(times: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50_ms": round(cuts[49], 1), "p99_ms": round(cuts[98], 1)}


@contextmanager
def memory_of(pid: int, found: list[tuple[float, float]]) -> Iterator[None]:
    """Notes seconds and megabytes of a process, again and again."""
    over = threading.Event()
    began = time.monotonic()

    def watch() -> None:
        while not over.wait(MEMORY_EVERY_S):
            status = Path(f"/proc/{pid}/status").read_text()
            kilobytes = next(row for row in status.splitlines() if row.startswith("VmRSS"))
            found.append((time.monotonic() - began, int(kilobytes.split()[1]) / 1024))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def memory_summed(found: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """Megabytes at the begin, in the middle and at the end, and the slope of the second half."""
    half = found[len(found) // 2 :]
    slope = statistics.linear_regression(*zip(*half, strict=True)).slope if len(half) > 1 else 0.0
    return {
        "first_mb": round(found[0][1]),
        "middle_mb": round(found[len(found) // 2][1]),
        "last_mb": round(found[-1][1]),
        "mb_per_hour_in_the_second_half": round(slope * 3600, 1),
    }


def measure(target: Target, seconds: float, minutes: float, rounds: int) -> dict[str, Any]:
    """All that one service shows."""
    asked_by(target, CLIENTS, seconds / 3)  # to warm up
    capacity = undisturbed("capacity", lambda: summed(asked_by(target, CLIENTS, seconds)))
    rate = capacity["answers_per_s"]
    steady = undisturbed("steady", lambda: steadily(target, STEADY_SHARE * rate, minutes * 60))
    found = [
        undisturbed("crowd", lambda: crowded(target, OVERLOAD * rate, seconds))
        for _ in range(rounds)
    ]
    told = [{name: one[name] for name in ("alone", "overload")} for one in found]
    return {"capacity": capacity, "steady": steady, **medians(told), "rounds": found}


def undisturbed(what: str, measured: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The figures from which the host took least, by "stolen", and in "disturbed" the others."""
    found: list[dict[str, Any]] = []
    while not found or (len(found) < TRIES and found[-1]["stolen"] > DISTURBED):
        found.append(measured())
        print(json.dumps({what: found[-1]}), flush=True)
    found.sort(key=lambda figures: figures["stolen"])
    return found[0] | {"disturbed": found[1:]}


def steadily(target: Target, rate: float, seconds: float) -> dict[str, Any]:
    """So many requests a second, and the memory meanwhile."""
    memory: list[tuple[float, float]] = []
    with memory_of(target.pid, memory):
        load = asked_at(target, rate, seconds)
    return summed(load) | {"memory": memory_summed(memory)}


def crowded(target: Target, rate: float, seconds: float) -> dict[str, Any]:
    """One client alone, a crowd, and the one again."""
    before = asked_by(target, 1, seconds / 2)
    crowd = asked_at(target, rate, seconds + SETTLING_S)
    time.sleep(seconds / 2)  # until nobody comes back any more
    alone = summed(before + asked_by(target, 1, seconds / 2))
    overload = overloaded(crowd)
    for name in ("p50_ms", "p99_ms"):
        overload[f"{name}_by_alone"] = round(overload[name] / alone[name], 2)
    stolen = max(alone["stolen"], overload["stolen"])
    return {"alone": alone, "overload": overload, "stolen": stolen}


def medians(rounds: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Of each figure of the rounds; but of errors the sum."""
    found: dict[str, Any] = {}
    for name, one in rounds[0].items():
        every = [each[name] for each in rounds]
        if isinstance(one, Mapping):
            found[name] = medians(every)
        else:
            found[name] = sum(every) if name == "errors" else statistics.median(every)
    return found


def first_bytes(port: int, questions: Sequence[str]) -> dict[str, float]:
    """Milliseconds to the first byte of a streamed answer's text, one question after the other."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for question in questions:
            body = json.dumps({"question": question, "stream": True}).encode()
            head = (
                "POST /v1/answers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            began = time.perf_counter()
            connection.sendall(head.encode() + body)
            heard = b""
            while b"\r\n\r\n" not in heard or not heard.partition(b"\r\n\r\n")[2]:
                heard += connection.recv(65_536)
            times.append((time.perf_counter() - began) * 1000)
            while not heard.endswith(b"\r\n0\r\n\r\n"):
                heard += connection.recv(65_536)
    return {"streams": len(times), **_quantiles(times)}


def requests_of(questions: Sequence[str], wanted: dict[str, Any]) -> str:
    """The lines that wrk sends in turn, in the mix of above."""
    lines = []
    for number, question in enumerate(questions):
        asked = {"question": question}
        kind = number % 10
        if kind < 8:
            path, body = "/v1/answers", asked | wanted
        elif kind == 8:
            path, body = "/v1/answers", asked | wanted | {"stream": True}
        else:
            path, body = "/v1/search" if number % 20 == 9 else "/v1/context", asked
        lines.append(f"{path}\t{json.dumps(body)}\n")
    return "".join(lines)


@contextmanager
def stand_in() -> Iterator[str]:
    """The address of a model that needs 300 ms."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    there.close()  # or to read from a server that never came would wait for ever
    try:
        yield f"http://127.0.0.1:{here.recv()}{SLOW}/v1"
    finally:
        server.terminate()
        server.join()


def main() -> None:
    """Ingest, serve, warm up, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk was not found: apt-get install wrk")
    rows = (chosen.data / "nq_open" / "queries.jsonl").read_text().splitlines()
    questions = [json.loads(row)["text"] for row in rows]
    figures: dict[str, Any] = {"steady_minutes": chosen.minutes, "model_s": SLOW_FIRST_TOKEN_S}
    with tempfile.TemporaryDirectory() as folder, stand_in() as url:
        place, requests = Path(folder) / "rag", Path(folder) / "requests"
        rag(place, "ingest", str(chosen.data / "nq_open" / "corpus.jsonl"))
        requests.write_text(requests_of(questions, {}))
        with running_process(place, {}) as (port, pid):
            target = Target(port, pid, requests)
            quoting = measure(target, chosen.seconds, chosen.minutes, chosen.rounds)
            figures["quoting"] = quoting | {"first_byte": first_bytes(port, questions[:STREAMS])}
        requests.write_text(requests_of(questions, {"tier": "local"}))
        local = {"RAG_LOCAL__BASE_URL": url, "RAG_LOCAL__MODEL": "m"}
        with running_process(place, local) as (port, pid):
            target = Target(port, pid, requests)
            figures["model"] = measure(target, chosen.seconds, chosen.minutes, chosen.rounds)
    write_result("load", figures)


if __name__ == "__main__":
    main()
