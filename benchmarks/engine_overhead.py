"""What an answer of a model takes besides the model's own time: reservation, client, check, ledger.

    python -m benchmarks.engine_overhead --data ../shared/data

The local tier answers the questions of nq_open through the whole path. Its server, a process of
its own, answers with sentences of the context: at once, and then at the pace of a fast model. The
same prompt is also put to it by a bare HTTP client, in turn with ours; what is left of an answer's
time without that, and without search and compression, is the engine's. At the pace of a model, what
the engine does while the model writes costs nobody time; a model that answers at once does not
exist, and shows all that the engine does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import re
import statistics
import tempfile
import time
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import uvloop

from api.build import Application, build
from api.setting_groups.models import BudgetSettings, LocalSettings
from api.settings import load_settings
from benchmarks.publish import write_result
from generation.providers.openai_chat import messages_of
from generation.writing.prompt import build_prompt
from rag.types import Question

QUESTIONS = 200
WARM_UP = 20
PACED = "/paced"
FIRST_TOKEN_S = 0.05
TOKEN_S = 0.002
SLOW = "/slow"
SLOW_FIRST_TOKEN_S = 0.3
_PACES = {PACED: (FIRST_TOKEN_S, TOKEN_S), SLOW: (SLOW_FIRST_TOKEN_S, 0.0)}
"""By path, seconds before the first token, and before each of the others."""
COLLECTION = "default"
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def serve(told: Connection) -> None:
    """A server of OpenAI's protocol, at once or as its path says; it tells its port."""
    asyncio.run(_serve(told))


async def _serve(told: Connection) -> None:
    server = await asyncio.start_server(_talk, "127.0.0.1", 0)
    told.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


async def _talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        length = int(re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)[1])
        body = json.loads(await reader.readexactly(length))
        events = [b"data: %s\n\n" % json.dumps(one).encode() for one in _chunks(body)]
        events.append(b"data: [DONE]\n\n")
        path = "/" + head.split(maxsplit=2)[1].decode().split("/")[1]
        first_s, next_s = _PACES.get(path, (0.0, 0.0))
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"content-length: %d\r\n\r\n" % sum(map(len, events))
        )
        for place, event in enumerate(events):
            if pause_s := next_s if place else first_s:
                await asyncio.sleep(pause_s)
            if writer.is_closing():  # the caller has left
                return
            writer.write(event)


def _chunks(body: dict[str, Any]) -> list[dict[str, Any]]:
    """Two sentences of the first excerpt, word by word, with log-probabilities and usage."""
    excerpt = body["messages"][1]["content"].split("[1]", 1)[1].split("\n", 1)[1]
    said = " ".join(f"{one.rstrip('.')} [1]." for one in _SENTENCE.split(excerpt)[:2])
    made: list[dict[str, Any]] = [
        {"index": 0, "delta": {"content": f"{word} "}, "logprobs": {"content": [{"logprob": -0.1}]}}
        for word in said.split()
    ]
    usage = {"prompt_tokens": 400, "completion_tokens": len(made), "total_tokens": 400 + len(made)}
    made.append({"index": 0, "delta": {}, "finish_reason": "stop"})
    chunks: list[dict[str, Any]] = [{"model": "m", "choices": [choice]} for choice in made]
    return [*chunks, {"model": "m", "choices": [], "usage": usage}]


async def measure(data: Path, folder: Path, url: str) -> dict[str, Any]:
    """The times of all questions, as medians, with the server at `url`."""
    settings = load_settings().model_copy(
        update={
            "data_dir": folder,
            "local": LocalSettings(base_url=f"{url}/v1", model="m", gpu_usd_per_hour=Decimal("2")),
            "budgets": BudgetSettings(day_usd=Decimal(1_000), request_usd=Decimal(1)),
        }
    )
    application = build(settings)
    try:
        await application.ingestion.ingest([str(data / "nq_open" / "corpus.jsonl")], COLLECTION)
        rows = (data / "nq_open" / "queries.jsonl").read_text().splitlines()
        questions = [json.loads(row)["text"] for row in rows[: WARM_UP + QUESTIONS]]
        async with httpx.AsyncClient(base_url=url) as client:
            times = [await _times(application, client, text) for text in questions]
    finally:
        await application.close()
    return _summed(times[WARM_UP:])


async def _times(application: Application, client: httpx.AsyncClient, text: str) -> dict[str, Any]:
    question = Question(text, COLLECTION, tier="local")
    most = application.settings.context.max_tokens
    context = await application.pipeline.context(question, most)
    prompt = build_prompt(question, context)
    body = {"model": "m", "messages": messages_of(prompt), "stream": True}
    began = time.perf_counter()
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        async for _ in response.aiter_lines():
            pass
    bare_ms = (time.perf_counter() - began) * 1000
    began = time.perf_counter()
    answer = await application.pipeline.answer(question, most)
    whole_ms = (time.perf_counter() - began) * 1000
    found_ms = sum(line.ms for line in answer.cost.lines if line.stage in ("retrieve", "compress"))
    return {
        "whole_ms": whole_ms,
        "search_and_compression_ms": found_ms,
        "bare_call_ms": bare_ms,
        "engine_ms": whole_ms - found_ms - bare_ms,
        "is_cited": bool(answer.citations) and answer.tier == "local",
    }


def _summed(times: list[dict[str, Any]]) -> dict[str, Any]:
    names = [name for name in times[0] if name.endswith("_ms")]
    return {
        "questions": len(times),
        "cited": sum(one["is_cited"] for one in times),
        "median": {name: round(statistics.median(one[name] for one in times), 2) for name in names},
        "p95": {
            name: round(statistics.quantiles([one[name] for one in times], n=20)[18], 2)
            for name in names
        },
    }


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    chosen = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    server = context.Process(target=serve, args=(there,), daemon=True)
    server.start()
    figures: dict[str, Any] = {"first_token_s": FIRST_TOKEN_S, "token_s": TOKEN_S}
    try:
        url = f"http://127.0.0.1:{here.recv()}"
        for pace, path in (("at_once", ""), ("paced", PACED)):
            with tempfile.TemporaryDirectory() as folder:
                figures[pace] = uvloop.run(measure(chosen.data, Path(folder), url + path))
    finally:
        server.terminate()
    print(figures)
    write_result("engine_overhead", figures)


if __name__ == "__main__":
    main()
