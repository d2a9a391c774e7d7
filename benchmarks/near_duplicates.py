"""What is saved where pages come in many versions, and whether each version can still be asked.

    python -m benchmarks.near_duplicates --data ../shared/data

All 610 pages of neardup_etcd, 134 pages in up to nine versions, are ingested through the
application. Then it is asked about sentences that differ in a number, a flag, a name in code or a
"not" from their twin in the newest version of the page: once naming the older version, once naming
none. Questions are the words that both sentences share. The same is asked of the hybrid retriever
alone.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import re
import statistics
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from api.build import Application, build
from api.settings import load_settings
from benchmarks.publish import write_result
from indexing.readers.content import clean_text
from rag.ports import Retriever
from rag.types import Document, Hit, Question
from retrieval.hybrid import HybridRetriever

COLLECTION = "default"
HITS = 10
FIRST = 3
FACTS_OF_A_PAGE = 2
_NOWHERE = HITS


@dataclass(frozen=True)
class Fact:
    """A sentence that says something else in the newest version of its page."""

    version: str
    older: str
    newer: str

    @property
    def question(self) -> str:
        """What both sentences say."""
        kept = set(self.newer.split())
        return " ".join(word for word in self.older.split() if word in kept)


def differing_facts(pages: Sequence[dict[str, str]]) -> list[Fact]:
    """Some of each page, of the latest version that differs first."""
    versions: dict[str, dict[str, str]] = defaultdict(dict)
    for row in pages:
        versions[row["page"]][row["version"]] = clean_text(row["text"])
    return [
        fact
        for _, texts in sorted(versions.items())
        for fact in islice(_facts(texts), FACTS_OF_A_PAGE)
    ]


def _facts(texts: dict[str, str]) -> Iterator[Fact]:
    newest, *others = sorted(texts, key=_number, reverse=True)
    twins = _sentences(texts[newest])
    for version in others:
        for older in _sentences(texts[version]):
            if older in texts[newest]:
                continue
            for newer in difflib.get_close_matches(older, twins, 1, 0.85):
                changed = set(older.split()) ^ set(newer.split())
                tells = any(re.search(r"[\d`]|^-|^not$", word) for word in changed)
                if tells and newer not in texts[version]:
                    yield Fact(version, older, newer)


def _number(version: str) -> list[int]:
    return [int(part) for part in version.removeprefix("v").split(".")]


def _sentences(text: str) -> list[str]:
    prose = re.sub(r"(?s)```.*?```", "", text)
    parts = (part.strip() for line in prose.split("\n") for part in re.split(r"(?<=[.!?]) ", line))
    return [part for part in parts if 8 <= len(part.split()) <= 40 and "](" not in part]


async def measure_retrieval(retriever: Retriever, facts: Sequence[Fact]) -> dict[str, object]:
    """How often the right version is found, and in what time."""
    counts: Counter[str] = Counter()
    times = []

    async def places(question: str, sentences: Sequence[str]) -> list[int]:
        begin = time.perf_counter()
        hits = await retriever.retrieve(Question(question, COLLECTION), HITS)
        times.append((time.perf_counter() - begin) * 1000)
        texts = [hit.chunk.text for hit in hits]
        return [
            next((n for n, text in enumerate(texts) if sentence in text), _NOWHERE)
            for sentence in sentences
        ]

    for fact in facts:
        named = f"{fact.question} (etcd {fact.version})"
        [older] = await places(named, [fact.older])
        counts["named_first"] += older == 0
        counts["named_among_three"] += older < FIRST
        newer, other = await places(fact.question, [fact.newer, fact.older])
        counts["newest_among_three"] += newer < FIRST
        counts["older_before_newest"] += other < newer
    return {**counts, "query_ms": round(statistics.median(times), 1)}


def measure_saving(application: Application, rows: Sequence[dict[str, str]]) -> dict[str, object]:
    """What is stored, against what would be if every page were stored by itself."""
    chunker = application.ingestion.parts.chunker
    cut = sum(
        len(chunker.chunk(Document(COLLECTION, row["id"], "", row["title"], row["text"], ("",))))
        for row in rows
    )
    stored = application.manifest.documents(COLLECTION)
    families = Counter(record.family for record in stored)
    chunks = sum(record.chunks for record in stored)
    return {
        "pages": len(rows),
        "distinct_texts": len({(row["title"], row["text"]) for row in rows}),
        "documents": len(stored),
        "families": len(families),
        "documents_with_relatives": sum(count for count in families.values() if count > 1),
        "chunks_of_all_pages": cut,
        "chunks_stored": chunks,
        "chunks_saved_share": round(1 - chunks / cut, 4),
    }


async def measure(data: Path, folder: Path) -> dict[str, object]:
    """Ingest, count, ask."""
    path = data / "neardup_etcd" / "corpus.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    application = build(load_settings().model_copy(update={"data_dir": folder}))
    try:
        report = await application.ingestion.ingest([str(path)], COLLECTION)
        saving = measure_saving(application, rows)
        cut = int(str(saving["chunks_of_all_pages"]))
        facts = differing_facts(rows)
        parts, chosen = application.ingestion.parts, application.settings.retrieval
        alone = HybridRetriever(
            parts.embedder,
            application.store,
            application.manifest,
            chosen.candidates,
            chosen.dense_share,
        )
        return {
            **saving,
            "outcomes": {name: count for name, count in report.counts().items() if count},
            "embeddings_made": report.chunks_embedded,
            "embeddings_saved_share": round(1 - report.chunks_embedded / cut, 4),
            "seconds": round(report.seconds, 1),
            "questions": len(facts),
            "newest_first": await measure_retrieval(_Searching(application), facts),
            "hybrid_alone": await measure_retrieval(alone, facts),
        }
    finally:
        await application.close()


class _Searching:
    """The application's search as a Retriever."""

    def __init__(self, application: Application) -> None:
        self._pipeline = application.pipeline

    async def retrieve(self, question: Question, k: int) -> list[Hit]:
        return await self._pipeline.search(question, k)


def main() -> None:
    """Measure, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(measure(arguments.data, Path(folder)))
    write_result("near_duplicates", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
