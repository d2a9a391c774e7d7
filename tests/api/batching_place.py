"""A folder with pages, prices and a premium model at a server of batches, for tests."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "generation"))

from batch_server import BatchServer, batch_server

SENTENCE = "A refund takes five business days and goes to the card that paid."
TRUE = f"{SENTENCE[:-1]} [1]."
QUESTION = "When do I see my money again after I sent a thing back?"
COPIED = "How many business days does a refund take?"
PAGE = f"# Refunds\n\n{SENTENCE}\nRefunds of gift cards go to the shop account instead.\n"
USD = "0.000406"
"""301 tokens at $1 and 21 at $5 a million: half of the price."""
PRICES = """
[[models]]
provider = "openai"
model = "big"
input = 2.00
output = 10.00
batch_discount = 0.5
as_of = 2026-01-01
source = "made for this test"

[[models]]
provider = "openai"
model = "at-once"
input = 2.00
output = 10.00
as_of = 2026-01-01
source = "made for this test"
"""


def answers_of(server: BatchServer, *texts: str, batch: str = "batch_0") -> None:
    """The batch ends with these answers, in the order of its calls."""
    usage = {"prompt_tokens": 301, "completion_tokens": 21, "total_tokens": 322}
    lines: list[dict[str, Any]] = []
    for line, text in zip(server.sent[batch], texts, strict=True):
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"model": "big", "choices": [choice], "usage": usage}
        response = {"status_code": 200, "body": body}
        lines.append({"custom_id": line["custom_id"], "response": response, "error": None})
    server.end_openai(batch, output=lines)


@contextmanager
def batch_server_beside() -> Iterator[BatchServer]:
    """A server of batches in a thread of its own, for commands that have their own loop."""
    ready: list[BatchServer] = []
    is_up, is_over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with batch_server() as server:
            ready.append(server)
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    is_up.wait(30)
    try:
        yield ready[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join(30)
        loop.close()
