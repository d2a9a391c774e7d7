"""Kept answers for questions in other words, by the real model; what is risked is learnt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine

from generation.deciding.decision import Stakes
from generation.deciding.price_of_error import PriceOfError, StatedPrice
from generation.reuse.alike import Alike, AlikeQuestions, says_the_same
from generation.reuse.answers import KeptAnswers, ReuseRules
from generation.reuse.binding import binding_of, hash_of
from generation.reuse.entries import Entries, Entry
from generation.reuse.normal import normalised
from generation.reuse.verdicts import HitSum, Verdicts
from indexing.embedding.packaged import PackagedEmbedder
from rag.types import Answer, Chunk, Citation, Cost, CostLine, Hit, Passage, Question, Tier, Usage

ASKED = "How do I reset my password?"
REWORDED = "How can I reset my password?"
OTHERS = (
    "Where is the train station?",
    "When does the shop open on Sunday?",
    "How much does parking cost?",
    "Who wrote the handbook?",
    "Which cards do you accept?",
)
MAX_ERROR = 0.02
NOTHING = Cost((), None)
HIT = Hit(
    Chunk("c", "help", "d1", "v", "r", "c", "Help", ("help.md",), (), "", 0, 1, "x", ()),
    1.0,
    1.0,
    1.0,
    (),
)
TOKENS = 500


def answer(
    text: str, name: str = "a1", start: int = 0, tier: Tier = "local", cost: Cost = NOTHING
) -> Answer:
    citation = Citation(1, "d1", "Help", "help.md", None, start, start + 5, "quote")
    return Answer(name, "answered", text, tier, "m", 0.9, (citation,), Usage(), 0, cost)


class Place:
    """What is kept in one collection, and who looks for it."""

    def __init__(self, engine: Engine, embedder: PackagedEmbedder) -> None:
        self.engine = engine
        self.embedder = embedder
        self.entries = Entries(engine, max_entries=100, keep_days=30)
        self.verdicts = Verdicts(engine)
        self.alike = self.opened()

    def opened(self, draw: Callable[[], float] = lambda: 0.5) -> AlikeQuestions:
        return AlikeQuestions(self.entries, self.verdicts, MAX_ERROR, 100, draw)

    async def keep(
        self, *texts: str, says: str = "", collection: str = "help", cost: Cost = NOTHING
    ) -> None:
        for text in texts:
            [made] = await self.embedder.embed([Passage(text, "question")])
            question = Question(text, collection)
            entry = Entry(
                tenant="",
                collection=collection,
                binding=binding_of(question, TOKENS, "v1"),
                wording=hash_of(normalised(text)),
                question=text,
                hits="",
                changes=0,
                answer=answer(f"To {text}", f"kept for {text} in {collection}", cost=cost),
                says=says or f"says {text}",
                documents=frozenset({"d1"}),
            )
            self.entries.keep(entry, made.vector)

    async def find(self, text: str, collection: str = "help") -> Alike | None:
        question = Question(text, collection)
        [made] = await self.embedder.embed([Passage(text, "question")])
        return self.alike.find(binding_of(question, TOKENS, "v1"), question, made.vector)


@pytest.fixture
async def place(state_engine: Engine, embedder: PackagedEmbedder) -> Place:
    made = Place(state_engine, embedder)
    await made.keep(ASKED, *OTHERS)
    return made


async def test_other_words_find_the_answer(place: Place) -> None:
    found = await place.find(REWORDED)
    assert found is not None
    assert (found.entry.question, found.decision.action) == (ASKED, "reuse")
    assert found.decision.chance_wrong <= MAX_ERROR
    assert found.score > 0.9


@pytest.mark.parametrize(
    ("kept", "asked"),
    [
        ("Which cards work in 2023?", "Which cards work in 2024?"),
        ("How do I turn on the alarm?", "How do I turn off the alarm?"),
        ("Can I pay with a gift card?", "Can I not pay with a gift card?"),
        ("How do I move from Basic to Pro?", "How do I move from Pro to Basic?"),
        ("Who is the mayor of Berlin?", "Who is the mayor of Paris?"),
    ],
)
async def test_what_differs_is_never_given(place: Place, kept: str, asked: str) -> None:
    await place.keep(kept)
    found = await place.find(asked)
    assert found is None or found.entry.question != kept
    assert found is None or found.decision.action == "ask"


async def test_an_unlike_question_is_asked(place: Place) -> None:
    found = await place.find("What is the capital of France?")
    assert found is None or found.decision.action == "ask"


async def test_nothing_is_found_where_nothing_is_kept(place: Place) -> None:
    assert await place.find(REWORDED, "other") is None


async def test_what_is_deleted_is_not_found(place: Place) -> None:
    assert await place.find(REWORDED) is not None
    place.entries.delete(f"kept for {ASKED} in help")
    found = await place.find(REWORDED)
    assert found is None or found.entry.question != ASKED


async def test_what_is_deleted_speaks_against_nobody(place: Place) -> None:
    before = await place.find(REWORDED)
    await place.keep("How may I reset my password?", says="something else")
    between = await place.find(REWORDED)
    place.entries.delete("kept for How may I reset my password? in help")
    after = await place.find(REWORDED)
    assert before is not None
    assert between is not None
    assert after is not None
    assert between.score < after.score == pytest.approx(before.score, abs=0.01)


async def test_entries_that_say_the_same_speak_for_it_together(place: Place) -> None:
    alone = await place.find("I forgot my password, how do I set a new one?")
    await place.keep("How do I set a new password?", says=f"says {ASKED}")
    together = await place.find("I forgot my password, how do I set a new one?")
    assert alone is not None
    assert together is not None
    assert together.score > alone.score


class TestLearning:
    async def judge(self, place: Place, *, is_right: bool, times: int = 60) -> None:
        found = await place.find(REWORDED)
        assert found is not None
        for number in range(times):
            other = replace(found.entry, says=f"another {number}")
            place.verdicts.note_compared(
                f"a{number}", other, found.score, is_right=is_right, was_due=False
            )

    async def test_what_was_often_wrong_is_not_given_any_longer(self, place: Place) -> None:
        await self.judge(place, is_right=False)
        found = await place.find(REWORDED)
        assert found is not None
        assert found.decision.action == "ask"
        assert found.decision.chance_wrong > MAX_ERROR

    async def test_what_was_always_right_is_risked_more_easily(self, place: Place) -> None:
        before = await place.find(REWORDED)
        await self.judge(place, is_right=True)
        after = await place.find(REWORDED)
        assert before is not None
        assert after is not None
        assert after.decision.chance_wrong < before.decision.chance_wrong

    async def test_a_collection_learns_by_itself(self, place: Place) -> None:
        await place.keep(ASKED, *OTHERS, collection="other")
        await self.judge(place, is_right=False)
        found = await place.find(REWORDED, "other")
        assert found is not None
        assert found.decision.action == "reuse"

    async def test_it_outlives_the_process(self, place: Place) -> None:
        await self.judge(place, is_right=False)
        place.alike = place.opened()
        found = await place.find(REWORDED)
        assert found is not None
        assert found.decision.action == "ask"

    async def test_a_share_is_made_afresh_to_learn_from(self, place: Place) -> None:
        place.alike = place.opened(draw=lambda: 0.0)
        found = await place.find(REWORDED)
        assert found is not None
        assert found.decision.action == "explore"


class Still:
    """A ChangeCounter, and a Retriever, of a collection in which nothing happens."""

    async def changes(self, collection: str) -> int:
        return 0

    async def retrieve(self, question: Question, k: int) -> Sequence[Hit]:
        raise AssertionError("nothing has changed")


def reusing(
    place: Place, alike: AlikeQuestions, price_of_error: PriceOfError | None = None
) -> KeptAnswers:
    return KeptAnswers(
        place.entries,
        place.verdicts,
        alike,
        price_of_error,
        retriever=Still(),  # type: ignore[arg-type]
        embedder=place.embedder,
        changes=Still(),
        rules=ReuseRules(0.5, 5, "v1"),
    )


class TestTrading:
    """Where an error has a price, other words get an answer only if that saves what it risks."""

    BILL = Cost((CostLine("generate", "m", Decimal("0.004"), 2_000.0),), None)

    async def because(self, place: Place, text: str, error_usd: float | None) -> str | None:
        """Why a kept answer is given to a text; None where it is not."""
        price = StatedPrice(Stakes(error_usd, 0.0005, 0.3), {}) if error_usd else None
        reuse = reusing(place, place.alike, price)
        question = Question(text, "help", answer_id=f"at {error_usd}")
        async with reuse.asking(question, TOKENS) as asking:
            return None if asking.kept is None else asking.kept.because

    async def test_it_is_given_where_it_risks_less_than_making_it_took(self, place: Place) -> None:
        await place.keep(ASKED, cost=self.BILL)
        found = await place.find(REWORDED)
        assert found is not None
        risk = found.entry.answer.confidence * found.decision.chance_wrong
        assert 0 < risk < MAX_ERROR
        balance = (0.004 + 2 * 0.0005) / risk
        assert "making it anew took" not in (await self.because(place, REWORDED, None) or "")
        told = await self.because(place, REWORDED, 0.99 * balance)
        assert (told or "").endswith("and making it anew took $0.005")
        assert await self.because(place, REWORDED, 1.01 * balance) is None

    async def test_what_cost_nothing_is_made_anew(self, place: Place) -> None:
        assert await self.because(place, REWORDED, None) is not None
        assert await self.because(place, REWORDED, 0.01) is None

    async def test_the_same_words_risk_nothing(self, place: Place) -> None:
        assert await self.because(place, ASKED, 1_000.0) is not None

    async def test_what_is_made_anew_is_compared(self, place: Place) -> None:
        reuse = reusing(place, place.alike, StatedPrice(Stakes(1.0, 0.0, 0.3), {}))
        question = Question(REWORDED, "help", answer_id="fresh")
        async with reuse.asking(question, TOKENS) as asking:
            assert asking.kept is None
            await asking.keep([HIT], answer(f"To {ASKED}", "fresh"))
        (judged,) = await asyncio.to_thread(place.verdicts.judged_after, "")
        assert judged.is_right


class TestComparing:
    """A fresh answer that is made beside a kept one tells whether that was right."""

    async def answer_afresh(self, place: Place, text: str) -> None:
        reuse = reusing(place, place.opened(draw=lambda: 0.0))
        async with reuse.asking(Question(REWORDED, "help", answer_id="fresh"), TOKENS) as asking:
            assert asking.kept is None
            await asking.keep([HIT], answer(text, "fresh"))

    @pytest.mark.parametrize(
        ("text", "is_right"),
        [(f"To {ASKED}", True), ("Nobody can do that on weekends.", False)],
        ids=["the same", "another"],
    )
    async def test_it_is_a_verdict(self, place: Place, text: str, is_right: bool) -> None:
        await self.answer_afresh(place, text)
        (judged,) = await asyncio.to_thread(place.verdicts.judged_after, "")
        assert (judged.says, judged.is_right) == (f"says {ASKED}", is_right)
        kept = place.entries.load("fresh")
        assert kept is not None
        always = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        assert place.verdicts.sum(*always) == HitSum(judged=1, wrong=not is_right), "it was due"
        assert (kept.says == f"says {ASKED}") is is_right, "they speak for one answer from now on"


@pytest.mark.parametrize(
    ("kept", "fresh", "is_same"),
    [
        ("It takes five days [1].", "Five days [1].", True),
        ("It takes five days [1].", "It takes nine days [1].", False),
        ("Yes [1].", "Yes [1].", True),
        ("Gift cards are accepted [1].", "Gift cards are not accepted [1].", False),
        ("Ask Ada Byron [1].", "Ask Grace Hopper [1].", False),
    ],
)
def test_answers_that_say_the_same(kept: str, fresh: str, is_same: bool) -> None:
    question = "How long does a refund take, and who can I ask?"
    assert says_the_same(question, answer(kept), answer(fresh)) is is_same


def test_of_quotes_the_best_one_tells() -> None:
    kept = answer("One. Two.", tier="extractive")
    assert says_the_same("q", kept, answer("One. Three.", tier="extractive"))
    assert not says_the_same("q", kept, answer("Two.", start=40, tier="extractive"))
