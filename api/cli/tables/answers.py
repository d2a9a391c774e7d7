"""What the commands print for people, on standard output."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from api.assembly.tiers import TierState
from api.models.answers import AnswerOut
from api.models.documents import DocumentOut, ForgetOut, ReportOut
from api.models.forgotten import ForgottenOut
from api.models.pins import PinOut
from api.settings import Settings, setting_paths

PIPE_WIDTH = 10_000
"""Columns where nobody looks: what reads from a pipe wants one line a row."""

_MOST_REASONS = 8


def open_console() -> Console:
    """Standard output: as wide as its terminal, and in one line a row where it has none."""
    width = None if sys.stdout.isatty() else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False)


def print_answer(answer: AnswerOut) -> None:
    """The answer, its citations, and one line of tier, confidence and cost."""
    console = open_console()
    if answer.asked_as:
        console.print(Text(f"asked as: {answer.asked_as}", style="dim"))
    console.print(Text(answer.answer))
    if answer.degraded_because:
        console.print(Text(f"degraded: {answer.degraded_because}"))
    for citation in answer.citations:
        page = "" if citation.page is None else f", page {citation.page}"
        console.print()
        console.print(Text(f"[{citation.marker}] {citation.title} ({citation.source}{page})"))
        console.print(Padding.indent(Text(f"“{citation.quote}”", style="dim"), 4))
    cost = answer.cost
    console.print()
    console.print(
        Text(
            f"{answer.tier} · {answer.status} · confidence {answer.confidence:.2f} · "
            f"cost {_dollars(cost.total_usd)} · baseline {_dollars(cost.baseline_usd)} · "
            f"saved {_dollars(cost.saved_usd)}"
        )
    )


def print_report(report: ReportOut, is_plan: bool) -> None:
    """Counts of every outcome, what it took or would take, then what failed and why."""
    console = open_console()
    table = Table("outcome", "sources", title="would be done" if is_plan else None)
    table.columns[1].justify = "right"
    for outcome, count in report.counts.items():
        table.add_row(outcome, f"{count:,}", style="red" if outcome == "failed" and count else None)
    console.print(table)
    console.print(Text(_effort(report, is_plan)))
    if (skipped := _skipped(report)) is not None:
        console.print(Text(skipped))
    for item in report.items:
        if item.outcome == "failed":
            reason = (item.reason or "").removeprefix(item.source).strip()
            console.print(Text(f"failed: {item.source} {reason}"), soft_wrap=True)


def _effort(report: ReportOut, is_plan: bool) -> str:
    """What an ingestion took, beside what it was said to take."""
    quote = report.quote
    if quote is None or not is_plan:
        said = "" if quote is None else f" (quoted: {quote.chunks:,} chunks, {quote.seconds:.1f} s)"
        return (
            f"collection {report.collection}: {report.chunks:,} chunks, "
            f"{report.chunks_embedded:,} of them embedded, in {report.seconds:.1f} s{said}"
        )
    return (
        f"collection {report.collection}: {quote.chunks:,} chunks to write; "
        f"{quote.chunks_embedded:,} are new, and embedding their {quote.tokens:,} tokens costs "
        f"{_dollars(quote.usd)}; about {quote.seconds:.1f} s"
    )


def _skipped(report: ReportOut) -> str | None:
    """What was left out, by reason."""
    reasons = Counter(item.reason or "" for item in report.items if item.outcome == "skipped")
    if not reasons:
        return None
    told = [f"{count:,} {reason}" for reason, count in reasons.most_common(_MOST_REASONS)]
    more = len(reasons) - len(told)
    return f"skipped: {'; '.join(told)}" + (f"; and {more:,} reasons more" if more else "")


def print_documents(documents: Sequence[DocumentOut]) -> None:
    """A row for each document."""
    console = open_console()
    if not documents:
        console.print("no documents: `rag ingest PATH` brings some in")
        return
    table = Table("collection", "id", "title", "chunks", "sources")
    table.columns[1].no_wrap = True
    table.columns[3].justify = "right"
    for document in documents:
        table.add_row(
            Text(document.collection),
            Text(document.document_id),
            Text(document.title),
            f"{document.chunks:,}",
            Text(", ".join(document.sources)),
        )
    console.print(table)


def print_forgotten(proofs: Sequence[ForgetOut]) -> None:
    """What was there before, and what is there after."""
    console = open_console()
    table = Table(
        "forgotten",
        "its chunks before",
        "after",
        "documents before",
        "after",
        "found after",
        "answers removed",
    )
    for proof in proofs:
        table.add_row(
            Text(proof.document_id),
            f"{proof.chunks_before:,}",
            f"{proof.chunks_after:,}",
            f"{proof.documents_before:,}",
            f"{proof.documents_after:,}",
            f"{proof.found_after:,}",
            f"{proof.answers_removed:,}",
        )
    console.print(table)


def print_forgotten_words(proof: ForgottenOut, of: str) -> None:
    """Where words of a conversation or visitor stood, and how many stand there after."""
    table = Table(f"of the {of}", "before", "after")
    before, after = proof.before.model_dump(), proof.after.model_dump()
    for name in before:
        table.add_row(Text(name.replace("_", " ")), f"{before[name]:,}", f"{after[name]:,}")
    open_console().print(table)


def print_pins(pins: Sequence[PinOut]) -> None:
    """A row for each pinned answer."""
    table = Table("id", "collection", "question", "answer", "said wrong", "state")
    table.columns[0].no_wrap = True
    table.columns[4].justify = "right"
    for pin in pins:
        table.add_row(
            Text(pin.id),
            Text(pin.collection),
            Text(pin.question),
            Text(pin.answer),
            f"{pin.said_wrong:,}",
            Text("given" if pin.expired_because is None else f"expired: {pin.expired_because}"),
        )
    open_console().print(table)


def print_config(settings: Settings, tiers: Sequence[TierState]) -> None:
    """Every setting with its value, then every tier."""
    console = open_console()
    values = settings.model_dump(mode="json")
    table = Table("setting", "value")
    for path in setting_paths():
        value = values
        for name in path:
            value = value[name]
        table.add_row(".".join(path), Text("unset" if value is None else str(value)))
    console.print(table)
    live = Table("tier", "live", "why")
    for tier in tiers:
        live.add_row(tier.name, "yes" if tier.is_live else "no", tier.why)
    console.print(live)


def _dollars(usd: str | None) -> str:
    return "unknown" if usd is None else f"${usd}"
