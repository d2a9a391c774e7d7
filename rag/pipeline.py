"""The one path from question to answer; every arrow is one call through one port.

    admit -> put a follow-up so that it stands alone -> give a kept answer?
          -> retrieve (and rerank) -> compress to the budget -> generate -> cite -> bill -> record
          -> keep the answer

Knows no vector store, no model and no door: it is given one object per stage.
"""

from __future__ import annotations

import asyncio
import copy
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from rag.errors import QuestionError, RangeError
from rag.ports import (
    Baseline,
    Compressor,
    Conversing,
    Generator,
    Ledger,
    Listener,
    Retriever,
    Reuse,
)
from rag.types import Answer, Context, Cost, CostLine, Generation, Hit, Question, Status, Usage

MAX_CONTEXT_TOKENS = 200_000
MAX_HITS = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What a question may ask for. `retrieved_chunks` are considered for an answer's context.

    `context_tokens` is the budget of a question that does not say how many it wants.
    """

    max_question_chars: int = 4_000
    retrieved_chunks: int = 10
    context_tokens: int = 1_000


class QuestionPipeline:
    """Answers questions; also gives the hits or the context alone.

    Without a ledger, as in a trial, no answer is recorded; without a `reuse` none is given again;
    without `conversations` every question is taken as it is.
    """

    def __init__(
        self,
        retriever: Retriever,
        compressor: Compressor,
        generator: Generator,
        baseline: Baseline,
        limits: Limits,
        *,
        ledger: Ledger | None = None,
        reuse: Reuse | None = None,
        conversations: Conversing | None = None,
    ) -> None:
        self._retriever = retriever
        self._compressor = compressor
        self._generator = generator
        self._baseline = baseline
        self._ledger = ledger
        self._reuse = reuse
        self._conversations = conversations
        self._limits = limits
        self._arm = ""

    def as_arm(self, name: str) -> QuestionPipeline:
        """The same path, whose answers tell that it takes part in an experiment."""
        same = copy.copy(self)
        same._arm = name
        return same

    async def search(self, question: Question, k: int) -> list[Hit]:
        """At most `k` hits (1 to 200), best first."""
        self._admit(question)
        _check_range("k", k, 1, MAX_HITS)
        return await self._retriever.retrieve(question, k)

    async def context(self, question: Question, max_context_tokens: int | None = None) -> Context:
        """The compressed context alone, of at most `max_context_tokens` (1 to 200,000)."""
        self._admit(question)
        max_tokens = self._budget(max_context_tokens)
        hits = await retrieve_current(self._retriever, question, self._limits.retrieved_chunks)
        return await self._compress(question, hits, max_tokens)

    async def answer(
        self,
        question: Question,
        max_context_tokens: int | None = None,
        listener: Listener | None = None,
    ) -> Answer:
        """The answer with its citations, confidence and bill, recorded in the ledger.

        A tier that is named is asked, and a fresh answer is made: neither is given a kept one.
        `listener` hears of it while it is made. Raises QuestionError, RangeError, NotFoundError for
        an unknown collection, StoreError, StateError, and what the generator raises.
        """
        self._admit(question)
        max_tokens = self._budget(max_context_tokens)
        question = replace(question, answer_id=f"ans_{uuid.uuid4().hex}")
        bill = _Bill(listener)
        if self._conversations is None or not (question.conversation_id or question.turns):
            return await self._give(question, max_tokens, bill)
        asked = question.text
        question = await self._stand_alone(self._conversations, question, bill)
        answer = await self._give(question, max_tokens, bill)
        await self._conversations.note(asked, question, answer)
        return replace(answer, asked_as="" if question.text == asked else question.text)

    async def _stand_alone(
        self, conversations: Conversing, question: Question, bill: _Bill
    ) -> Question:
        """The question by itself; it is billed beside what calls of models cost."""
        clock = _Stopwatch()
        question = await conversations.stand_alone(question, bill)
        called_ms = sum(line.ms for line in bill.lines)
        bill.cost(CostLine("rewrite", None, Decimal(0), max(clock.lap_ms() - called_ms, 0.0)))
        return question

    async def _give(self, question: Question, max_tokens: int, bill: _Bill) -> Answer:
        """A kept answer to a question that stands alone, or a fresh one."""
        if self._reuse is None or question.is_fresh or question.tier is not None:
            _, answer = await self._answer_anew(question, max_tokens, bill)
            return answer
        clock = _Stopwatch()
        async with self._reuse.asking(question, max_tokens) as asking:
            bill.cost(CostLine("reuse", None, Decimal(0), clock.lap_ms()))
            if asking.kept is not None:
                given = _given_again(question, asking.kept, bill.lines)
                answer = await self._record(question, given)
            else:
                hits, answer = await self._answer_anew(question, max_tokens, bill)
                await asking.keep(hits, answer)
        return answer

    async def _answer_anew(
        self, question: Question, max_context_tokens: int, bill: _Bill
    ) -> tuple[list[Hit], Answer]:
        """A fresh answer, recorded, and the hits that it was made from."""
        clock = _Stopwatch()
        hits = await retrieve_current(self._retriever, question, self._limits.retrieved_chunks)
        bill.cost(CostLine("retrieve", None, Decimal(0), clock.lap_ms()))
        context = await self._compress(question, hits, max_context_tokens)
        bill.cost(CostLine("compress", None, Decimal(0), clock.lap_ms()))
        calls_before = len(bill.lines)
        generation = await self._generator.generate(question, hits, context, bill)
        called_ms = sum(line.ms for line in bill.lines[calls_before:])
        own = generation.model if len(bill.lines) == calls_before else None
        stage = "generate" if own else "decide"
        bill.cost(CostLine(stage, own, Decimal(0), max(clock.lap_ms() - called_ms, 0.0)))
        baseline = self._baseline.cost_usd(question, hits, generation.text)
        made = answer_of(question, generation, context, Cost(tuple(bill.lines), baseline))
        return hits, await self._record(question, made)

    async def _record(self, question: Question, answer: Answer) -> Answer:
        """The answer as one of this path's, written down."""
        answer = replace(answer, arm=self._arm)
        if self._ledger is not None:
            await self._ledger.record_answer(question, answer)
        return answer

    def _admit(self, question: Question) -> None:
        if not question.text.strip():
            raise QuestionError("the question is empty: write one")
        length, limit = len(question.text), self._limits.max_question_chars
        if length > limit:
            raise QuestionError(
                f"the question has {length:,} characters, the limit is {limit:,}: shorten it"
            )

    def _budget(self, max_context_tokens: int | None) -> int:
        if max_context_tokens is None:
            return self._limits.context_tokens
        _check_range("max_context_tokens", max_context_tokens, 1, MAX_CONTEXT_TOKENS)
        return max_context_tokens

    async def _compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        return await asyncio.to_thread(self._compressor.compress, question, hits, max_tokens)


async def retrieve_current(retriever: Retriever, question: Question, k: int) -> list[Hit]:
    """What an answer may be made from: of the best `k` hits those that none supersedes."""
    hits = await retriever.retrieve(question, k)
    return [hit for hit in hits if not hit.is_superseded]


def answer_of(question: Question, generation: Generation, context: Context, cost: Cost) -> Answer:
    """What was generated, as the answer to a question that has an answer id, with its bill."""
    return Answer(
        answer_id=question.answer_id,
        status=_status(generation),
        text=generation.text,
        tier=generation.tier,
        model=generation.model,
        confidence=generation.confidence,
        citations=generation.citations,
        usage=generation.usage,
        context_tokens=(
            context.tokens if generation.context_tokens is None else generation.context_tokens
        ),
        cost=cost,
        degraded_because=generation.degraded_because,
        because=generation.because,
        signals=generation.signals,
    )


def _given_again(question: Question, kept: Answer, lines: Sequence[CostLine]) -> Answer:
    """A kept answer as the answer to this question: nobody read or wrote a token for it."""
    return replace(
        kept,
        answer_id=question.answer_id,
        tier="cache",
        usage=Usage(),
        context_tokens=0,
        cost=Cost(tuple(lines), kept.cost.baseline_usd),
    )


def _status(generation: Generation) -> Status:
    if generation.abstained:
        return "abstained"
    return "answered" if generation.degraded_because is None else "degraded"


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise RangeError(name, value, low, high)


class _Bill:
    """A Listener that keeps the cost lines, and lets another one hear everything."""

    def __init__(self, listener: Listener | None) -> None:
        self._listener = listener
        self.lines: list[CostLine] = []

    def text(self, piece: str) -> None:
        if self._listener is not None:
            self._listener.text(piece)

    def restart(self) -> None:
        if self._listener is not None:
            self._listener.restart()

    def cost(self, line: CostLine) -> None:
        self.lines.append(line)
        if self._listener is not None:
            self._listener.cost(line)


class _Stopwatch:
    """Milliseconds since the last lap."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap_ms(self) -> float:
        now = time.perf_counter()
        elapsed, self._last = now - self._last, now
        return elapsed * 1000
