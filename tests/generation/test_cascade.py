"""The cascade: which tier answers, what a budget does to it, and what the answer says of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from contexts import chunks_of, hits_of, question
from heard import Heard

from generation.deciding.cascade import CascadeGenerator, TierGenerator
from generation.deciding.policy import PlainRule
from generation.writing.citing import NOT_FOUND
from rag.errors import BudgetError, ProviderUnavailableError
from rag.ports import Listener
from rag.types import Citation, Context, Generation, Hit, Piece, Question, Tier

HITS = hits_of(chunks_of("Refunds take five days."), {})
CITATION = Citation(1, "d", "D", "d.md", None, 0, 7, "Refunds")


@dataclass
class Tiers:
    """A Generator of a tier that answers with this confidence, or raises `error`.

    `fits_tokens` is the largest context that its budget lets pass.
    """

    tier: Tier
    confidence: float = 0.9
    error: Exception | None = None
    fits_tokens: int = 10_000
    failing: str | None = None
    contexts: list[int] = field(default_factory=list)

    async def generate(
        self, asked: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        self.contexts.append(context.tokens)
        if context.tokens > self.fits_tokens:
            raise BudgetError("the budget of the day is $1: wait until tomorrow")
        if self.tier != "extractive":
            listener.text(f"by {self.tier}")
        if self.error is not None:
            raise self.error
        abstained = self.confidence == 0
        return Generation(
            NOT_FOUND if abstained else f"by {self.tier} [1]",
            () if abstained else (CITATION,),
            self.confidence,
            abstained,
            self.tier,
            f"model of {self.tier}",
            degraded_because=self.failing,
        )


class WordCompressor:
    """A context of exactly as many tokens as are allowed."""

    def compress(self, asked: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        chunk = hits[0].chunk
        return Context((Piece(hits[0], chunk.start, chunk.end),), chunk.text, max_tokens)


CONTEXT = WordCompressor().compress(question("q"), HITS, 400)


async def asked(*tiers: Tiers, named: Tier | None = None, heard: Heard | None = None) -> Generation:
    cascade = CascadeGenerator(
        [TierGenerator(one.tier, one) for one in tiers],
        WordCompressor(),
        PlainRule(escalate_below=0.7),
        abstain_below=0.35,
    )
    wanted = Question("How long do refunds take?", "help", tier=named)
    return await cascade.generate(wanted, HITS, CONTEXT, heard or Heard())


class TestEscalation:
    async def test_an_answer_that_is_sure_ends_it(self) -> None:
        local, premium = Tiers("local"), Tiers("premium")
        answer = await asked(Tiers("extractive", 0.7), local, premium)
        assert (answer.tier, answer.degraded_because) == ("extractive", None)
        assert (local.contexts, premium.contexts) == ([], [])

    async def test_each_dearer_tier_is_asked_until_one_is_sure(self) -> None:
        premium = Tiers("premium")
        answer = await asked(Tiers("extractive", 0.69), Tiers("local", 0.8), premium)
        assert (answer.tier, premium.contexts) == ("local", [])
        answer = await asked(Tiers("extractive", 0.2), Tiers("local", 0.3), premium)
        assert answer.tier == "premium"

    async def test_of_answers_that_are_all_unsure_the_surest_is_given(self) -> None:
        tiers = (Tiers("extractive", 0.6), Tiers("local", 0.4), Tiers("premium", 0.5))
        assert (await asked(*tiers)).tier == "extractive"

    async def test_of_two_that_are_equal_the_dearer_one(self) -> None:
        assert (await asked(Tiers("extractive", 0.5), Tiers("local", 0.5))).tier == "local"

    async def test_a_model_that_read_it_and_finds_no_answer_is_believed(self) -> None:
        answer = await asked(Tiers("extractive", 0.6), Tiers("local", 0.0))
        assert (answer.abstained, answer.tier, answer.citations) == (True, "local", ())

    async def test_what_nobody_believes_is_not_given(self) -> None:
        answer = await asked(Tiers("extractive", 0.0), Tiers("local", 0.34))
        assert (answer.abstained, answer.text, answer.citations) == (True, NOT_FOUND, ())

    @pytest.mark.parametrize("named", ["extractive", "local", "premium"])
    async def test_a_named_tier_answers_alone(self, named: Tier) -> None:
        tiers = Tiers("extractive", 0.4), Tiers("local", 0.4), Tiers("premium", 0.4)
        assert (await asked(*tiers, named=named)).tier == named
        assert sum(len(tier.contexts) for tier in tiers) == 1


class TestDegradation:
    DOWN = ProviderUnavailableError("http://127.0.0.1:8001/v1 cannot be reached: start it")

    async def test_a_tier_that_is_down_is_left_out_and_named(self) -> None:
        answer = await asked(Tiers("extractive", 0.5), Tiers("local", error=self.DOWN))
        assert answer.tier == "extractive"
        assert answer.degraded_because == f"local did not answer: {self.DOWN}"

    async def test_the_next_tier_answers_and_it_is_told_all_the_same(self) -> None:
        down = Tiers("local", error=self.DOWN)
        answer = await asked(Tiers("extractive", 0.5), down, Tiers("premium"))
        assert answer.tier == "premium"
        assert "local did not answer" in (answer.degraded_because or "")

    async def test_a_named_tier_that_is_down_leaves_quoting(self) -> None:
        down = Tiers("premium", error=self.DOWN)
        answer = await asked(Tiers("extractive", 0.5), down, named="premium")
        assert (answer.tier, answer.degraded_because is None) == ("extractive", False)

    async def test_a_refusal_is_no_judgement_of_the_documents(self) -> None:
        refusing = Tiers("local", 0.0, failing="the model refused to answer")
        answer = await asked(Tiers("extractive", 0.5), refusing)
        assert (answer.tier, answer.abstained) == ("extractive", False)
        assert answer.degraded_because == "local did not answer: the model refused to answer"

    async def test_an_error_of_another_kind_is_no_reason_to_go_on(self) -> None:
        with pytest.raises(ValueError, match="a mistake of ours"):
            await asked(
                Tiers("extractive", 0.5), Tiers("local", error=ValueError("a mistake of ours"))
            )


class TestBeforeAWall:
    async def test_first_the_context_becomes_smaller(self) -> None:
        premium = Tiers("premium", fits_tokens=250)
        answer = await asked(Tiers("extractive", 0.5), premium)
        assert premium.contexts == [400, 200]
        assert (answer.tier, answer.context_tokens) == ("premium", 200)
        assert "200 tokens of context, not 400" in (answer.degraded_because or "")
        assert "the budget of the day is $1" in (answer.degraded_because or "")

    async def test_then_nobody_is_escalated_to(self) -> None:
        premium = Tiers("premium", fits_tokens=0)
        answer = await asked(Tiers("extractive", 0.2), Tiers("local", 0.5), premium)
        assert premium.contexts == [400, 200, 100]
        assert answer.tier == "local"
        assert "premium did not answer: the budget" in (answer.degraded_because or "")

    async def test_then_sentences_are_quoted(self) -> None:
        broke = Tiers("local", fits_tokens=0), Tiers("premium", fits_tokens=0)
        answer = await asked(Tiers("extractive", 0.5), *broke)
        assert (answer.tier, answer.abstained) == ("extractive", False)

    async def test_and_last_it_abstains_and_says_why(self) -> None:
        broke = Tiers("local", fits_tokens=0), Tiers("premium", fits_tokens=0)
        answer = await asked(Tiers("extractive", 0.0), *broke)
        assert answer.abstained
        assert "the budget of the day" in (answer.degraded_because or "")


class TestListening:
    async def test_what_is_heard_last_is_the_answer(self) -> None:
        heard = Heard()
        await asked(Tiers("extractive", 0.2), Tiers("local", 0.3), Tiers("premium"), heard=heard)
        assert heard.said == "by premium"

    async def test_text_that_is_not_the_answer_is_void(self) -> None:
        heard = Heard()
        answer = await asked(Tiers("extractive", 0.6), Tiers("local", 0.5), heard=heard)
        assert (answer.tier, heard.said) == ("extractive", "")
        down = Tiers("local", error=TestDegradation.DOWN)
        await asked(Tiers("extractive", 0.6), down, heard=heard)
        assert heard.said == ""
