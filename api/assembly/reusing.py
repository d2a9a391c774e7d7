"""Reuse of answers, put together from the settings: a room of `build`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version

from sqlalchemy import Engine

from api.assembly.deciding import fitted_at
from api.settings import Settings
from generation.deciding.corrections import Corrections
from generation.deciding.price_of_error import PriceOfError
from generation.distilling.lessons import Lessons
from generation.reuse.alike import AlikeQuestions
from generation.reuse.answers import KeptAnswers, ReuseRules
from generation.reuse.binding import hash_of
from generation.reuse.entries import Entries
from generation.reuse.pinned import PinnedAnswers
from generation.reuse.pins import Pins
from generation.reuse.verdicts import Verdicts
from generation.writing.prompt import PROMPT_VERSION
from indexing.manifest.manifest import Manifest
from rag.ports import ChangeCounter, Embedder, Retriever
from retrieval.conversations.kept import KeptTurns

_CHANGE_NO_ANSWER = {
    "data_dir", "state_url", "collection", "ingestion", "store", "budgets", "reuse", "experiment",
    "distillation", "conversations", "handoff", "retention", "server", "log", "tracing",
}  # fmt: skip


def open_entries(settings: Settings, state: Engine) -> Entries:
    """What is kept by these settings."""
    chosen = settings.reuse
    return Entries(state, max_entries=chosen.max_entries, keep_days=chosen.keep_days)


def open_pinned(
    settings: Settings, state: Engine, embedder: Embedder, manifest: Manifest
) -> PinnedAnswers:
    """What people approved."""
    return PinnedAnswers(
        Pins(state),
        open_entries(settings, state),
        Verdicts(state),
        embedder=embedder,
        versions=manifest,
        changes=manifest,
    )


def open_reuse(
    settings: Settings,
    state: Engine,
    retriever: Retriever,
    embedder: Embedder,
    changes: ChangeCounter,
    *,
    pinned: PinnedAnswers,
    price_of_error: PriceOfError | None,
) -> KeptAnswers | None:
    """What gives answers again by these settings; None where they turn it off."""
    chosen = settings.reuse
    if not chosen.enabled:
        return None
    least = chosen.min_confidence
    rules = ReuseRules(
        min_confidence=settings.answers.escalate_below if least is None else least,
        retrieved_chunks=settings.retrieval.chunks,
        made_by=made_by(settings, [embedder.fingerprint, fitted_at(settings)]),
    )
    entries, verdicts = open_entries(settings, state), Verdicts(state)
    alike = None
    if chosen.max_error > 0:
        alike = AlikeQuestions(
            entries, verdicts, chosen.max_error, chosen.max_entries, pins=pinned.pins
        )
    return KeptAnswers(
        entries,
        verdicts,
        alike,
        price_of_error,
        retriever=retriever,
        embedder=embedder,
        changes=changes,
        rules=rules,
        pinned=pinned,
    )


async def drop_answers(
    kept: Sequence[Entries | Lessons | Corrections | KeptTurns],
    pinned: PinnedAnswers,
    collection: str,
    document_ids: Sequence[str],
) -> int:
    """Delete what is kept of answers made from one of these documents; gives how many there were.

    Pinned answers that cite one expire, unless it says what it said. Raises StateError.
    """
    if not document_ids:
        return 0
    deletes = [one.delete_made_from for one in kept]
    deleted = sum([await asyncio.to_thread(delete, collection, document_ids) for delete in deletes])
    return deleted + await pinned.expire_made_from(collection, document_ids)


def made_by(settings: Settings, parts: Sequence[str]) -> str:
    """Names all that answers are made by: settings, prompt, this version, and these parts."""
    chosen = settings.model_dump(mode="json", exclude=_CHANGE_NO_ANSWER)
    return hash_of([version("thrifty-rag"), PROMPT_VERSION, chosen, *parts])
