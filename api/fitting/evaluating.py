"""Evaluates a collection through a door: the same in this process and through a service."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

from pydantic import JsonValue

from api.doors.door import Door
from api.models.answers import AnswerOut
from api.models.documents import DocumentOut
from api.models.inputs import AnswerIn, ContextIn, SearchIn
from api.settings import Settings
from evaluation.gold import KnownDocument, resolve
from evaluation.kept_records import KeptRecords
from evaluation.questions import EvaluationQuestion, Place
from evaluation.records import Record
from evaluation.report import About, Report, make_report
from evaluation.running import OnProgress, run
from rag.errors import InputError
from rag.pipeline import MAX_HITS
from rag.types import Tier

FOLDER = "evaluations"
RECORDS_FILE = "records.jsonl"
_CHANGE_NO_ANSWER = {
    "data_dir", "state_url", "ingestion", "reuse", "experiment", "distillation",
    "handoff", "server", "log", "tracing",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be evaluated. `settings` name the collection and the tokens of context.

    `folder` is where records go; None is a folder of its own, inside the data folder, for each
    state of settings and documents. `limit` takes a random sample, None everything. `tier` is who
    must answer, None whoever can; `max_usd` is what all answers together may cost, None as much as
    the budgets let pass.
    """

    question_file: Path
    questions: Sequence[EvaluationQuestion]
    settings: Settings
    folder: Path | None
    limit: int | None
    seed: int
    is_fresh: bool
    tier: Tier | None = None
    max_usd: Decimal | None = None


async def evaluate(
    door: Door, plan: Plan, note: Callable[[str], None], on_progress: OnProgress
) -> tuple[Report, Path]:
    """The report, and the folder that its records are in; what was asked before is not asked again.

    Raises RagError; InputError, naming the row, for gold that the collection does not hold.
    """
    _check_spending(plan)
    collection = plan.settings.collection
    documents = await door.documents(collection)
    sample = sampled(plan.questions, plan.limit, plan.seed)
    questions = await with_gold_found(sample, door, collection, documents)
    settings = settings_of(plan.settings) | ({} if plan.tier is None else {"tier": plan.tier})
    fingerprint = fingerprint_of(settings, documents)
    folder = plan.folder or plan.settings.data_dir / FOLDER / (
        f"{plan.question_file.stem}-{collection}-{fingerprint[:8]}"
    )
    records = KeptRecords(folder / RECORDS_FILE, fingerprint)
    if plan.is_fresh:
        records.clear()
    _tell_what_is_kept(records, len(questions), note)
    system = DoorSystem(door, plan.settings, plan.tier, plan.max_usd)
    answered = await run(system, questions, records, on_progress)
    about = About(
        question_file=plan.question_file.name,
        collection=collection,
        documents=len(documents),
        fingerprint=fingerprint,
        version=version("thrifty-rag"),
        finished_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=plan.seed,
        settings=settings,
    )
    return make_report(about, questions, answered), folder


def _check_spending(plan: Plan) -> None:
    """Nobody evaluates on somebody's money without having said how much."""
    may_be_paid = plan.settings.premium.model is not None and plan.tier in (None, "premium")
    if may_be_paid and plan.max_usd is None:
        raise InputError(
            f"the premium tier is live, and an evaluation of {len(plan.questions):,} questions may "
            "cost money: say how much with --max-usd, or ask another tier with --tier extractive"
        )


class DoorSystem:
    """Asks the collection of the settings through a door; all answers cost `max_usd` at most."""

    def __init__(
        self,
        door: Door,
        settings: Settings,
        tier: Tier | None = None,
        max_usd: Decimal | None = None,
    ) -> None:
        self._door = door
        self._tier = tier
        self._left_usd = max_usd
        self._collection = settings.collection
        self._max_context_tokens = settings.context.max_tokens
        # more than a search finds by itself would make it look, and so rank, otherwise
        self._ranked_chunks = min(settings.retrieval.candidates, MAX_HITS)

    async def ask(self, question: EvaluationQuestion) -> Record:
        """What is found, what goes into the context, and what is answered."""
        asked = {"question": question.text, "collection": self._collection}
        within = asked | {"max_context_tokens": self._max_context_tokens}
        search = SearchIn.model_validate(asked | {"k": self._ranked_chunks})
        hits = (await self._door.search(search)).hits
        context = await self._door.context(ContextIn.model_validate(within))
        paying = {"tier": self._tier, "max_cost_usd": self._left_usd, "fresh": True}
        answer = await self._door.ask(AnswerIn.model_validate(within | paying))
        if self._left_usd is not None:
            self._left_usd = max(self._left_usd - _spent_usd(answer), Decimal(0))
        return Record(
            question_id=question.question_id,
            question=question.text,
            hits=tuple(Place(hit.document_id, hit.start, hit.end) for hit in hits),
            scores=tuple(hit.score for hit in hits),
            pieces=tuple(Place(one.document_id, one.start, one.end) for one in context.pieces),
            context=context.context,
            context_tokens=context.tokens,
            status=answer.status,
            tier=answer.tier,
            answer=answer.answer,
            confidence=answer.confidence,
            citations=tuple(Place(c.document_id, c.start, c.end) for c in answer.citations),
            usd=_dollars(answer.cost.total_usd),
            baseline_usd=_dollars(answer.cost.baseline_usd),
            ms=_milliseconds(answer),
        )


def settings_of(settings: Settings) -> dict[str, JsonValue]:
    """The settings that can change an answer, secrets hidden."""
    shown: dict[str, JsonValue] = settings.model_dump(mode="json", exclude=_CHANGE_NO_ANSWER)
    return shown | {"ingestion": {"chunk_tokens": settings.ingestion.chunk_tokens}}


def sampled(
    questions: Sequence[EvaluationQuestion], limit: int | None, seed: int
) -> list[EvaluationQuestion]:
    """As many questions as wanted, in their order; a larger sample holds the smaller ones."""
    order = list(range(len(questions)))
    random.Random(seed).shuffle(order)  # noqa: S311 (no secret)
    return [questions[at] for at in sorted(order[:limit])]


async def with_gold_found(
    questions: Sequence[EvaluationQuestion],
    door: Door,
    collection: str,
    documents: Sequence[DocumentOut],
) -> list[EvaluationQuestion]:
    """The questions with their gold found in the collection, which holds these documents.

    Raises InputError, naming the row, for gold that is not there.
    """
    known = [KnownDocument(one.document_id, tuple(one.sources)) for one in documents]

    async def read(document_id: str) -> str:
        return (await door.document(collection, document_id)).text

    return await resolve(questions, known, read)


def fingerprint_of(settings: dict[str, JsonValue], documents: Sequence[DocumentOut]) -> str:
    """Names what can change an answer: settings, documents and the version of the project."""
    held = sorted((one.document_id, one.version, one.chunks) for one in documents)
    told = json.dumps([version("thrifty-rag"), settings, held], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _tell_what_is_kept(records: KeptRecords, asked: int, note: Callable[[str], None]) -> None:
    if records.started_anew:
        note("the records in the folder are of other settings or documents: starting anew")
    elif kept := len(records.done()):
        note(
            f"{kept:,} records of these settings and documents are kept: what is among the "
            f"{asked:,} questions is not asked again (--fresh asks)"
        )


def _dollars(usd: str | None) -> Decimal | None:
    return None if usd is None else Decimal(usd)


def _spent_usd(answer: AnswerOut) -> Decimal:
    """What was spent, at most: a local model without a price takes nothing from what is left."""
    spent = [_dollars(line.usd or line.at_most_usd) for line in answer.cost.lines]
    return sum((usd for usd in spent if usd is not None), start=Decimal(0))


def _milliseconds(answer: AnswerOut) -> dict[str, float]:
    """By stage; a stage can have several calls."""
    ms: dict[str, float] = {}
    for line in answer.cost.lines:
        ms[line.stage] = ms.get(line.stage, 0.0) + line.ms
    return ms
