"""One real vLLM server for all tests here: it takes half a minute to start.

`make test-vllm` runs them. It makes the environment of the server first, so that none is skipped.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from made_lessons import finetune, made_lessons, write_lessons

from benchmarks.vllm_server import MODEL, VllmServer, made_model, missing
from generation.providers.openai_chat import OpenAIChatModel
from generation.serving.adapters import read_adapter
from generation.serving.command import options
from generation.serving.facts import facts_in_folder
from generation.serving.gpus import gpu_named
from generation.serving.ladder import Wish
from generation.serving.plan import make_plan

sys.path.append(str(Path(__file__).parents[1] / "generation"))  # the contract of all models
pytest.register_assert_rewrite("model_contract")

MOST_RUNNING = 8
MOST_IN_FLIGHT = 40


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model."""
    why_not = missing()
    if why_not is not None:
        pytest.skip(why_not)
    return made_model(tmp_path_factory.mktemp("vllm"))


@pytest.fixture(scope="session")
def taught(model_folder: Path) -> tuple[Path, str]:
    """An adapter that the recipe trained, and what it printed."""
    lessons = write_lessons(model_folder.parent / "lessons.jsonl", made_lessons())
    adapter = model_folder.parent / "taught"
    wish = ("--epochs", "15", "--learning-rate", "1e-2", "--rank", "8")
    status, printed, went_wrong = finetune(lessons, model_folder, adapter, *wish)
    assert status == 0, went_wrong
    return adapter, printed


@pytest.fixture(scope="session")
def vllm(model_folder: Path, taught: tuple[Path, str]) -> Iterator[VllmServer]:
    """The server, ready, with the adapter as `rag model` has it.

    A test that kills it starts it again.
    """
    adapters = (read_adapter("taught", taught[0]),)
    plan = make_plan(facts_in_folder(model_folder), gpu_named("L4"), Wish(adapters=adapters))
    with_adapter = [word for one in options(plan) if "lora" in one.name for word in one.words]
    server = VllmServer(
        model_folder.parent,
        *("--max-num-seqs", str(MOST_RUNNING), "--max-num-queued-reqs", str(MOST_IN_FLIGHT)),
        *with_adapter,
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
