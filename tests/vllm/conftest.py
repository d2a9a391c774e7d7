"""One real vLLM server for all tests here: it takes half a minute to start.

`make test-vllm` runs them. It makes the environment of the server first, so that none is skipped.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.vllm_server import MODEL, VllmServer, missing
from generation.providers.openai_chat import OpenAIChatModel

sys.path.append(str(Path(__file__).parents[1] / "generation"))  # the contract of all models
pytest.register_assert_rewrite("model_contract")

MOST_RUNNING = 8
MOST_IN_FLIGHT = 40


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """The server, ready; a test that kills it starts it again."""
    why_not = missing()
    if why_not is not None:
        pytest.skip(why_not)
    server = VllmServer(
        tmp_path_factory.mktemp("vllm"),
        *("--max-num-seqs", str(MOST_RUNNING), "--max-num-queued-reqs", str(MOST_IN_FLIGHT)),
    )
    try:
        server.start()
        yield server
    finally:
        server.kill()


@pytest.fixture
async def vllm_model(vllm: VllmServer) -> AsyncIterator[OpenAIChatModel]:
    """Our client of the server."""
    model = OpenAIChatModel(vllm.url, MODEL, None, provider="vllm", timeout_s=300)
    yield model
    await model.close()


@pytest.fixture
def calls_in_server(vllm: VllmServer) -> Callable[[], Awaitable[int]]:
    """Tells how many calls the server works on or holds in its queue."""

    def count() -> int:
        names = ("vllm:num_requests_running", "vllm:num_requests_waiting")
        return int(sum(map(vllm.metric, names)))

    async def tell() -> int:
        return await asyncio.to_thread(count)

    return tell
