"""Answers given again on the real path: the store, the manifest, ingestion and the state are real.

The generator is scripted: it quotes the first hit, and counts how often it was asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fakes import Indexing, MakeIndexing
from sqlalchemy import select

from generation.money.ledger import SqlLedger
from generation.money.tables import ANSWERS
from generation.reuse.answers import KeptAnswers, ReuseRules
from generation.reuse.entries import Entries
from generation.reuse.tables import KEPT_ANSWER_DOCUMENTS, KEPT_ANSWERS
from generation.reuse.verdicts import Verdicts
from indexing.embedding.remembering import RememberingEmbedder
from indexing.identity import content_version
from indexing.ingesting.pipeline import IngestionPipeline
from rag.errors import NotFoundError, ProviderUnavailableError
from rag.pipeline import Limits, QuestionPipeline
from rag.ports import Listener
from rag.types import Answer, Citation, Context, Document, Generation, Hit, Piece, Question
from retrieval.hybrid import HybridRetriever

QUESTION = Question("How long does a refund take?", "help")
TEXTS = {
    "refunds": "A refund takes five days.",
    "hours": "The shop opens at nine.",
    "parking": "Parking costs two euros.",
}
SURE = 0.9


class Stages:
    """Compresses to the best hit, quotes it and asks five cents for the naive way."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.generation: dict[str, Any] = {}
        self.gate = asyncio.Event()
        self.gate.set()
        self.error: Exception | None = None
        self.after: Callable[[], Any] | None = None

    def compress(self, question: Question, hits: Sequence[Hit], max_tokens: int) -> Context:
        chunk = hits[0].chunk
        return Context((Piece(hits[0], chunk.start, chunk.end),), chunk.text, 5)

    async def generate(
        self, question: Question, hits: Sequence[Hit], context: Context, listener: Listener
    ) -> Generation:
        self.asked.append(question.text)
        await self.gate.wait()
        if self.after is not None:
            await self.after()
        if self.error is not None:
            raise self.error
        chunk = hits[0].chunk
        citation = Citation(
            1, chunk.document_id, chunk.title, chunk.source, None, 0, len(chunk.text), chunk.text
        )
        given = Generation(f"{chunk.text} [1]", (citation,), SURE, False, "local", "small")
        return replace(given, **self.generation)

    def cost_usd(self, question: Question, hits: Sequence[Hit], answer: str) -> Decimal | None:
        return Decimal("0.05")


@dataclass
class Made:
    pipeline: QuestionPipeline
    ingestion: IngestionPipeline
    stages: Stages
    indexing: Indexing
    verdicts: Verdicts

    async def ask(self, text: str = "", **asked: Any) -> Answer:
        question = replace(QUESTION, **({"text": text} if text else {}), **asked)
        return await self.pipeline.answer(question, 500)

    async def put(self, **texts: str) -> None:
        await self.ingestion.ingest_documents([document(*one) for one in texts.items()], "help")

    @property
    def kept(self) -> int:
        with self.indexing.state.connect() as connection:
            return len(connection.execute(select(KEPT_ANSWERS)).all())


def document(name: str, text: str, **metadata: str) -> Document:
    version = content_version(name, text, metadata)
    return Document("help", name, version, name, text, (f"text:{name}",), metadata=metadata)


@pytest.fixture
async def make(make_indexing: MakeIndexing) -> Any:
    """Puts the path together; every place of the same folder shares the state."""
    ledgers = []

    def make_(indexing: Indexing | None = None, made_by: str = "v1") -> Made:
        index = indexing or make_indexing()
        embedder = RememberingEmbedder(index.embedder)
        retriever = HybridRetriever(embedder, index.store, index.manifest, 50, 0.6)
        entries = Entries(index.state, max_entries=100, keep_days=30)
        verdicts = Verdicts(index.state)
        reuse = KeptAnswers(
            entries,
            verdicts,
            retriever=retriever,
            embedder=embedder,
            changes=index.manifest,
            rules=ReuseRules(min_confidence=0.7, retrieved_chunks=2, made_by=made_by),
        )
        stages = Stages()
        ledgers.append(SqlLedger(index.state))
        pipeline = QuestionPipeline(
            retriever, stages, stages, stages, Limits(4_000, 2), ledger=ledgers[-1], reuse=reuse
        )

        async def drop(collection: str, document_ids: Sequence[str]) -> int:
            return await asyncio.to_thread(entries.delete_made_from, collection, document_ids)

        ingestion = IngestionPipeline(replace(index.pipeline.parts, drop_answers=drop))
        return Made(pipeline, ingestion, stages, index, verdicts)

    yield make_
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
async def made(make: Any) -> Made:
    place: Made = make()
    await place.put(**TEXTS)
    return place


class TestTheSameQuestion:
    async def test_it_is_answered_once_and_then_given_again(self, made: Made) -> None:
        first, second = await made.ask(), await made.ask()
        assert made.stages.asked == [QUESTION.text]
        assert (first.tier, second.tier, second.status) == ("local", "cache", "answered")
        assert (second.text, second.citations) == (first.text, first.citations)
        assert (second.model, second.confidence) == ("small", SURE)
        assert second.answer_id != first.answer_id

    async def test_it_costs_nothing_and_saves_all_of_the_naive_way(self, made: Made) -> None:
        await made.ask()
        again = await made.ask()
        assert [(line.stage, line.usd) for line in again.cost.lines] == [("reuse", Decimal(0))]
        assert again.cost.saved_usd == again.cost.baseline_usd == Decimal("0.05")
        assert again.usage.input_tokens == again.context_tokens == 0

    async def test_both_stand_in_the_ledger(self, made: Made) -> None:
        ids = {(await made.ask()).answer_id for _ in range(2)}
        with made.indexing.state.connect() as connection:
            rows = {row.answer_id: row.tier for row in connection.execute(select(ANSWERS))}
        assert set(rows) == ids
        assert sorted(rows.values()) == ["cache", "local"]

    async def test_case_and_manners_make_no_other_question(self, made: Made) -> None:
        await made.ask()
        assert (await made.ask("how long does a refund take, please?")).tier == "cache"
        assert (await made.ask("How long does a refund of 5 euros take?")).tier == "local"

    async def test_it_lasts_longer_than_the_process(self, made: Made, make: Any) -> None:
        await made.ask()
        assert (await make(made.indexing).ask()).tier == "cache"

    async def test_what_is_embedded_once_is_not_embedded_again(self, made: Made) -> None:
        made.indexing.embedder.forget()
        await made.ask()
        assert made.indexing.embedder.texts == [QUESTION.text]


class TestBinding:
    @pytest.mark.parametrize(
        "other",
        [{"tenant": "b"}, {"filters": {"title": ("refunds",)}}],
        ids=["tenant", "filters"],
    )
    async def test_nobody_gets_what_is_bound_to_another(
        self, made: Made, other: dict[str, Any]
    ) -> None:
        await made.ask()
        assert (await made.ask(**other)).tier == "local"
        assert (await made.ask(**other)).tier == "cache"

    async def test_nor_with_another_budget_of_context(self, made: Made) -> None:
        await made.ask()
        assert (await made.pipeline.answer(QUESTION, 400)).tier == "local"

    async def test_nor_from_other_models_or_prompts(self, made: Made, make: Any) -> None:
        await made.ask()
        assert (await make(made.indexing, made_by="v2").ask()).tier == "local"

    async def test_the_order_of_filters_is_none_of_theirs(self, made: Made) -> None:
        titles = ("refunds", "hours")
        await made.ask(filters={"title": titles, "document_id": titles})
        turned = {"document_id": titles[::-1], "title": titles[::-1]}
        assert (await made.ask(filters=turned)).tier == "cache"

    async def test_another_key_of_the_same_tenant_gets_it(self, made: Made) -> None:
        await made.ask(key="a")
        assert (await made.ask(key="b")).tier == "cache"


class TestWhatIsKept:
    @pytest.mark.parametrize(
        "generation",
        [
            {"confidence": 0.69},
            {"abstained": True, "citations": ()},
            {"degraded_because": "the budget of the day is spent"},
            {"citations": ()},
        ],
        ids=["unsure", "abstained", "degraded", "without evidence"],
    )
    async def test_no_answer_that_is_not_good(self, made: Made, generation: dict[str, Any]) -> None:
        made.stages.generation = generation
        await made.ask()
        assert made.kept == 0
        assert (await made.ask()).tier == "local"

    async def test_none_of_a_tier_that_was_named(self, made: Made) -> None:
        assert (await made.ask(tier="local")).tier == "local"
        assert made.kept == 0
        await made.ask()
        assert (await made.ask(tier="local")).tier == "local"

    async def test_none_of_who_asks_for_a_fresh_one(self, made: Made) -> None:
        await made.ask(is_fresh=True)
        assert made.kept == 0
        await made.ask()
        fresh = await made.ask(is_fresh=True)
        assert (fresh.tier, made.kept) == ("local", 1)
        assert "reuse" not in [line.stage for line in fresh.cost.lines]


class TestStaleness:
    async def ask_about_all(self, made: Made) -> None:
        await made.ask()
        await made.ask("When does the shop open?", filters={"title": ("hours",)})
        assert made.kept == 2

    async def test_a_changed_document_takes_its_answers_with_it(self, made: Made) -> None:
        await self.ask_about_all(made)
        await made.put(refunds="A refund takes nine days.")
        assert made.kept == 1, "at once, not only when it is asked for"
        answer = await made.ask()
        assert (answer.tier, answer.text) == ("local", "A refund takes nine days. [1]")

    async def test_a_forgotten_document_takes_its_answers_with_it_and_proves_it(
        self, made: Made
    ) -> None:
        await self.ask_about_all(made)
        (proof,) = await made.ingestion.forget("help", ["refunds"])
        assert (proof.answers_removed, made.kept) == (1, 1)
        answer = await made.ask()
        assert "refunds" not in {citation.document_id for citation in answer.citations}

    async def test_a_document_that_comes_to_be_found_stops_the_answer(self, made: Made) -> None:
        await made.ask()
        await made.put(news="How long does a refund take? A refund takes one day now.")
        answer = await made.ask()
        assert (answer.tier, answer.citations[0].document_id) == ("local", "news")

    async def test_a_document_that_is_not_found_for_it_stops_nothing(self, made: Made) -> None:
        await made.ask()
        await made.put(extra="Parking in the yard needs a green card.")
        again = await made.ask()
        assert again.tier == "cache"
        made.indexing.embedder.forget()
        assert (await made.ask()).tier == "cache"
        assert made.indexing.embedder.texts == []

    async def test_a_place_where_the_document_is_no_more_is_not_cited(
        self, made: Made, tmp_path: Path
    ) -> None:
        before, after = tmp_path / "docs" / "before.md", tmp_path / "docs" / "after.md"
        before.parent.mkdir()
        before.write_text("# Gift cards\n\nGift cards are valid for three years.\n")
        places = [str(before.parent)]
        await made.ingestion.ingest(places, "help")
        asked = "How long are gift cards valid?"
        assert (await made.ask(asked)).citations[0].source == str(before)
        before.rename(after)
        await made.ingestion.ingest_and_sync(places, "help")
        assert (await made.ask(asked)).citations[0].source == str(after)

    async def test_metadata_that_changed_stops_the_answer(self, made: Made) -> None:
        await made.ask()
        await made.ingestion.ingest_documents(
            [document("refunds", TEXTS["refunds"], audience="staff")], "help"
        )
        assert (await made.ask()).tier == "local"

    async def test_a_collection_that_is_emptied_says_so(self, made: Made) -> None:
        await made.ask()
        await made.ingestion.forget("help", list(TEXTS))
        with pytest.raises(NotFoundError, match="holds no documents"):
            await made.ask()
        assert made.kept == 0

    async def test_a_change_behind_the_back_of_ingestion_is_noticed_when_it_is_asked_for(
        self, made: Made
    ) -> None:
        await made.ask()
        unhooked = made.indexing.pipeline
        await unhooked.ingest_documents([document("refunds", "It takes nine days.")], "help")
        assert made.kept == 1
        assert (await made.ask()).text == "It takes nine days. [1]"

    async def test_what_changed_while_it_was_answered_is_given_and_not_kept(
        self, made: Made
    ) -> None:
        async def change() -> None:
            made.stages.after = None
            await made.put(refunds="A refund takes nine days.")

        made.stages.after = change
        assert "five" in (await made.ask()).text
        assert made.kept == 0
        assert "nine" in (await made.ask()).text

    async def test_whoever_asks_meanwhile_gets_what_stood_there_meanwhile(self, made: Made) -> None:
        begun = done = 0
        tiers = []

        async def edit() -> None:
            nonlocal begun, done
            for number in range(1, 9):
                begun = number
                await made.put(refunds=f"A refund takes {number} days.")
                done = number
                await asyncio.sleep(0.01)

        async def ask_on() -> None:
            while not editing.done():
                before = done
                answer = await made.ask()
                tiers.append(answer.tier)
                assert before <= int(answer.text.split()[3]) <= begun

        await made.put(refunds="A refund takes 0 days.")
        editing = asyncio.create_task(edit())
        await asyncio.gather(editing, *(ask_on() for _ in range(4)))
        assert {"local", "cache"} <= set(tiers)


class TestFlights:
    async def boarded(
        self, made: Made, *asked: dict[str, Any], leading: int = 1
    ) -> list[asyncio.Task[Answer]]:
        """Asks in order, and comes back when so many have reached the generator."""
        made.stages.gate.clear()
        tasks = []
        for one in asked:
            tasks.append(asyncio.create_task(made.ask(**one)))
            await asyncio.sleep(0)
        while len(made.stages.asked) < leading:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        return tasks

    async def test_it_is_answered_once_for_all_who_ask_meanwhile(self, made: Made) -> None:
        tasks = await self.boarded(made, *[{}] * 5)
        made.stages.gate.set()
        answers = await asyncio.gather(*tasks)
        assert len(made.stages.asked) == 1
        assert [one.tier for one in answers] == ["local", *["cache"] * 4]
        assert len({one.answer_id for one in answers}) == 5
        assert {one.text for one in answers} == {"A refund takes five days. [1]"}
        assert [one.cost.total_usd for one in answers[1:]] == [0] * 4

    async def test_an_abstention_is_shared_though_it_is_not_kept(self, made: Made) -> None:
        made.stages.generation = {"abstained": True, "citations": ()}
        tasks = await self.boarded(made, {}, {})
        made.stages.gate.set()
        answers = await asyncio.gather(*tasks)
        assert [one.status for one in answers] == ["abstained", "abstained"]
        assert len(made.stages.asked) == 1

    async def test_what_a_wall_has_left_of_it_is_not_shared(self, made: Made) -> None:
        made.stages.generation = {"degraded_because": "the budget of the key is spent"}
        tasks = await self.boarded(made, {"key": "poor"}, {"key": "rich"})
        made.stages.gate.set()
        await asyncio.gather(*tasks)
        assert len(made.stages.asked) == 2

    async def test_when_who_asked_first_leaves_another_gets_it_answered(self, made: Made) -> None:
        first, second = await self.boarded(made, {}, {})
        first.cancel()
        made.stages.gate.set()
        assert (await second).tier == "local"
        assert len(made.stages.asked) == 2

    async def test_when_it_fails_each_has_an_own_error(self, made: Made) -> None:
        tasks = await self.boarded(made, {}, {}, {})
        made.stages.error = ProviderUnavailableError("gone: start it")
        made.stages.gate.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in results] == [ProviderUnavailableError] * 3

    async def test_who_asks_after_a_change_does_not_get_what_was_made_before(
        self, made: Made
    ) -> None:
        tasks = await self.boarded(made, {})
        await made.put(refunds="A refund takes nine days.")
        tasks += await self.boarded(made, {})
        made.stages.gate.set()
        before, after = await asyncio.gather(*tasks)
        assert ("five" in before.text, "nine" in after.text) == (True, True)

    async def test_another_tenant_waits_for_nobody(self, made: Made) -> None:
        tasks = await self.boarded(made, {"tenant": "a"}, {"tenant": "b"}, leading=2)
        assert len(made.stages.asked) == 2
        made.stages.gate.set()
        assert [one.tier for one in await asyncio.gather(*tasks)] == ["local", "local"]


class TestVerdicts:
    async def test_an_answer_that_was_wrong_is_made_anew(self, made: Made) -> None:
        first = await made.ask()
        made.verdicts.observe(first.answer_id, is_right=False)
        assert (await made.ask()).tier == "local"

    async def test_so_is_one_that_was_wrong_when_it_was_given_again(self, made: Made) -> None:
        await made.ask()
        again = await made.ask()
        assert made.verdicts.observe(again.answer_id, is_right=False)
        assert (await made.ask()).tier == "local"


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    made: Made, caplog: pytest.LogCaptureFixture
) -> None:
    with made.indexing.state.begin() as connection:
        KEPT_ANSWER_DOCUMENTS.drop(connection)
    answer = await made.ask()
    assert answer.tier == "local"
    assert "could not be kept" in caplog.text
