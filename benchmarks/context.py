"""What the default context costs and keeps, against the five best chunks sent whole.

    python -m benchmarks.context --data ../shared/data

The questions of nq_open, clapnq and anthropic_docs_rag that nothing was fitted on and that can be
answered, each asked of its whole corpus with the default settings. The five chunks are those of the
same retrieval, with the same labels. An answer is retained when a piece holds it (nq_open), or a
gold sentence (clapnq), or when it comes from a gold section (anthropic_docs_rag, which has no
spans); and, softer, by the share of the reference answer's words that the question does not say and
that stand in the context.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from api.setting_groups.answers import BaselineSettings, ContextSettings, RetrievalSettings
from benchmarks.indexed import Indexed
from benchmarks.publish import write_result
from benchmarks.question_sets import (
    JudgedQuestion,
    QuestionSet,
    load_anthropic_docs,
    load_clapnq,
    load_nq_open,
)
from benchmarks.splits import is_held_out
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from evaluation.measures.table import mean
from evaluation.statistics import interval
from rag.terms import question_terms, text_terms
from rag.types import Hit, Question, Span

COUNTER = TiktokenCounter()
Places = Sequence[tuple[Hit, Span]]


def is_retained(asked: JudgedQuestion, places: Places) -> bool:
    """Whether one of the places holds the answer or a gold sentence."""
    return any(
        asked.supports(hit.chunk.document_id, span, hit.chunk.slice(span)) for hit, span in places
    )


def answer_words(asked: JudgedQuestion, text: str) -> float | None:
    """The share of the words of the fullest reference answer that the text holds."""
    known = question_terms(asked.text)
    wanted = max((text_terms(answer) - known for answer in asked.answers), key=len, default=None)
    return len(wanted & text_terms(text)) / len(wanted) if wanted else None


async def measure(question_set: QuestionSet) -> dict[str, Any]:
    """Tokens and what they keep, ours and the five whole chunks."""
    indexed = await Indexed.of(question_set)
    settings, chunks = ContextSettings(), BaselineSettings().chunks
    compressor = BudgetCompressor(COUNTER, Usefulness.bundled(), settings.min_usefulness)
    mine = [
        asked
        for asked in question_set.questions
        if asked.gold and is_held_out(question_set.name, asked.question_id)
    ]
    rows: dict[str, list[tuple[float, float, float | None]]] = {"ours": [], "five chunks": []}
    async with indexed.searchable() as retriever:
        for asked in mine:
            question = Question(asked.text, question_set.name)
            hits = await retriever.retrieve(question, RetrievalSettings().chunks)
            context = compressor.compress(question, hits, settings.max_tokens)
            ours = [
                (piece.hit, sentence)
                for piece in context.pieces
                for sentence in _within(piece.hit, Span(piece.start, piece.end))
            ]
            rows["ours"].append(_row(asked, ours, context.text))
            whole = [(hit, sentence) for hit in hits[:chunks] for sentence in hit.chunk.sentences]
            text = "\n\n".join(
                f"[{number}] {hit.chunk.prefix}\n{hit.chunk.text}"
                for number, hit in enumerate(hits[:chunks], start=1)
            )
            rows["five chunks"].append(_row(asked, whole, text))
    return {"questions": len(mine), **{name: _figures(found) for name, found in rows.items()}}


def _within(hit: Hit, place: Span) -> list[Span]:
    """The sentences in a piece; the piece itself where it holds no whole one."""
    found = [s for s in hit.chunk.sentences if place.start <= s.start and s.end <= place.end]
    return found or [place]


def _row(asked: JudgedQuestion, places: Places, text: str) -> tuple[float, float, float | None]:
    return COUNTER.count(text), is_retained(asked, places), answer_words(asked, text)


def _figures(rows: Sequence[tuple[float, float, float | None]]) -> dict[str, Any]:
    tokens = [row[0] for row in rows]
    return {
        "tokens": round(float(np.mean(tokens)), 1),
        "tokens_p95": round(float(np.quantile(tokens, 0.95)), 1),
        "retained": _with_interval([row[1] for row in rows]),
        "answer_words": _with_interval([row[2] for row in rows if row[2] is not None]),
    }


def _with_interval(values: Sequence[float]) -> list[float]:
    rows = np.array(values, float).reshape(-1, 1)
    return [round(float(one or 0), 4) for one in (rows.mean(), *interval(mean, rows, seed=0))]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    loaders = (load_nq_open, load_clapnq, load_anthropic_docs)
    sets = [load(arguments.data) for load in loaders]
    write_result("context", {"sets": {one.name: asyncio.run(measure(one)) for one in sets}})


if __name__ == "__main__":
    main()
