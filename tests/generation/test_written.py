"""A tier in which a model writes: what it is asked, what the listener hears, what comes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from contexts import chunks_of, context_of, hits_of, question
from heard import Heard
from scripted_model import FOR_EVER, MODEL, ScriptedModel, Step, said

from generation.tiers.written import WrittenGenerator
from generation.writing.citing import NOT_FOUND
from generation.writing.prompt import build_prompt
from rag.calls import CallEnd, TextDelta
from rag.errors import BudgetError, ProviderReplyError, ProviderUnavailableError
from rag.ports import Generator
from rag.types import Context, CostLine, Generation, Usage

ASKED = question("How long does a refund take?")
HITS = hits_of(chunks_of("Money goes back to the card. A refund takes five working days."), {})
CONTEXT = context_of(HITS)
LINE = CostLine("generate", MODEL, None, 12.0)
USAGE = Usage(input_tokens=120, cached_input_tokens=64, output_tokens=9)


def of(*scripts: list[Step]) -> WrittenGenerator:
    return WrittenGenerator(ScriptedModel(*scripts), "local", 300)


async def answered(*script: Step, heard: Heard | None = None) -> Generation:
    return await of(list(script)).generate(ASKED, HITS, CONTEXT, heard or Heard())


def end(finish: str = "stop", usage: Usage | None = USAGE) -> CallEnd:
    return CallEnd(finish, usage, "{}", "scripted-1-2026")  # type: ignore[arg-type]


def test_it_is_a_generator() -> None:
    generator: Generator = of([])
    assert generator is not None


async def test_an_answer_with_its_citation() -> None:
    heard = Heard()
    generation = await answered(
        TextDelta("A refund takes ", (-0.01, -0.02, -0.03)),
        TextDelta("five working days [1].", (-0.01, -0.02)),
        LINE,
        end(),
        heard=heard,
    )
    assert generation.text == "A refund takes five working days [1]."
    assert [c.quote for c in generation.citations] == ["A refund takes five working days."]
    assert generation.confidence > 0.9
    assert not generation.abstained
    assert (generation.tier, generation.model) == ("local", "scripted-1-2026")
    assert generation.usage == USAGE
    assert generation.degraded_because is None
    assert (heard.said, heard.restarts) == ("A refund takes five working days [1].", 0)
    assert heard.lines == [LINE]


async def test_the_model_is_asked_with_the_prompt_and_on_whose_behalf() -> None:
    model = ScriptedModel(said("NO_ANSWER"))
    escalated = replace(ASKED, escalated_from="local")
    await WrittenGenerator(model, "premium", 77).generate(escalated, HITS, CONTEXT, Heard())
    (call,) = model.calls
    assert call.prompt == build_prompt(ASKED, CONTEXT)
    assert (call.question, call.tier, call.escalated_from) == (ASKED, "premium", "local")
    assert (call.max_output_tokens, call.stage) == (77, "generate")


async def test_an_empty_context_costs_no_call() -> None:
    model = ScriptedModel(said("A refund takes a year [1]."))
    generator = WrittenGenerator(model, "local", 300)
    generation = await generator.generate(ASKED, HITS, Context((), "", 0), Heard())
    assert model.calls == []
    assert generation == Generation(NOT_FOUND, (), 0.0, True, "local", MODEL)


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [
        ("NO_ANSWER", "stop", None),
        ("", "stop", "scripted-1-2026 wrote nothing"),
        ("I cannot help with that.", "refused", "scripted-1-2026 refused to answer"),
    ],
)
async def test_nothing_said_is_an_abstention(text: str, finish: str, why: str | None) -> None:
    heard = Heard()
    pieces = [TextDelta(text)] if text else []
    generation = await answered(*pieces, LINE, end(finish), heard=heard)
    assert generation.abstained
    assert (generation.text, generation.citations, generation.confidence) == (NOT_FOUND, (), 0.0)
    assert generation.degraded_because == why
    assert generation.usage == USAGE
    assert heard.said == ""
    assert heard.restarts == (1 if finish == "refused" else 0)


@pytest.mark.parametrize(
    ("text", "finish", "why"),
    [
        (
            "A refund takes five working days [1]. And",
            "length",
            "the answer reached its limit of 300 tokens and was cut off",
        ),
        (
            "Eine Erstattung dauert fünf Tage und das ist nicht zu ändern.",
            "stop",
            "scripted-1-2026 answered in another language than that of the question",
        ),
    ],
)
async def test_an_answer_that_is_not_as_it_should_be_says_so(
    text: str, finish: str, why: str
) -> None:
    generation = await answered(TextDelta(text), LINE, end(finish))
    assert not generation.abstained
    assert generation.degraded_because == why


async def test_without_citations_it_is_not_sure() -> None:
    generation = await answered(TextDelta("A refund takes five working days."), end())
    assert generation.citations == ()
    assert generation.confidence <= 0.2


@pytest.mark.parametrize(
    ("pieces", "heard_pieces"),
    [
        (["NO", "_ANS", "WER"], []),
        (["\nNO_ANSWER", ": nothing"], []),
        (["NO", "BODY knows."], ["NOBODY knows."]),
        (["N"], ["N"]),
        (["A", " day"], ["A", " day"]),
        (["<th", "ink>Hm, [1]", ".</think>", "Five days"], ["Five days"]),
        (["<think>A</think>Five", " days"], ["Five", " days"]),
    ],
)
async def test_what_the_listener_hears(pieces: list[str], heard_pieces: list[str]) -> None:
    class Told(Heard):
        def __init__(self) -> None:
            super().__init__()
            self.pieces: list[str] = []

        def text(self, piece: str) -> None:
            self.pieces.append(piece)

    heard = Told()
    await answered(*map(TextDelta, pieces), end(), heard=heard)
    assert heard.pieces == heard_pieces
    assert heard.restarts == 0


async def test_unknown_usage_is_none_that_is_counted() -> None:
    generation = await answered(TextDelta("It is so [1]."), end(usage=None))
    assert generation.usage == Usage()


@pytest.mark.parametrize("error", [ProviderUnavailableError("gone"), BudgetError("full")])
async def test_an_error_goes_on_and_voids_what_was_heard(error: Exception) -> None:
    heard = Heard()
    with pytest.raises(type(error)):
        await answered(TextDelta("A refund "), LINE, error, heard=heard)
    assert (heard.said, heard.restarts) == ("", 1)
    assert heard.lines == [LINE]


async def test_an_error_before_any_text_voids_nothing() -> None:
    heard = Heard()
    with pytest.raises(ProviderUnavailableError):
        await answered(LINE, ProviderUnavailableError("gone"), heard=heard)
    assert heard.restarts == 0
    assert heard.lines == [LINE]


async def test_a_stream_that_just_stops_is_an_error() -> None:
    heard = Heard()
    with pytest.raises(ProviderReplyError, match="ended without"):
        await answered(TextDelta("A refund "), heard=heard)
    assert heard.restarts == 1


async def test_a_caller_who_leaves_closes_the_stream() -> None:
    model = ScriptedModel([TextDelta("A refund "), FOR_EVER, end()])
    generator = WrittenGenerator(model, "local", 300)
    begun = asyncio.Event()

    class Reader(Heard):
        def text(self, piece: str) -> None:
            begun.set()

    heard = Reader()
    task = asyncio.create_task(generator.generate(ASKED, HITS, CONTEXT, heard))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (model.running, model.left) == (0, 1)
