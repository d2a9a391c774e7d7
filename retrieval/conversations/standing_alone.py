"""Conversations: a follow-up question stands alone by rules first, by a model where they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from rag.errors import RagError
from rag.ports import Listener, Rewriter
from rag.turns import Turn
from rag.types import Answer, Question
from retrieval.conversations.kept import MAX_NAMES, KeptTurns
from retrieval.conversations.phrases import names_in
from retrieval.conversations.rules import rewrite

_MAX_READ_CHARS = 2_000  # of each text of a client: it may send megabytes
_log = logging.getLogger(__name__)


class Conversations:
    """A Conversing over `kept`. Without a `rewriter`, the rules' best is taken.

    A question that comes with its turns is taken with those: nothing is kept of it. A question
    never gets longer than `max_question_chars` by being rewritten: then it stays as it is.
    """

    def __init__(self, kept: KeptTurns, rewriter: Rewriter | None, max_question_chars: int) -> None:
        self._kept = kept
        self._rewriter = rewriter
        self._max_question_chars = max_question_chars

    async def stand_alone(self, question: Question, listener: Listener) -> Question:
        """The question by itself, after its turns. Raises StateError."""
        turns = question.turns
        if not turns:
            turns = tuple(await asyncio.to_thread(self._kept.load, question))
            question = replace(question, turns=turns)
        if not turns:
            return question
        rewriting = rewrite(question.text, turns)
        text = rewriting.text
        if not rewriting.is_sure and self._rewriter is not None:
            text = await self._rewriter.rewrite(question, text, listener)
        if len(text) > self._max_question_chars:
            return question
        return replace(question, text=text)

    async def note(self, asked: str, question: Question, answer: Answer) -> None:
        """Keep the turn of a conversation that has an id; never an error."""
        if not question.conversation_id:
            return
        try:
            await asyncio.to_thread(self._kept.keep, asked, question, answer)
        except RagError as error:
            _log.warning("an answer was given and its turn could not be kept: %s", error)


def turns_of(said: Iterable[tuple[str, str]], max_turns: int) -> tuple[Turn, ...]:
    """The last turns of a chat that its client holds, from pairs of question and answer.

    Each question is put so that it stands alone, by the rules, after those before it. Of long texts
    the beginning is read.
    """
    turns: list[Turn] = []
    last = list(said)[-max_turns:]
    for question, answer in ((q[:_MAX_READ_CHARS], a[:_MAX_READ_CHARS]) for q, a in last):
        alone = rewrite(question, turns).text
        turns.append(Turn(question, alone, tuple(names_in(answer)[:MAX_NAMES])))
    return tuple(turns)
