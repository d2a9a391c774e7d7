"""What a question is answered from, and its quote: all that is done before anything is spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rag.pipeline import Limits, QuestionPipeline
from rag.ports import Baseline, Compressor, Generator, Listener, Retriever
from rag.types import Answer, Context, Generation, Hit, Question


@dataclass(frozen=True, slots=True)
class Gathered:
    """A question with its answer id, what was found for it, and the quote as an answer."""

    question: Question
    hits: tuple[Hit, ...]
    context: Context
    quote: Generation
    answer: Answer


class Gathering:
    """Questions as far as the quote; `quoting` is what quotes."""

    def __init__(
        self,
        *,
        retriever: Retriever,
        compressor: Compressor,
        quoting: Generator,
        baseline: Baseline,
        limits: Limits,
        max_context_tokens: int,
    ) -> None:
        self._seen = _Seen(quoting)
        self._pipeline = QuestionPipeline(retriever, compressor, self._seen, baseline, limits)
        self._max_context_tokens = max_context_tokens

    async def gather(self, question: Question) -> Gathered:
        """Raises what `QuestionPipeline.answer` raises; nothing is recorded."""
        answer = await self._pipeline.answer(question, self._max_context_tokens)
        asked, hits, context, quote = self._seen.take(answer.answer_id)
        return Gathered(asked, hits, context, quote, answer)


class _Seen:
    """A Generator that keeps what the one inside was given and made, until it is taken."""

    def __init__(self, inside: Generator) -> None:
        self._inside = inside
        self._kept: dict[str, tuple[Question, tuple[Hit, ...], Context, Generation]] = {}

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        made = await self._inside.generate(question, hits, context, listener)
        self._kept[question.answer_id] = question, tuple(hits), context, made
        return made

    def take(self, answer_id: str) -> tuple[Question, tuple[Hit, ...], Context, Generation]:
        return self._kept.pop(answer_id)
