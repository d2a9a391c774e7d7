"""Answers a second by quoting: POST /v1/answers, several clients at once, on this machine.

    python -m benchmarks.http_load --data ../shared/data

The service holds the 2,655 passages of nq_open; every request is another of its questions. Clients
and service share the machine's cores; the client is a bare socket so as to take little of them.
Reported: requests a second, median and 99th percentile of the time to an answer, errors.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.publish import write_result
from benchmarks.service import rag, running_service


async def load(port: int, questions: list[str], clients: int) -> dict[str, float]:
    """Ask all questions from `clients` connections at once."""
    waiting = iter(questions)
    times: list[float] = []
    errors: list[str] = []
    started = time.perf_counter()
    await asyncio.gather(*(_client(port, waiting, times, errors) for _ in range(clients)))
    elapsed = time.perf_counter() - started
    percentiles = statistics.quantiles(times, n=100)
    return {
        "requests": len(times),
        "errors": len(errors),
        "answers_per_s": round(len(times) / elapsed, 1),
        "p50_ms": round(percentiles[49] * 1000, 1),
        "p99_ms": round(percentiles[98] * 1000, 1),
    }


async def _client(
    port: int, questions: Iterator[str], times: list[float], errors: list[str]
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for question in questions:
        body = json.dumps({"question": question}).encode()
        head = (
            "POST /v1/answers HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        started = time.perf_counter()
        writer.write(head.encode() + body)
        status, answer = await _read_response(reader)
        times.append(time.perf_counter() - started)
        if status != 200 or b'"status"' not in answer:
            errors.append(f"{status}: {answer[:200]!r}")
    writer.close()


async def _read_response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    lengths = [line.split(":")[1] for line in head if line.lower().startswith("content-length")]
    return int(head[0].split()[1]), await reader.readexactly(int(lengths[0]))


def main() -> None:
    """Ingest, serve, warm up, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--requests", type=int, default=2_000)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    rows = (arguments.data / "nq_open" / "queries.jsonl").read_text().splitlines()
    questions = [json.loads(row)["text"] for row in rows]
    with tempfile.TemporaryDirectory() as folder:
        rag(Path(folder), "ingest", str(arguments.data / "nq_open" / "corpus.jsonl"))
        with running_service(Path(folder)) as port:
            asyncio.run(load(port, questions[:200], arguments.clients))
            runs = []
            for number in range(arguments.repeats):
                first = 200 + number * arguments.requests
                asked = [
                    questions[i % len(questions)] for i in range(first, first + arguments.requests)
                ]
                runs.append(asyncio.run(load(port, asked, arguments.clients)))
                print(json.dumps(runs[-1]))
    write_result("http", {"clients": arguments.clients, "runs": runs})


if __name__ == "__main__":
    main()
