"""How long it takes to look for a kept answer, the vector of the question aside.

    python -m benchmarks.reuse_lookup --data ../shared/data

10,000 answers to questions of nq_open are kept in a SQLite state, each under its question and a
number. Then one is asked in the same words, in other words, or something else is asked. What a
found answer costs to note is part of it. Vectors are random, the right one the nearest; nothing
changes in the collection meanwhile. Words of a kept question are read when it is near for the first
time: "other words again" has them ready.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from api.state.opening import open_state
from benchmarks.publish import write_result
from benchmarks.question_sets import load_nq_open
from generation.reuse.alike import AlikeQuestions
from generation.reuse.answers import KeptAnswers, ReuseRules
from generation.reuse.binding import binding_of, hash_of
from generation.reuse.entries import Entries, Entry
from generation.reuse.normal import normalised
from generation.reuse.verdicts import Verdicts
from rag.types import Answer, Citation, Cost, Embedding, Hit, Passage, Question, Usage, Vector

COLLECTION = "nq_open"
DIMENSION = 384
MAX_ERROR = 0.02
TIMED = 500


class Vectors:
    """An Embedder that takes no time: a random direction for each text."""

    fingerprint, dimension = "random", DIMENSION

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._known: dict[str, Vector] = {}

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        """The same for the same text."""
        return [Embedding(self.of(one.text), np.empty((0, 0), np.float32)) for one in passages]

    def of(self, text: str, near: str | None = None) -> Vector:
        """The vector of a text, which may be near that of another one."""
        if text not in self._known:
            drawn = self._random.standard_normal(DIMENSION).astype(np.float32)
            vector = drawn / np.linalg.norm(drawn)
            if near is not None:
                vector = self.of(near) + 0.2 * vector
            self._known[text] = vector / np.linalg.norm(vector)
        return self._known[text]


class Still:
    """A collection in which nothing happens: a ChangeCounter, and a Retriever that is not asked."""

    async def changes(self, collection: str) -> int:
        """None."""
        return 0

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        """Nobody shall ask."""
        raise AssertionError("nothing has changed")


def measure(data: Path, count: int) -> dict[str, Any]:
    """Milliseconds by what is asked."""
    texts = [one.text for one in load_nq_open(data).questions]
    kept = [
        f"{text} in case {number}"
        for number, text in enumerate(itertools.islice(itertools.cycle(texts), count))
    ]
    vectors = Vectors(seed=0)
    with tempfile.TemporaryDirectory() as folder:
        state = open_state(Path(folder))
        entries, verdicts = Entries(state, max_entries=count, keep_days=30), Verdicts(state)
        for text in kept:
            entries.keep(entry(text), vectors.of(text))
        reuse = KeptAnswers(
            entries,
            verdicts,
            AlikeQuestions(entries, verdicts, MAX_ERROR, count),
            retriever=Still(),
            embedder=vectors,
            changes=Still(),
            rules=ReuseRules(0.0, 10, "benchmark"),
        )
        some = random.Random(0).sample(kept, TIMED)
        for text, begin in itertools.product(some, ("so", "now")):
            vectors.of(f"{begin} {text}", near=text)
        timed = {
            "the same words": some,
            "other words": [f"so {text}" for text in some],
            "other words again": [f"now {text}" for text in some],
            "something else": [f"what about {number}?" for number in range(TIMED)],
        }
        ms = {name: asyncio.run(ask(reuse, asked)) for name, asked in timed.items()}
        state.dispose()
    return {"entries": count, "timed": TIMED, "ms": ms, "seed": 0}


async def ask(reuse: KeptAnswers, texts: Sequence[str]) -> dict[str, float]:
    """Median and 99th percentile of the milliseconds, after one that reads all vectors."""
    taken = []
    for number, text in enumerate([texts[0], *texts]):
        question = Question(text, COLLECTION, answer_id=f"{text} {number}")
        begun = time.perf_counter()
        async with reuse.asking(question, 1_000):
            taken.append((time.perf_counter() - begun) * 1000)
    return {
        "median": round(statistics.median(taken[1:]), 2),
        "p99": round(float(np.quantile(taken[1:], 0.99)), 2),
    }


def entry(text: str) -> Entry:
    """An answer that is kept for a question."""
    citation = Citation(1, "document", "Title", "page.md", None, 0, 40, "What the page says of it.")
    name = hash_of(text)
    answer = Answer(
        name, "answered", text, "local", "model", 0.9, (citation,) * 3, Usage(), 0, Cost((), None)
    )
    return Entry(
        tenant="",
        collection=COLLECTION,
        binding=binding_of(Question(text, COLLECTION), 1_000, "benchmark"),
        wording=hash_of(normalised(text)),
        question=text,
        hits="",
        changes=0,
        answer=answer,
        says=name,
        documents=frozenset({"document"}),
    )


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--print", action="store_true", help="print the figures, keep nothing")
    arguments = parser.parse_args()
    figures = measure(arguments.data, arguments.entries)
    if arguments.print:
        print(figures)
    else:
        write_result("reuse_lookup", figures)


if __name__ == "__main__":
    main()
