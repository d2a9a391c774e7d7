"""The question path, around fakes of every stage."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

from rag.errors import NotFoundError, QuestionError, RangeError, StoreError
from rag.pipeline import MAX_CONTEXT_TOKENS, MAX_HITS, Limits, QuestionPipeline
from rag.ports import Listener
from rag.types import (
    Answer,
    Chunk,
    Citation,
    Context,
    Cost,
    CostLine,
    Generation,
    Hit,
    Piece,
    Question,
    Span,
    Usage,
)

QUESTION = Question("How long do refunds take?", "help")
TEXT = "Refunds take five days."
CHUNK = Chunk(
    chunk_id="c1",
    collection="help",
    document_id="refunds",
    version="v1",
    title="Refunds",
    revision="r1",
    content="c1",
    sources=("refunds.md",),
    headings=(),
    prefix="Refunds",
    start=0,
    end=len(TEXT),
    text=TEXT,
    sentences=(Span(0, len(TEXT)),),
)
HIT = Hit(CHUNK, 1.0, 0.7, 0.8, (0.7,))
CONTEXT = Context((Piece(HIT, 0, len(TEXT)),), f"[1] Refunds\n{TEXT}", 9)
CITATION = Citation(1, "refunds", "Refunds", "refunds.md", None, 0, len(TEXT), TEXT)
GENERATION = Generation(
    text=f"{TEXT} [1]",
    citations=(CITATION,),
    confidence=0.8,
    abstained=False,
    tier="local",
    model="small",
    usage=Usage(12, 3, 4),
)
CALLED = CostLine("generate", "small", Decimal("0.002"), 1.0)


class Stages:
    """A fake of every stage; `calls` holds what each was given, in order."""

    def __init__(
        self,
        generation: Generation = GENERATION,
        baseline_usd: Decimal | None = Decimal("0.005"),
        failing: str = "",
        error: Exception | None = None,
        called: CostLine | None = CALLED,
    ) -> None:
        self._called = called
        self.calls: list[tuple[object, ...]] = []
        self.compress_thread = ""
        self._generation = generation
        self._baseline_usd = baseline_usd
        self._failing = failing
        self._error = error

    def _note(self, stage: str, *given: object) -> None:
        self.calls.append((stage, *given))
        if stage == self._failing and self._error is not None:
            raise self._error

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        self._note("retrieve", question, k)
        return [HIT]

    def compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        self.compress_thread = threading.current_thread().name
        self._note("compress", question, hits, max_tokens)
        return CONTEXT

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        self._note("generate", question, hits, context)
        if self._called is not None:
            listener.text(TEXT)
            listener.cost(self._called)
        return self._generation

    def cost_usd(self, question: Question, hits: Sequence[Hit], answer: str) -> Decimal | None:
        self._note("baseline", question, hits, answer)
        return self._baseline_usd

    async def record_answer(self, question: Question, answer: Answer) -> None:
        self._note("record", question, answer)


def pipeline(stages: Stages, limits: Limits | None = None) -> QuestionPipeline:
    chosen = limits or Limits(4_000, 7)
    return QuestionPipeline(stages, stages, stages, stages, chosen, ledger=stages)


async def answered(stages: Stages) -> Answer:
    return await pipeline(stages).answer(QUESTION, 500)


class TestLimits:
    async def test_who_does_not_say_gets_the_tokens_that_are_set(self) -> None:
        stages = Stages()
        asked = pipeline(stages, Limits(4_000, 7, 321))
        await asked.answer(QUESTION)
        await asked.context(QUESTION)
        assert [call[-1] for call in stages.calls if call[0] == "compress"] == [321, 321]


class TestArm:
    async def test_an_answer_tells_the_arm_that_it_was_made_by(self) -> None:
        stages = Stages()
        asked = pipeline(stages)
        assert (await asked.as_arm("tone/warm").answer(QUESTION, 500)).arm == "tone/warm"
        [recorded] = [call[-1] for call in stages.calls if call[0] == "record"]
        assert isinstance(recorded, Answer)
        assert recorded.arm == "tone/warm"
        assert (await asked.answer(QUESTION, 500)).arm == "", "and the path itself takes no part"


class TestAdmission:
    @pytest.mark.parametrize("text", ["", " ", "\n\t\r ", "\u00a0\u2003"])
    async def test_an_empty_question_reaches_no_stage(self, text: str) -> None:
        stages = Stages()
        asked = pipeline(stages)
        empty = Question(text, "help")
        for call in (asked.answer(empty, 500), asked.context(empty, 500), asked.search(empty, 5)):
            with pytest.raises(QuestionError, match="empty: write one"):
                await call
        assert stages.calls == []

    async def test_a_question_of_a_megabyte_is_told_its_length_and_the_limit(self) -> None:
        stages = Stages()
        huge = Question("why " * 250_000, "help")
        with pytest.raises(QuestionError) as caught:
            await pipeline(stages).answer(huge, 500)
        message = str(caught.value)
        assert message == "the question has 1,000,000 characters, the limit is 4,000: shorten it"
        assert stages.calls == []

    async def test_the_limit_itself_is_allowed(self) -> None:
        limits = Limits(max_question_chars=10)
        asked = pipeline(Stages(), limits)
        assert (await asked.answer(Question("x" * 10, "help"), 500)).status == "answered"
        with pytest.raises(QuestionError):
            await asked.answer(Question("x" * 11, "help"), 500)

    @pytest.mark.parametrize("k", [0, -1, MAX_HITS + 1, 10**12])
    async def test_k_outside_its_range(self, k: int) -> None:
        stages = Stages()
        with pytest.raises(RangeError, match=rf"^k is .*range 1 to {MAX_HITS}: give a number"):
            await pipeline(stages).search(QUESTION, k)
        assert stages.calls == []

    @pytest.mark.parametrize("tokens", [0, -5, MAX_CONTEXT_TOKENS + 1])
    async def test_max_context_tokens_outside_its_range(self, tokens: int) -> None:
        stages = Stages()
        asked = pipeline(stages)
        for call in (asked.answer(QUESTION, tokens), asked.context(QUESTION, tokens)):
            with pytest.raises(RangeError, match=r"^max_context_tokens is"):
                await call
        assert stages.calls == []

    @pytest.mark.parametrize("tokens", [1, MAX_CONTEXT_TOKENS])
    async def test_the_ends_of_the_range_are_allowed(self, tokens: int) -> None:
        assert await pipeline(Stages()).context(QUESTION, tokens) is CONTEXT


class TestStages:
    async def test_an_answer_calls_each_stage_once_and_in_order(self) -> None:
        stages = Stages()
        answer = await answered(stages)
        assert stages.calls == [
            ("retrieve", QUESTION, 7),
            ("compress", QUESTION, [HIT], 500),
            ("generate", QUESTION, [HIT], CONTEXT),
            ("baseline", QUESTION, [HIT], GENERATION.text),
            ("record", QUESTION, answer),
        ]

    async def test_a_search_only_retrieves(self) -> None:
        stages = Stages()
        assert await pipeline(stages).search(QUESTION, 3) == [HIT]
        assert stages.calls == [("retrieve", QUESTION, 3)]

    async def test_a_context_retrieves_and_compresses(self) -> None:
        stages = Stages()
        await pipeline(stages).context(QUESTION, 80)
        assert stages.calls == [
            ("retrieve", QUESTION, 7),
            ("compress", QUESTION, [HIT], 80),
        ]

    async def test_compressing_leaves_the_event_loop(self) -> None:
        stages = Stages()
        await answered(stages)
        assert stages.compress_thread != threading.current_thread().name

    @pytest.mark.parametrize(
        ("stage", "error"),
        [
            ("retrieve", NotFoundError("no such collection")),
            ("retrieve", StoreError("the store failed")),
            ("compress", ValueError("a bug")),
            ("generate", StoreError("gone")),
            ("baseline", ArithmeticError("a bug")),
        ],
    )
    async def test_an_error_of_a_stage_comes_out_as_it_is(
        self, stage: str, error: Exception
    ) -> None:
        stages = Stages(failing=stage, error=error)
        with pytest.raises(type(error)) as caught:
            await answered(stages)
        assert caught.value is error
        assert stages.calls[-1][0] == stage, "no later stage is called"


class TestAnswer:
    async def test_it_carries_what_the_generator_said(self) -> None:
        answer = await answered(Stages())
        assert answer.status == "answered"
        assert (answer.text, answer.tier, answer.model) == (f"{TEXT} [1]", "local", "small")
        assert (answer.confidence, answer.usage) == (0.8, Usage(12, 3, 4))
        assert answer.citations == (CITATION,)
        assert answer.context_tokens == 9
        assert answer.degraded_because is None

    async def test_an_abstention_is_a_status(self) -> None:
        silent = Generation("Not found.", (), 0.1, True, "extractive", "quote")
        answer = await answered(Stages(silent))
        assert (answer.status, answer.citations) == ("abstained", ())

    async def test_ids_differ(self) -> None:
        asked = pipeline(Stages())
        ids = {(await asked.answer(QUESTION, 500)).answer_id for _ in range(20)}
        assert len(ids) == 20
        assert all(one.startswith("ans_") for one in ids)

    async def test_an_answer_cannot_be_changed(self) -> None:
        answer = await answered(Stages())
        with pytest.raises(dataclasses.FrozenInstanceError):
            answer.text = "something else"  # type: ignore[misc]


class TestBill:
    async def test_a_line_for_each_stage(self) -> None:
        cost = (await answered(Stages())).cost
        assert [(line.stage, line.model, line.usd) for line in cost.lines] == [
            ("retrieve", None, Decimal(0)),
            ("compress", None, Decimal(0)),
            ("generate", "small", Decimal("0.002")),
            ("decide", None, Decimal(0)),
        ]
        assert all(line.ms >= 0 for line in cost.lines)

    async def test_an_answer_without_a_call_costs_nothing_and_names_its_model(self) -> None:
        cost = (await answered(Stages(called=None))).cost
        assert (cost.lines[-1].stage, cost.lines[-1].model) == ("generate", "small")
        assert cost.total_usd == 0

    async def test_saved_is_baseline_minus_total(self) -> None:
        cost = (await answered(Stages())).cost
        assert cost.total_usd == Decimal("0.002")
        assert cost.baseline_usd == Decimal("0.005")
        assert cost.saved_usd == Decimal("0.003")

    async def test_an_unknown_price_is_unknown_and_not_nothing(self) -> None:
        cost = (await answered(Stages(called=dataclasses.replace(CALLED, usd=None)))).cost
        assert cost.total_usd is None
        assert cost.baseline_usd == Decimal("0.005")
        assert cost.saved_usd is None

    async def test_an_unknown_baseline_leaves_the_total_known(self) -> None:
        cost = (await answered(Stages(baseline_usd=None))).cost
        assert cost.total_usd == Decimal("0.002")
        assert cost.baseline_usd is None
        assert cost.saved_usd is None

    def test_an_answer_dearer_than_the_baseline_saves_less_than_nothing(self) -> None:
        cost = Cost((CostLine("generate", "big", Decimal("0.02"), 1.0),), Decimal("0.005"))
        assert cost.saved_usd == Decimal("-0.015")

    def test_tenths_of_a_cent_add_up_exactly(self) -> None:
        line = CostLine("generate", "m", Decimal("0.0001"), 1.0)
        assert Cost((line,) * 3, Decimal("0.0003")).saved_usd == 0

    def test_no_lines_cost_nothing(self) -> None:
        assert Cost((), None).total_usd == 0


class Shelf:
    """A Reuse with one answer, or none; it notes its calls among those of the stages."""

    def __init__(self, stages: Stages, kept: Answer | None) -> None:
        self._stages = stages
        self.kept = kept

    @asynccontextmanager
    async def asking(self, question: Question, max_context_tokens: int) -> AsyncIterator[Shelf]:
        self._stages.calls.append(("asking", question, max_context_tokens))
        yield self
        self._stages.calls.append(("done",))

    async def keep(self, hits: Sequence[Hit], answer: Answer) -> None:
        self._stages.calls.append(("keep", hits, answer))


class TestReuse:
    async def ask(
        self, stages: Stages, kept: Answer | None = None, question: Question = QUESTION
    ) -> Answer:
        shelf = Shelf(stages, kept)
        path = QuestionPipeline(
            stages, stages, stages, stages, Limits(4_000, 7), ledger=stages, reuse=shelf
        )
        return await path.answer(question, 500)

    async def test_a_kept_answer_reaches_no_stage_but_the_ledger(self) -> None:
        kept = await answered(Stages())
        stages = Stages()
        answer = await self.ask(stages, kept)
        assert stages.calls == [("asking", QUESTION, 500), ("record", QUESTION, answer), ("done",)]
        assert (answer.tier, answer.text, answer.model) == ("cache", kept.text, "small")
        assert answer.citations == kept.citations
        assert answer.answer_id != kept.answer_id

    async def test_it_costs_nothing_beside_the_baseline_that_it_had(self) -> None:
        answer = await self.ask(Stages(), await answered(Stages()))
        assert [(line.stage, line.usd) for line in answer.cost.lines] == [("reuse", Decimal(0))]
        assert answer.cost.saved_usd == Decimal("0.005")
        assert (answer.usage, answer.context_tokens) == (Usage(), 0)

    async def test_a_fresh_answer_is_recorded_and_then_kept(self) -> None:
        stages = Stages()
        answer = await self.ask(stages)
        assert [call[0] for call in stages.calls] == [
            *("asking", "retrieve", "compress", "generate", "baseline", "record", "keep", "done")
        ]
        assert stages.calls[-2] == ("keep", [HIT], answer)
        assert [line.stage for line in answer.cost.lines][:2] == ["reuse", "retrieve"]

    async def test_a_named_tier_and_a_fresh_answer_pass_it_by(self) -> None:
        kept = await answered(Stages())
        for change in ({"tier": "local"}, {"is_fresh": True}):
            stages = Stages()
            question = dataclasses.replace(QUESTION, **change)  # type: ignore[arg-type]
            assert (await self.ask(stages, kept, question)).tier == "local"
            names = [call[0] for call in stages.calls]
            assert names == ["retrieve", "compress", "generate", "baseline", "record"]
