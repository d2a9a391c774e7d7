"""A LanguageModel that plays scripts, and short ways to call one and to read what it said.

`ScriptedModel(said("Hello"))` answers each call so. `ScriptedModel(fails, said("Hello"))` fails in
the first call, and answers in the second and every later one. A script is a sequence of steps:

    an event            is yielded
    a number            that many seconds pass, on the loop's clock (see `virtual_clock`)
    an asyncio.Event    it waits for it
    an exception        is raised
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from rag.calls import CallEnd, ModelCall, ModelEvent, Prompt, TextDelta
from rag.errors import RagError
from rag.ports import LanguageModel
from rag.types import CostLine, Question, Usage

Step = ModelEvent | float | asyncio.Event | Exception

FOR_EVER = 1e9
"""A step: nothing comes for longer than anyone waits."""

MODEL = "scripted-1"


class ScriptedModel:
    """Call n plays script n; the last one is played again and again.

    `calls` are those that it got. `running` is how many streams are open now, `most_running` the
    most at once, and `left` how many were closed or cancelled before their end.
    """

    def __init__(
        self, *scripts: Sequence[Step], provider: str = "scripted", model: str = MODEL
    ) -> None:
        self.provider = provider
        self.model = model
        self.calls: list[ModelCall] = []
        self.running = 0
        self.most_running = 0
        self.left = 0
        self._scripts = scripts

    async def stream(self, call: ModelCall) -> AsyncGenerator[ModelEvent, None]:
        self.calls.append(call)
        script = self._scripts[min(len(self.calls), len(self._scripts)) - 1]
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            async with aclosing(_play(script)) as events:
                async for event in events:
                    yield event
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise
        finally:
            self.running -= 1


def said(*pieces: str, usage: Usage | None = None, model: str = MODEL) -> list[Step]:
    """The script of a good answer in these pieces; one token each where `usage` is not given."""
    usage = usage or Usage(input_tokens=10, output_tokens=len(pieces))
    return [*map(TextDelta, pieces), CallEnd("stop", usage, "{}", model)]


def model_call(text: str = "How long do refunds take?") -> ModelCall:
    """A call of the premium tier, of at most 100 tokens."""
    prompt = Prompt("test-1", "Answer from the context.", f"<context></context>\n{text}")
    question = Question(text, "help", tenant="acme", key="widget", answer_id="ans_1")
    return ModelCall(prompt, question, "premium", max_output_tokens=100)


async def collect(events: AsyncGenerator[ModelEvent, None]) -> list[ModelEvent]:
    """All events, the stream closed after them."""
    async with aclosing(events):
        return [event async for event in events]


async def failure_of(
    model: LanguageModel, call: ModelCall | None = None
) -> tuple[RagError | None, list[ModelEvent]]:
    """The error that a call ends with, None where it ends well, and the events before it."""
    events: list[ModelEvent] = []
    try:
        async with aclosing(model.stream(call or model_call())) as stream:
            async for event in stream:
                events.append(event)
    except RagError as error:
        return error, events
    return None, events


def text_of(events: Sequence[ModelEvent]) -> str:
    """The text that they add up to."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def costs_of(events: Sequence[ModelEvent]) -> list[CostLine]:
    """The cost lines among them."""
    return [event for event in events if isinstance(event, CostLine)]


async def _play(script: Sequence[Step]) -> AsyncGenerator[ModelEvent, None]:
    for step in script:
        if isinstance(step, Exception):
            raise step
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif isinstance(step, float | int):
            await asyncio.sleep(step)
        else:
            yield step
