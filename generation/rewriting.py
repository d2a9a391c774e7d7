"""A follow-up question, put by a model so that it stands alone.

What the model writes is believed only as far as its words were said in the conversation: a question
with a word that nobody said, or without one that was asked for, is not taken. The conversation is
data to the model, as documents are.
"""

from __future__ import annotations

import logging
import re
from contextlib import aclosing

from generation.writing.checking import without_thoughts
from generation.writing.fencing import fenced_question
from rag.calls import CallEnd, ModelCall, Prompt, TextDelta
from rag.errors import BudgetError, ProviderError
from rag.ports import LanguageModel, Listener
from rag.terms import content_terms
from rag.turns import Turn
from rag.types import CostLine, Question

PROMPT_VERSION = "rewrite-1"
MAX_OUTPUT_TOKENS = 120
_MAX_TURNS = 3
_NEW_WORDS = 1  # that nobody said: another form of a word is a new word to the comparison
_SYSTEM = """\
You rewrite the last question of a conversation so that it can be understood without the rest.
- Put what pronouns and left-out words stand for in their place. Change nothing else.
- Use only words of the conversation. Keep numbers, names and every "not".
- If the last question can be understood by itself, or begins a new topic, repeat it as it is.
- Do not answer it. Write only the question, in its language, in one line."""

_DENIAL = re.compile(r"\b(?:not|no|never|none|without|cannot)\b|n['’]t\b", re.IGNORECASE)
_log = logging.getLogger(__name__)


class ModelRewriter:
    """A Rewriter by the local model. What calls cost is told to the listener."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    async def rewrite(self, question: Question, draft: str, listener: Listener) -> str:
        """The question by itself; `draft` where the model is down, too dear, or not to be believed.

        A question for which another tier than the local one was named is not given to it.
        """
        if question.tier not in (None, "local"):
            return draft
        call = ModelCall(
            prompt=prompt_of(question),
            question=question,
            tier="local",
            max_output_tokens=MAX_OUTPUT_TOKENS,
            stage="rewrite",
        )
        try:
            written = await self._write(call, listener)
        except (ProviderError, BudgetError) as error:
            _log.info("a question was not rewritten by %s: %s", self._model.model, error)
            return draft
        return written if is_believable(written, question) else draft

    async def _write(self, call: ModelCall, listener: Listener) -> str:
        text = ""
        async with aclosing(self._model.stream(call)) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    text += event.text
                elif isinstance(event, CostLine):
                    listener.cost(event)
                elif isinstance(event, CallEnd) and event.finish != "stop":
                    return ""
        return without_thoughts(text).strip().strip('"“”').strip()


def prompt_of(question: Question) -> Prompt:
    """The last turns, and the question behind them."""
    said = [f"Question: {fenced_question(_told(turn))}" for turn in question.turns[-_MAX_TURNS:]]
    last = f"Last question: {fenced_question(question.text)}"
    return Prompt(PROMPT_VERSION, _SYSTEM, "\n".join([*said, last]))


def is_believable(written: str, question: Question) -> bool:
    """Whether this can be the question: its words were said, and all that was asked is in it."""
    if not written or "\n" in written:
        return False
    conversation = " ".join([question.text, *map(_told, question.turns)])
    said = content_terms(conversation)
    new = content_terms(written)
    is_said = len(new - said) <= _NEW_WORDS and _numbers(written) <= _numbers(conversation)
    denies = bool(_DENIAL.search(written)) == bool(_DENIAL.search(question.text))
    return is_said and denies and content_terms(question.text) <= new


def _told(turn: Turn) -> str:
    names = f" ({', '.join(turn.names)})" if turn.names else ""
    return f"{turn.asked_as}{names}"


def _numbers(text: str) -> set[str]:
    return set(re.findall(r"\d+(?:[.,]\d+)*", text))
