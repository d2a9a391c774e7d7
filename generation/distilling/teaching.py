"""What an answer teaches: the prompt that was put to the model, and what it shall learn to write.

A checked answer numbers its citations anew. A model learns to write the numbers of the excerpts
that it sees, so each citation is traced back to the excerpt that its quote stands in.
"""

from __future__ import annotations

from collections.abc import Sequence

from generation.distilling.lessons import Lesson
from generation.reuse.binding import hash_of
from generation.writing.claims import claims_of
from generation.writing.excerpts import Excerpt, excerpts_of
from generation.writing.prompt import NO_ANSWER, build_prompt
from rag.types import Citation, Context, Generation, Question, Span


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
    excerpts = excerpts_of(context)
    text = NO_ANSWER if generation.abstained else as_written(generation, excerpts)
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
        documents={
            piece.hit.chunk.document_id: piece.hit.chunk.revision for piece in context.pieces
        },
    )


def as_written(generation: Generation, excerpts: Sequence[Excerpt]) -> str:
    """The answer as a model should have written it: its markers are numbers of excerpts."""
    numbers = {one.marker: _numbers_of(one, excerpts) for one in generation.citations}
    text = ""
    for claim in claims_of(generation.text):
        own = [number for marker in claim.numbers for number in numbers.get(marker, ())]
        space = " " if own and claim.markers[:1].isspace() else ""
        text += claim.text + space + "".join(f"[{number}]" for number in dict.fromkeys(own))
    return text


def _numbers_of(citation: Citation, excerpts: Sequence[Excerpt]) -> list[int]:
    """The excerpts that hold a part of the quote, in order."""
    quote = Span(citation.start, citation.end)
    return [
        excerpt.number
        for excerpt in excerpts
        if any(
            piece.hit.chunk.document_id == citation.document_id and piece.touches(quote)
            for piece in excerpt.pieces
        )
    ]


def _evidence_of(context: Context) -> str:
    """Equal for contexts that hold the same places of the same documents in the same order."""
    return hash_of(
        [
            [chunk.collection, chunk.document_id, chunk.revision, piece.start, piece.end]
            for piece in context.pieces
            for chunk in [piece.hit.chunk]
        ]
    )
