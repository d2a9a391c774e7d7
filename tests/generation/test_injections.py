"""Instructions in documents are data: documents with instructions in many languages and places.

Each line of `injections.jsonl` is a page, a question, the answer that the page supports, and what a
model would write that obeys the page. No model is asked here: the worst one is assumed. How a real
one behaves is another matter. Some pages just state what is false, or in words that nothing tells
from a statement (`stated`): then the answer may cite them, and shows what they say word for word.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from contexts import chunks_of, context_of, hits_of, question
from heard import Heard
from scripted_model import ScriptedModel, said

from generation.confidence.quoted import LogisticConfidence
from generation.tiers.extractive import ExtractiveGenerator
from generation.tiers.written import WrittenGenerator
from generation.writing.checking import check
from generation.writing.excerpts import excerpts_of
from generation.writing.fencing import without_invisible
from generation.writing.prompt import build_prompt
from rag.types import Context, Generation, Hit

ROWS = [
    json.loads(line)
    for line in Path(__file__).with_name("injections.jsonl").read_text().splitlines()
]
SURE = 0.35
"""A confidence below which the service rather says nothing."""

each = pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])


def hits_in(row: dict[str, Any]) -> list[Hit]:
    """The page, its injected line being what the question is thought to be about."""
    return hits_of(chunks_of(row["document"]), {})


def context_in(row: dict[str, Any]) -> Context:
    return context_of(hits_in(row))


def outside_code(text: str) -> str:
    return re.sub(r"```.*?(?:```|\Z)|`[^`\n]+`", "", text, flags=re.DOTALL)


def test_there_are_enough_of_them() -> None:
    assert len(ROWS) >= 60
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert len({row["language"] for row in ROWS}) >= 15
    assert len({row["place"] for row in ROWS}) >= 20
    assert sum(not row["stated"] for row in ROWS) >= 80


@each
def test_it_stays_inside_its_block(row: dict[str, Any]) -> None:
    prompt = build_prompt(question(row["question"]), context_in(row))
    usual = build_prompt(question("Why?"), context_of(hits_of(chunks_of("Because."), {})))
    assert prompt.system == usual.system
    inside = re.fullmatch(
        rf"<context>\n(.*)\n</context>\n\nQuestion: {re.escape(row['question'])}",
        prompt.user,
        re.DOTALL,
    )
    assert inside is not None
    data = inside[1]
    assert not re.search(r"[<＜]\s*/?\s*context", data, re.IGNORECASE)
    assert not re.search(r"<[|｜]|[|｜]>|\[/?INST\]|<<SYS|<(?:start|end)_of_turn>", data)
    assert not re.search(r"</?(?:think|tool_call)>|\[TOOL_RESULTS\]", data)
    assert without_invisible(data) == data
    labels = re.findall(r"[\[【［]\s*(\d+)\s*[\]】］]", outside_code(data))
    assert labels == [str(n + 1) for n in range(len(labels))]
    assert re.findall(r"^\[(\d+)\]", data, re.MULTILINE) == labels


@each
def test_a_model_that_obeys_is_not_believed(row: dict[str, Any]) -> None:
    excerpts = excerpts_of(context_in(row))
    result = check(row["question"], row["obeyed"], excerpts)
    assert row["stated"] or not (result.citations and result.confidence >= SURE)
    assert_harmless(result.text, row)
    for citation in result.citations:
        assert row["document"][citation.start : citation.end] == citation.quote


@each
def test_the_page_still_answers_the_question(row: dict[str, Any]) -> None:
    """Or else the check would be safe because it believes nothing."""
    result = check(row["question"], row["honest"], excerpts_of(context_in(row)))
    assert result.citations
    assert result.confidence >= 0.5
    for citation in result.citations:
        assert row["document"][citation.start : citation.end] == citation.quote


@each
async def test_through_the_tier_that_writes(row: dict[str, Any]) -> None:
    model = ScriptedModel(said(row["obeyed"]))
    generation = await WrittenGenerator(model, "local", 300).generate(
        question(row["question"]), hits_in(row), context_in(row), Heard()
    )
    is_sure = generation.citations and generation.confidence >= SURE
    assert row["stated"] or generation.abstained or not is_sure
    assert_harmless(generation.text, row)


@each
async def test_the_tier_that_quotes_cannot_obey(row: dict[str, Any]) -> None:
    sure = ExtractiveGenerator(LogisticConfidence(5.0, {}), 0.35)
    generation: Generation = await sure.generate(
        question(row["question"]), hits_in(row), context_in(row), Heard()
    )
    assert generation.citations
    for citation in generation.citations:
        assert row["document"][citation.start : citation.end] == citation.quote
    quoted = [f"{c.quote} [{c.marker}]" for c in generation.citations]
    assert generation.text == "\n\n".join(quoted)


def assert_harmless(text: str, row: dict[str, Any]) -> None:
    """No image, no HTML that loads something, no address that the page does not hold."""
    assert not re.search(r"!\[[^\]]*\][(\[]|<(?:img|iframe|script|a)\b", text, re.IGNORECASE)
    for address in re.findall(r"(?:https?:)?//[^\s)>\"']+|javascript:", text):
        assert address in row["document"]
