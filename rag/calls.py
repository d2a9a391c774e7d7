"""What passes to and from a language model, and what is recorded of it; all frozen.

A model answers a `ModelCall` with a stream of `ModelEvent`s: pieces of text, what each attempt
cost, and at last one `CallEnd`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from rag.types import CostLine, Question, Tier, Usage

Finish = Literal["stop", "length", "refused"]
Outcome = Literal["done", "refused", "failed", "cut off", "cancelled", "lost"]
"""How a call ended: a stream that broke is cut off, one whose caller left is cancelled, and one of
which a process that died told nothing is lost."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads. `system` is the same for every question of a `version`.

    `version` names the wording and the layout. `user` holds the context and then the question.
    """

    version: str
    system: str
    user: str


@dataclass(frozen=True, slots=True)
class ModelCall:
    """One prompt put to a model, and on whose behalf.

    The question tells who asks, in which collection, and which answer it is for. `stage` is what
    the bill calls it. `max_output_tokens` covers what a model thinks before it writes.
    """

    prompt: Prompt
    question: Question
    tier: Tier
    max_output_tokens: int
    stage: str = "generate"
    escalated_from: Tier | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A piece of the answer. `logprobs` are those of its tokens, where the model gives them."""

    text: str
    logprobs: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CallEnd:
    """How a call that did not fail ended.

    `usage` is None where the provider reported none, or what cannot be; `reported` is what it did
    report, as JSON, empty if nothing. `model` is the model that answered, as the provider calls it.
    """

    finish: Finish
    usage: Usage | None
    reported: str
    model: str


ModelEvent = TextDelta | CostLine | CallEnd


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call cost: None where that is unknown. `price` tells which price was used, as JSON.

    `gpu_seconds` is the call's share of the time of one's own GPU, None on somebody else's.
    """

    usd: Decimal | None
    price: str
    gpu_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """One call of a model, once it has ended; never changed.

    `at` is when it began, in UTC and ISO 8601. `usd` is None where the cost is unknown: then
    `at_most_usd` is what it cannot have passed, None where no price is known. `watt_hours` is an
    estimate. `is_batch` says that it went to a batch endpoint.
    """

    line_id: str
    answer_id: str
    at: str
    tenant: str
    key: str
    collection: str
    tier: Tier
    stage: str
    provider: str
    model: str
    prompt_version: str
    usage: Usage | None
    reported: str
    price: str
    usd: Decimal | None
    at_most_usd: Decimal | None
    watt_hours: float | None
    ms: float
    outcome: Outcome
    escalated_from: Tier | None = None
    is_batch: bool = False
