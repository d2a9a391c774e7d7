"""How much of the evidence gets into a context of so many tokens: our chunks against LangChain's.

    python -m benchmarks.chunking_spans --data ../shared/data

Five long documents, 472 questions with the exact spans that answer them. Every way of cutting goes
through the same ingestion, embedding and hybrid search; only the chunks differ. Chunks are sent in
order of rank, the last one cut where the budget ends, so that a splitter with large chunks fills a
small budget too; neither labels nor what stands between chunks is counted. Ours is also sent as the
service does it, labels counted: compressed, which stops where nothing useful is left, and
compressed to fill the budget. Each of ours is compared at the tokens that it took: the best of the
others is measured again with the mean of those as its budget. Evidence counts as sent with any copy
of its text. The weights of the compressor are fitted on half of these questions: the other half is
told apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import sys
import tempfile
import time
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

from api.build import Application, build
from api.settings import load_settings
from benchmarks.langchain_chunks import Cuts, GivenCuts, langchain_cuts
from benchmarks.publish import write_result
from benchmarks.question_sets import load_chunking_eval
from benchmarks.retrieval import OURS, difference
from benchmarks.splits import is_held_out
from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from evaluation.questions import Place
from indexing.ingesting.pipeline import IngestionPipeline
from rag.ports import TokenCounter
from rag.types import Context, Document, Hit, Question

BUDGETS = (100, 200, 400, 800, 1_600)
WHOLE, FILLED = f"{OURS}, chunks", f"{OURS}, compressed to fill the budget"
QUICK_QUESTIONS = 24
QUICK_CHARS = 30_000
_HITS = 20
"""Enough of the smallest chunks for the largest budget."""

Ways = Mapping[str, Sequence[Sequence[Hit]]]
"""By way, the hits for each question, best first."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A question and the references that answer it, each as all the places where it stands."""

    question_id: str
    text: str
    references: tuple[tuple[Place, ...], ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """What one way sent for a question: the share of the evidence in it, and its tokens."""

    recall: float
    tokens: int


def load_evidence(data: Path, documents: Sequence[Document]) -> list[Evidence]:
    """The questions of chunking_eval with their evidence; its text may stand at other places too.

    A third of the references in its financial reports stand there several times, word for word:
    whoever sends one copy and not the other has sent the evidence.
    """
    texts = {document.document_id: document.text for document in documents}
    lines = (data / "chunking_eval" / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return [
        Evidence(
            row["id"],
            row["text"],
            tuple(
                tuple(places_of(texts[row["corpus"]][one["start_index"] : one["end_index"]], texts))
                for one in row["references"]
            ),
        )
        for row in map(json.loads, filter(None, lines))
    ]


def places_of(wanted: str, texts: Mapping[str, str]) -> Iterator[Place]:
    """Every place where the words stand, in any of the documents."""
    for document_id, text in texts.items():
        for found in re.finditer(re.escape(wanted), text):
            yield Place(document_id, found.start(), found.end())


def sent_whole(hits: Sequence[Hit], budget: int, counter: TokenCounter) -> tuple[list[Place], int]:
    """The places of the best chunks, the last one cut where the budget ends; and their tokens."""
    places: list[Place] = []
    used = 0
    for hit in hits:
        text = hit.chunk.text
        tokens = counter.count(text)
        if is_last := used + tokens > budget:
            text = text[: _fitting_chars(text, budget - used, counter)]
            tokens = counter.count(text)
        if text:
            start = hit.chunk.start
            places.append(Place(hit.chunk.document_id, start, start + len(text)))
        used += tokens
        if is_last:
            break
    return places, used


def _fitting_chars(text: str, tokens: int, counter: TokenCounter) -> int:
    """How many characters of the text, from its start, make at most so many tokens."""
    return bisect_right(range(1, len(text) + 1), tokens, key=lambda end: counter.count(text[:end]))


def share_found(asked: Evidence, places: Sequence[Place]) -> float:
    """The share of the evidence's characters, 0 to 1, that is in the places, in any copy of it."""
    found = 0
    for copies in asked.references:
        characters: set[int] = set()
        for copy in copies:
            for place in places:
                if place.shared(copy):
                    start, end = max(place.start, copy.start), min(place.end, copy.end)
                    characters.update(range(start - copy.start, end - copy.start))
        found += len(characters)
    return found / sum(copies[0].length for copies in asked.references)


async def search_all(
    documents: Sequence[Document], asked: Sequence[Evidence], cuts: Mapping[str, Cuts]
) -> tuple[Ways, dict[int, list[Sent]]]:
    """The hits of each way for each question, ours too; and what ours sends by budget."""
    with tempfile.TemporaryDirectory() as folder:
        application = build(load_settings().model_copy(update={"data_dir": Path(folder)}))
        parts = application.ingestion.parts
        hits = {}
        for number, (name, given) in enumerate(cuts.items()):
            pipeline = IngestionPipeline(replace(parts, chunker=GivenCuts(name, given)))
            own = [replace(document, collection=f"peer{number}") for document in documents]
            hits[name] = await _hits(application, pipeline, own, asked)
        hits[WHOLE] = await _hits(application, application.ingestion, documents, asked)
        sent: dict[int, list[Sent]] = {budget: [] for budget in BUDGETS}
        for one in asked:
            question = Question(one.text, documents[0].collection)
            for budget, told in sent.items():
                context = await application.pipeline.context(question, budget)
                told.append(_sent(one, context))
        await application.close()
    return hits, sent


async def _hits(
    application: Application,
    ingestion: IngestionPipeline,
    documents: Sequence[Document],
    asked: Sequence[Evidence],
) -> list[list[Hit]]:
    """Ingest and search."""
    started = time.perf_counter()
    collection = documents[0].collection
    await ingestion.ingest_documents(documents, collection)
    search = application.pipeline.search
    found = [await search(Question(one.text, collection), _HITS) for one in asked]
    print(
        f"{ingestion.parts.chunker.fingerprint}: {time.perf_counter() - started:.0f} s",
        file=sys.stderr,
    )
    return found


def _sent(asked: Evidence, context: Context) -> Sent:
    places = [Place(p.hit.chunk.document_id, p.start, p.end) for p in context.pieces]
    return Sent(share_found(asked, places), context.tokens)


class Comparison:
    """What was found for some questions, by every way."""

    def __init__(
        self, asked: Sequence[Evidence], hits: Ways, compressed: Mapping[int, Sequence[Sent]]
    ) -> None:
        self._asked = asked
        self._hits = hits
        self._compressed = compressed
        self._counter = TiktokenCounter()
        self._filling = BudgetCompressor(self._counter, Usefulness.bundled(), min_usefulness=0)

    def figures(self) -> dict[str, Any]:
        """By way and budget; ours with the best of the others at the tokens that ours took."""
        others = [name for name in self._hits if name != WHOLE]
        ours = {
            WHOLE: {budget: self._whole(WHOLE, budget) for budget in BUDGETS},
            OURS: self._compressed,
            FILLED: {budget: self._filled(budget) for budget in BUDGETS},
        }
        return {
            "others": {
                name: {str(budget): _told(self._whole(name, budget)) for budget in BUDGETS}
                for name in others
            },
            "ours": {
                way: {str(b): _told(sent) | self._against(others, sent) for b, sent in row.items()}
                for way, row in ours.items()
            },
        }

    def _against(self, others: Sequence[str], sent: Sequence[Sent]) -> dict[str, Any]:
        """The other way that finds most in as many tokens, and what ours finds beyond it."""
        budget = round(statistics.mean(one.tokens for one in sent))
        recalls = {n: [one.recall for one in self._whole(n, budget)] for n in others}
        best = max(others, key=lambda name: statistics.mean(recalls[name]))
        return {
            "other": best,
            "other_recall": round(statistics.mean(recalls[best]), 4),
        } | difference([one.recall for one in sent], recalls[best])

    def _whole(self, way: str, budget: int) -> list[Sent]:
        sent = []
        for one, hits in zip(self._asked, self._hits[way], strict=True):
            places, tokens = sent_whole(hits, budget, self._counter)
            sent.append(Sent(share_found(one, places), tokens))
        return sent

    def _filled(self, budget: int) -> list[Sent]:
        pairs = zip(self._asked, self._hits[WHOLE], strict=True)
        return [
            _sent(one, self._filling.compress(Question(one.text, ""), hits, budget))
            for one, hits in pairs
        ]


def _told(sent: Sequence[Sent]) -> dict[str, float]:
    return {
        "recall": round(statistics.mean(one.recall for one in sent), 4),
        "tokens": round(statistics.mean(one.tokens for one in sent), 1),
    }


def shortened(
    documents: Sequence[Document], asked: Sequence[Evidence]
) -> tuple[list[Document], list[Evidence]]:
    """The beginnings of the documents, and a few questions whose evidence is in them."""
    inside = [
        one for one in asked if all(copies[0].end <= QUICK_CHARS for copies in one.references)
    ]
    chosen = random.Random(0).sample(inside, min(QUICK_QUESTIONS, len(inside)))
    return [replace(d, text=d.text[:QUICK_CHARS]) for d in documents], chosen


def main() -> None:
    """Cut, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--quick", action="store_true", help="a few questions; writes no result")
    arguments = parser.parse_args()
    documents: Sequence[Document] = load_chunking_eval(arguments.data).documents
    asked = load_evidence(arguments.data, documents)
    if arguments.quick:
        documents, asked = shortened(documents, asked)
    versions, cuts = langchain_cuts(documents)
    hits, sent = asyncio.run(search_all(documents, asked, cuts))
    fresh = [is_held_out("chunking_eval", one.question_id) for one in asked]
    held_out = Comparison(
        list(compress(asked, fresh)),
        {way: list(compress(found, fresh)) for way, found in hits.items()},
        {budget: list(compress(told, fresh)) for budget, told in sent.items()},
    )
    figures = {
        "versions": versions,
        "documents": len(documents),
        "questions": {"all": len(asked), "held_out": sum(fresh)},
        "chunks": {name: sum(map(len, given.values())) for name, given in cuts.items()},
        "all": Comparison(asked, hits, sent).figures(),
        "held_out": held_out.figures(),
    }
    if not arguments.quick:
        write_result("spans", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
