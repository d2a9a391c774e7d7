"""Calls that can wait, sent together to a provider's batch endpoint at its discount.

A batch takes up to a day, and may outlive the process that sent it: whoever sends one keeps its id
and its calls. Nothing is known of what it cost before it has ended.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rag.calls import CallEnd, ModelCall
from rag.errors import ProviderError


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """How far a batch is: calls in all, answered, and failed. Some count only at the end."""

    has_ended: bool
    total: int
    answered: int
    failed: int


@dataclass(frozen=True, slots=True)
class BatchAnswer:
    """What a call of a batch was answered, whole."""

    text: str
    end: CallEnd


BatchResult = BatchAnswer | ProviderError


class BatchEndpoint(Protocol):
    """Where a provider takes batches for one model. Each method raises ProviderError."""

    @property
    def provider(self) -> str:
        """Who serves it, as the table of prices and the ledger call them."""

    @property
    def model(self) -> str:
        """Its name there."""

    async def submit(self, calls: Mapping[str, ModelCall]) -> str:
        """Send calls under ids of 1 to 64 letters, digits, - and _; the id of the batch.

        It is not tried again: where the reply was lost (ProviderUnavailableError), the batch may
        run all the same.
        """

    async def progress(self, batch_id: str) -> BatchProgress:
        """How far it is now. Raises NotFoundError."""

    async def results(
        self, batch_id: str, calls: Mapping[str, ModelCall]
    ) -> dict[str, BatchResult]:
        """For each of the calls that were sent, its answer or why there is none.

        Raises NotFoundError, and ConflictError while the batch still runs.
        """


def json_lines(text: str) -> list[object]:
    """The values of a JSONL text. A line ends at a line feed only: others may stand in strings."""
    return [json.loads(line) for line in text.split("\n") if line.strip()]


def part(value: object, *path: str) -> Any:
    """What stands at the end of a path through JSON objects, None where there is nothing."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
