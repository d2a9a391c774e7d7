"""What an evaluation needs of a system, and the form of it that is a pipeline in this process."""

from __future__ import annotations

from typing import Protocol

from evaluation.questions import EvaluationQuestion, Place
from evaluation.records import Record
from rag.pipeline import QuestionPipeline
from rag.types import Question

RANKED_CHUNKS = 30
"""Chunks that are ranked for a question. Asking a search for more than its `candidates` makes it
look at more than it does for an answer, and so ranks otherwise."""


class System(Protocol):
    """Whatever answers questions."""

    async def ask(self, question: EvaluationQuestion) -> Record:
        """What is found, what goes into the context, and what is answered.

        Raises RagError; InputError for a question that the system does not take.
        """


class PipelineSystem:
    """Asks one collection of a pipeline."""

    def __init__(
        self,
        pipeline: QuestionPipeline,
        collection: str,
        max_context_tokens: int,
        ranked_chunks: int = RANKED_CHUNKS,
    ) -> None:
        self._pipeline = pipeline
        self._collection = collection
        self._max_context_tokens = max_context_tokens
        self._ranked_chunks = ranked_chunks

    async def ask(self, question: EvaluationQuestion) -> Record:
        """What is found, what goes into the context, and what is answered."""
        asked = Question(question.text, self._collection)
        hits = await self._pipeline.search(asked, self._ranked_chunks)
        context = await self._pipeline.context(asked, self._max_context_tokens)
        answer = await self._pipeline.answer(asked, self._max_context_tokens)
        chunks = [hit.chunk for hit in hits]
        return Record(
            question_id=question.question_id,
            question=question.text,
            hits=tuple(Place(chunk.document_id, chunk.start, chunk.end) for chunk in chunks),
            scores=tuple(hit.score for hit in hits),
            pieces=tuple(
                Place(piece.hit.chunk.document_id, piece.start, piece.end)
                for piece in context.pieces
            ),
            context=context.text,
            context_tokens=context.tokens,
            status=answer.status,
            tier=answer.tier,
            answer=answer.text,
            confidence=answer.confidence,
            citations=tuple(Place(c.document_id, c.start, c.end) for c in answer.citations),
            usd=answer.cost.total_usd,
            baseline_usd=answer.cost.baseline_usd,
            ms={line.stage: line.ms for line in answer.cost.lines},
        )
