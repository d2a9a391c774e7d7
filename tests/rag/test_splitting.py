"""Paths side by side: who is answered by which."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from rag.ports import Listener
from rag.splitting import SplitPipeline
from rag.types import Answer, Context, Cost, Hit, Question, Usage

QUESTION = Question("How long do refunds take?", "help", conversation_id="c1")


class NamedPath:
    """An Answerer whose answers are its name; it remembers what it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked: list[tuple[Question, int | None]] = []

    async def search(self, question: Question, k: int) -> list[Hit]:
        self.asked.append((question, k))
        return []

    async def context(self, question: Question, max_context_tokens: int | None = None) -> Context:
        self.asked.append((question, max_context_tokens))
        return Context((), self.name, 0)

    async def answer(
        self,
        question: Question,
        max_context_tokens: int | None = None,
        listener: Listener | None = None,
    ) -> Answer:
        self.asked.append((question, max_context_tokens))
        cost = Cost((), Decimal(0))
        return Answer("ans_1", "answered", self.name, "local", "m", 1.0, (), Usage(), 0, cost)


class LastDigit:
    """An Assigner that goes by the last character of the conversation."""

    async def arm_of(self, question: Question) -> str:
        return "new" if question.conversation_id.endswith("1") else "control"


def split() -> tuple[SplitPipeline, dict[str, NamedPath]]:
    paths = {name: NamedPath(name) for name in ("outside", "control", "new")}
    arms = {name: paths[name] for name in ("control", "new")}
    return SplitPipeline(paths["outside"], arms, LastDigit()), paths


async def test_a_conversation_is_answered_by_its_arm() -> None:
    pipeline, paths = split()
    assert (await pipeline.answer(QUESTION, 7)).text == "new"
    assert (await pipeline.answer(replace(QUESTION, conversation_id="c2"))).text == "control"
    assert paths["new"].asked == [(QUESTION, 7)]


async def test_who_chooses_the_tier_or_wants_a_fresh_answer_takes_no_part() -> None:
    pipeline, _ = split()
    assert (await pipeline.answer(replace(QUESTION, tier="local"))).text == "outside"
    assert (await pipeline.answer(replace(QUESTION, is_fresh=True))).text == "outside"


async def test_hits_and_contexts_are_not_compared() -> None:
    pipeline, paths = split()
    assert (await pipeline.context(QUESTION, 9)).text == "outside"
    await pipeline.search(QUESTION, 3)
    assert [wanted for _, wanted in paths["outside"].asked] == [9, 3]
