"""The end of a batch: what came back becomes answers, each checked, billed and recorded."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from generation.batching.asking import BatchAsking
from generation.batching.choosing import ASKED, AsDecided
from generation.batching.collected import Heard, KeptGenerator
from generation.batching.entries import Entry, Given, Missed, Waiting, given
from generation.batching.records import BatchRecord, BatchRecords
from generation.confidence.judging import Judge
from generation.deciding.cascade import CascadeGenerator, TierGenerator
from generation.deciding.tier_costs import TierCosts
from generation.providers.batch import BatchAnswer, BatchResult
from generation.writing.citing import NOT_FOUND
from rag.errors import BudgetError
from rag.pipeline import answer_of
from rag.ports import Baseline, Compressor, Ledger, Revisions
from rag.types import Cost, CostLine


class Collecting:
    """Makes answers of what a batch gave.

    One that rests on a document that was forgotten or changed in between is not given: the places
    that it cites are not there any more. `abstain_below` is the least confidence of any answer;
    `judge` gives answers theirs, and `costs` learn what they came to.
    """

    def __init__(
        self,
        *,
        records: BatchRecords,
        ledger: Ledger,
        revisions: Revisions,
        compressor: Compressor,
        baseline: Baseline,
        judge: Judge,
        costs: TierCosts,
        abstain_below: float,
    ) -> None:
        self._records = records
        self._ledger = ledger
        self._revisions = revisions
        self._compressor = compressor
        self._baseline = baseline
        self._judge = judge
        self._costs = costs
        self._abstain_below = abstain_below

    async def end(
        self,
        record: BatchRecord,
        results: Mapping[str, BatchResult],
        asking: BatchAsking,
        now: datetime,
    ) -> BatchRecord:
        """The batch with all its answers, which are durable and in the ledger when this returns.

        `results` are those of the calls that were made. Doing it again is no harm.
        """
        names = [entry.form.question.answer_id for entry in record.entries]
        bill = await asyncio.to_thread(self._records.bill, names)
        forms = []
        for entry in record.entries:
            form = entry.form
            if isinstance(form, Waiting):
                name = form.question.answer_id
                result = BudgetError(form.refused) if form.refused else results[name]
                form = await self._answer(form, result, bill.get(name), asking)
            forms.append(form)
        forms = await self._without_stale(forms)
        recorded = await asyncio.to_thread(self._records.recorded, names)
        await asyncio.gather(
            *(
                self._ledger.record_answer(form.question, form.answer)
                for form in forms
                if form.answer.answer_id not in recorded
            )
        )
        return await self._save(record, forms, now)

    async def look_again(self, record: BatchRecord, now: datetime) -> BatchRecord:
        """A batch that has ended, without the answers that do not hold any more."""
        forms = [entry.form for entry in record.entries if isinstance(entry.form, Given)]
        fresh = await self._without_stale(forms)
        return record if fresh == forms else await self._save(record, fresh, now)

    async def _save(
        self, record: BatchRecord, forms: Sequence[Given], now: datetime
    ) -> BatchRecord:
        pairs = zip(record.entries, forms, strict=True)
        entries = tuple(Entry(entry.question_id, form) for entry, form in pairs)
        ended = replace(record, state="ended", entries=entries)
        await asyncio.to_thread(self._records.save, ended, now)
        return ended

    async def _answer(
        self,
        waiting: Waiting,
        result: BatchResult | BudgetError,
        cost: CostLine | None,
        asking: BatchAsking,
    ) -> Given:
        """By the rule of the cascade: the better of quote and answer, or an abstention."""
        cascade = CascadeGenerator(
            [
                TierGenerator("extractive", KeptGenerator(waiting.quote)),
                TierGenerator(ASKED, asking.writer(result, cost)),
            ],
            self._compressor,
            AsDecided(waiting.because),
            self._abstain_below,
            judge=self._judge,
            costs=self._costs,
        )
        heard = Heard(waiting.lines)
        question, context = waiting.question, waiting.context
        generation = await cascade.generate(question, waiting.hits, context, heard)
        baseline = self._baseline.cost_usd(question, waiting.hits, generation.text)
        answer = answer_of(question, generation, context, Cost(tuple(heard.lines), baseline))
        return given(question, answer, waiting.hits, _missed(result))

    async def _without_stale(self, forms: Sequence[Given]) -> list[Given]:
        """The same, but for answers that rest on what is not there any more."""
        cited: defaultdict[str, set[str]] = defaultdict(set)
        for form in forms:
            cited[form.question.collection].update(form.rests_on)
        current = {
            collection: await self._revisions.current(collection, sorted(documents))
            for collection, documents in cited.items()
            if documents
        }
        return [
            form
            if all(
                current[form.question.collection].get(document) == revision
                for document, revision in form.rests_on.items()
            )
            else _stale(form)
            for form in forms
        ]


def _missed(result: BatchResult | BudgetError) -> Missed | None:
    if isinstance(result, BatchAnswer):
        return None
    return "over budget" if isinstance(result, BudgetError) else "failed"


def _stale(form: Given) -> Given:
    answer = replace(
        form.answer,
        status="abstained",
        text=NOT_FOUND,
        confidence=0.0,
        citations=(),
        degraded_because="a document that the answer rests on was forgotten or changed after the "
        "question was asked: ask again",
    )
    return replace(form, answer=answer, rests_on={})
