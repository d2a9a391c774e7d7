"""What an answer teaches: the prompt that was put to the model, and what it shall write to it."""

from __future__ import annotations

from generation.distilling.lessons import Lesson
from generation.distilling.markers import as_written, numbers_of
from generation.reuse.binding import hash_of
from generation.writing.excerpts import excerpts_of
from generation.writing.prompt import NO_ANSWER, build_prompt
from rag.types import Context, Generation, Question


def teaches(question: Question, context: Context, generation: Generation) -> bool:
    """Whether an answer is worth a lesson.

    It is one that a cheaper tier was not good enough for, made as it should be from a context, and
    it cites: a model that learns from answers without citations learns to give none. Who asked for
    a fresh answer, as an evaluation does, wants nothing of it kept.
    """
    return (
        question.escalated_from is not None
        and not question.is_fresh
        and bool(context.pieces)
        and generation.degraded_because is None
        and (generation.abstained or bool(generation.citations))
    )


def lesson_of(
    question: Question, context: Context, generation: Generation, instructions: str
) -> Lesson:
    """The lesson of an answer that `teaches`; `instructions` are those that the model had."""
    assert question.escalated_from is not None
    numbers = numbers_of(generation, excerpts_of(context))
    text = NO_ANSWER if generation.abstained else as_written(generation.text, numbers)
    return Lesson(
        answer_id=question.answer_id,
        tenant=question.tenant,
        collection=question.collection,
        question=question.text,
        prompt=build_prompt(question, context, instructions),
        answer=text,
        evidence=_evidence_of(context),
        model=generation.model,
        escalated_from=question.escalated_from,
        is_abstained=generation.abstained,
        excerpts=numbers,
        documents={
            piece.hit.chunk.document_id: piece.hit.chunk.revision for piece in context.pieces
        },
    )


def _evidence_of(context: Context) -> str:
    """Equal for contexts that hold the same places of the same documents in the same order."""
    return hash_of(
        [
            [chunk.collection, chunk.document_id, chunk.revision, piece.start, piece.end]
            for piece in context.pieces
            for chunk in [piece.hit.chunk]
        ]
    )
