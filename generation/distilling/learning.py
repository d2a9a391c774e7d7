"""Keeps a lesson of what a dearer tier answers, beside the answer and never in its way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence

from generation.distilling.lessons import Lessons
from generation.distilling.teaching import lesson_of, teaches
from rag.errors import RagError
from rag.ports import Generator, Listener, Revisions
from rag.types import Context, Generation, Hit, Question

_log = logging.getLogger(__name__)


class LessonWriter:
    """Writes lessons of the answers in `collections`, those that consented, in the background.

    A lesson that could not be kept costs a line in the log, and nothing else.
    """

    def __init__(
        self, lessons: Lessons, revisions: Revisions, collections: Collection[str]
    ) -> None:
        self._lessons = lessons
        self._revisions = revisions
        self._collections = frozenset(collections)
        self._writing: set[asyncio.Task[None]] = set()

    def note(
        self, question: Question, context: Context, generation: Generation, instructions: str
    ) -> None:
        """Keep what an answer teaches, if it does and may; returns at once."""
        if question.collection in self._collections and teaches(question, context, generation):
            keeping = self._keep(question, context, generation, instructions)
            task = asyncio.create_task(keeping)
            self._writing.add(task)  # the loop itself would let go of it
            task.add_done_callback(self._writing.discard)

    async def close(self) -> None:
        """Wait until all that was noted is written."""
        while self._writing:
            await asyncio.wait(self._writing)

    async def _keep(
        self, question: Question, context: Context, generation: Generation, instructions: str
    ) -> None:
        try:
            lesson = await asyncio.to_thread(lesson_of, question, context, generation, instructions)
            await asyncio.to_thread(self._lessons.keep, lesson)
            # Whoever changes or forgets a document says so and then deletes its lessons: it has
            # seen this one, or what it said is seen here.
            current = await self._revisions.current(lesson.collection, list(lesson.documents))
            if current != lesson.documents:
                await asyncio.to_thread(self._lessons.delete, lesson.answer_id)
        except Exception as error:  # whatever it is, the answer was given
            told = error if isinstance(error, RagError) else type(error).__name__
            _log.warning("an answer was given, and its lesson could not be kept: %s", told)


class LearningGenerator:
    """A Generator whose answers teach; `instructions` are those that `generator` works by."""

    def __init__(self, generator: Generator, writer: LessonWriter, instructions: str = "") -> None:
        self._generator = generator
        self._writer = writer
        self._instructions = instructions

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """The answer of the generator, unchanged. Raises what that raises."""
        generation = await self._generator.generate(question, hits, context, listener)
        self._writer.note(question, context, generation, self._instructions)
        return generation
