"""How much of an answer survives when only a few tokens of twenty passages are kept.

    python -m benchmarks.compression --data ../shared/data

1,000 questions of nq_open that nothing was fitted on, each with its gold passage and the nineteen
that look most like it (`benchmarks.hard_passages`). A share of the tokens of their texts is the
budget; an answer is retained when a kept piece holds it. Ours counts every token it sends, labels
and titles too. The others are what one would do with the same vectors, and count their text alone:
passages whole in order of cosine, cut at the budget; sentences in order of the cosine of their
vectors pooled from the passage's own forward pass; sentences in order of BM25.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rank_bm25 import BM25Okapi

from api.setting_groups.answers import ContextSettings
from benchmarks.fit_usefulness import MOST_HITS
from benchmarks.hard_passages import hard_questions
from benchmarks.indexed import Indexed
from benchmarks.publish import write_result
from benchmarks.question_sets import JudgedQuestion, load_nq_open, plain
from benchmarks.splits import is_held_out
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from evaluation.measures.table import mean
from evaluation.statistics import interval
from rag.types import Hit, Question

SHARES = (0.10, 0.05, 0.03, 0.02)
OURS = "ours"
COUNTER = TiktokenCounter()


def is_retained(asked: JudgedQuestion, pieces: Sequence[str]) -> bool:
    """Whether one of the pieces holds an answer."""
    answers = [answer for text in asked.answers if (answer := plain(text))]
    return any(answer in plain(piece) for piece in pieces for answer in answers)


def whole_passages(hits: Sequence[Hit], budget: int) -> Iterator[str]:
    """Passages by cosine, the last one cut where the budget ends."""
    left = budget
    for hit in sorted(hits, key=lambda hit: -hit.dense_score):
        words = hit.chunk.text.split(" ")
        text = hit.chunk.text
        while words and COUNTER.count(text) > left:
            words.pop()
            text = " ".join(words)
        if not text:
            return
        left -= COUNTER.count(text)
        yield text


def best_sentences(sentences: Sequence[str], scores: Sequence[float], budget: int) -> Iterator[str]:
    """Sentences in order of score, those that fit."""
    left = budget
    for index in np.argsort(-np.array(scores), kind="stable").tolist():
        tokens = COUNTER.count(sentences[index])
        if tokens <= left:
            left -= tokens
            yield sentences[index]


def others(question: str, hits: Sequence[Hit], budget: int) -> dict[str, list[str]]:
    """What the peers keep."""
    sentences = [hit.chunk.slice(span) for hit in hits for span in hit.chunk.sentences]
    cosines = [score for hit in hits for score in hit.sentence_scores]
    bm25 = BM25Okapi([plain(text).split() for text in sentences]).get_scores(
        plain(question).split()
    )
    return {
        "passages whole, by cosine": list(whole_passages(hits, budget)),
        "sentences, by pooled vectors": list(best_sentences(sentences, cosines, budget)),
        "sentences, by BM25": list(best_sentences(sentences, bm25, budget)),
    }


async def measure(data: Path, count: int) -> dict[str, Any]:
    """All methods at all shares, on the same questions."""
    question_set = load_nq_open(data)
    held_out = [a for a in question_set.questions if is_held_out("nq_open", a.question_id)]
    chosen = random.Random(0).sample(held_out, min(count, len(held_out)))
    compressor = BudgetCompressor(COUNTER, Usefulness.bundled(), ContextSettings().min_usefulness)
    filling = BudgetCompressor(COUNTER, Usefulness.bundled(), 0.0)
    indexed = await Indexed.of(question_set)
    retained: dict[str, dict[float, list[bool]]] = {}
    seconds: list[float] = []
    async with indexed.searchable() as retriever:
        for hard in hard_questions(question_set, chosen):
            question = Question(hard.asked.text, "nq_open", {"document_id": hard.passages})
            hits = await retriever.retrieve(question, MOST_HITS)
            tokens = sum(COUNTER.count(hit.chunk.text) for hit in hits)
            for share in SHARES:
                budget = round(tokens * share)
                started = time.perf_counter()
                context = filling.compress(question, hits, budget)
                seconds.append(time.perf_counter() - started)
                kept = others(hard.asked.text, hits, budget)
                kept[OURS] = [piece.text for piece in context.pieces]
                default = compressor.compress(question, hits, budget)
                kept["ours, useful parts alone"] = [piece.text for piece in default.pieces]
                for name, pieces in kept.items():
                    by_share = retained.setdefault(name, {})
                    by_share.setdefault(share, []).append(is_retained(hard.asked, pieces))
    return {
        "questions": len(chosen),
        "shares": list(SHARES),
        "retained": {
            name: {str(share): _figure(values) for share, values in by_share.items()}
            for name, by_share in retained.items()
        },
        "ms": {
            "median": round(statistics.median(seconds) * 1000, 2),
            "p99": round(float(np.quantile(seconds, 0.99)) * 1000, 2),
        },
    }


def _figure(values: Sequence[bool]) -> list[float]:
    """The mean, and its 95% interval."""
    rows = np.array(values, float).reshape(-1, 1)
    return [round(float(one or 0), 4) for one in (rows.mean(), *interval(mean, rows, seed=0))]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--questions", type=int, default=1_000)
    arguments = parser.parse_args()
    write_result("compression", asyncio.run(measure(arguments.data, arguments.questions)))


if __name__ == "__main__":
    main()
