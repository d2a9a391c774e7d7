"""Answers that a language model writes from the context, checked against it.

The model is told that the context is data, and what it writes is believed only as far as the
context supports it. Knows no server and no price: what is behind the model bounds and bills calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from generation.writing.checking import (
    Checked,
    Finding,
    check,
    read_ahead,
    without_thoughts,
)
from generation.writing.citing import NOT_FOUND
from generation.writing.excerpts import Excerpt, excerpts_of
from generation.writing.prompt import NO_ANSWER, build_prompt
from rag.calls import CallEnd, ModelCall, TextDelta
from rag.errors import ProviderReplyError
from rag.ports import LanguageModel, Listener
from rag.types import Context, CostLine, Generation, Hit, Question, Tier, Usage

_WHY: dict[Finding, str] = {
    "empty": "{model} wrote nothing",
    "refused": "{model} refused to answer",
    "cut off": "the answer reached its limit of {limit} tokens and was cut off",
    "other language": "{model} answered in another language than that of the question",
}


def call_for(
    question: Question,
    context: Context,
    tier: Tier,
    max_output_tokens: int,
    instructions: str = "",
) -> ModelCall:
    """What is put to a model of `tier`, for a context of at least one piece."""
    return ModelCall(
        prompt=build_prompt(question, context, instructions),
        question=question,
        tier=tier,
        max_output_tokens=max_output_tokens,
        escalated_from=question.escalated_from,
    )


class WrittenGenerator:
    """A Generator of one tier, in which `model` writes at most `max_output_tokens`.

    `instructions` are the operator's own, beside those that every model gets.
    Its confidence is an estimate that is not calibrated (see `writing.checking`). A context without
    pieces is not worth a call: it abstains.
    """

    def __init__(
        self,
        model: LanguageModel,
        tier: Tier,
        max_output_tokens: int,
        instructions: str = "",
    ) -> None:
        self._model = model
        self._tier: Tier = tier
        self._max_output_tokens = max_output_tokens
        self._instructions = instructions

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        """The checked answer, or an abstention; the listener hears the text as it is written.

        Markers in that text are the model's own: those of the answer are in the result alone.
        Raises what the model raises, after it voided what the listener heard.
        """
        if not context.pieces:
            return Generation(NOT_FOUND, (), 0.0, True, self._tier, self._model.model)
        written = _Written(listener)
        call = call_for(question, context, self._tier, self._max_output_tokens, self._instructions)
        end, checked = await self._write(call, excerpts_of(context), written)
        if checked.is_empty:
            written.void()
        else:
            written.tell()
        return self._generation(checked, end)

    async def _write(
        self, call: ModelCall, excerpts: Sequence[Excerpt], written: _Written
    ) -> tuple[CallEnd, Checked]:
        """Has the answer written and checks it; tells how it ended.

        The excerpts are read while the model writes, and the answer is checked while its stream is
        closed and paid for.
        """
        end: CallEnd | None = None
        reading: asyncio.Task[None] | None = None
        checking: asyncio.Task[Checked] | None = None
        try:
            async with aclosing(self._model.stream(call)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        reading = reading or asyncio.create_task(
                            asyncio.to_thread(read_ahead, call.question.text, excerpts)
                        )
                        written.add(event)
                    elif isinstance(event, CostLine):
                        written.listener.cost(event)
                    else:
                        end = event
                        checking = asyncio.create_task(
                            _check(call.question.text, written, excerpts, end, reading)
                        )
        except BaseException:
            written.void()
            raise
        if end is None or checking is None:
            written.void()
            raise ProviderReplyError(
                f"the stream of {self._model.model} ended without an end: ask again"
            )
        return end, await checking

    def _generation(self, checked: Checked, end: CallEnd) -> Generation:
        reasons = [_WHY[finding] for finding in checked.findings if finding in _WHY]
        told = "; ".join(reasons).format(model=end.model, limit=self._max_output_tokens)
        return Generation(
            text=NOT_FOUND if checked.is_empty else checked.text,
            citations=checked.citations,
            confidence=checked.confidence,
            abstained=checked.is_empty,
            tier=self._tier,
            model=end.model,
            usage=end.usage or Usage(),
            degraded_because=told or None,
            signals=checked.signals,
        )


async def _check(
    question: str,
    written: _Written,
    excerpts: Sequence[Excerpt],
    end: CallEnd,
    reading: asyncio.Task[None] | None,
) -> Checked:
    if reading is not None:
        await reading
    return await asyncio.to_thread(
        check, question, written.text, excerpts, end.finish, written.logprobs
    )


class _Written:
    """What was written so far; the listener hears of it.

    It hears nothing of thoughts, nor of what may become a "no answer".
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.text = ""
        self.logprobs: list[float] = []
        self._heard = 0

    def add(self, delta: TextDelta) -> None:
        """The next piece."""
        self.text += delta.text
        self.logprobs.extend(delta.logprobs)
        begun = self.text.lstrip()
        may_be = (NO_ANSWER, "<think>")
        is_held = any(start.startswith(begun[: len(start)]) for start in may_be)
        if not is_held or "</think>" in begun:
            self.tell()

    def tell(self) -> None:
        """Tells what the listener has not heard yet."""
        answer = without_thoughts(self.text)
        if len(answer) > self._heard:
            self.listener.text(answer[self._heard :])
            self._heard = len(answer)

    def void(self) -> None:
        """Tells the listener that nothing of it holds, if it heard anything."""
        if self._heard:
            self.listener.restart()
