"""How fast texts become vectors, and what that costs in quality.

    python -m benchmarks.embedding_speed --data ../shared/data

The chunks of scifact's first documents are embedded by sentence-transformers, by our graph in fp32
and by the one that is used, in turns, so that a drift of the machine meets all alike. Each of the
two graphs then serves the whole project, ingestion and questions, on three question sets: nDCG@10
of dense retrieval and of the default.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from api.build import Application, build
from api.settings import Settings, load_settings
from benchmarks.peers.measurement import best_per_document
from benchmarks.publish import write_result
from benchmarks.workload import ndcg_at_10
from indexing.chunking import CHUNK_TOKENS, StructuralChunker, passage_of
from indexing.embedding.minilm_graph import write_graph
from indexing.embedding.packaged import PackagedEmbedder, PackagedTokenizer, model_dir
from indexing.identity import content_version
from rag.types import Document, Hit, Passage, Question
from retrieval.hybrid import HybridRetriever

SETS = ("scifact", "anthropic_docs_rag", "clapnq")
CANDIDATES = 50
OURS = "our graph, int8"
EXACT = "our graph, fp32"
PUBLISHED = "sentence-transformers, fp32"

Embed = Callable[[Sequence[Passage]], object]
Search = Callable[[Question, int], Awaitable[Sequence[Hit]]]


@dataclass(frozen=True, slots=True)
class Judged:
    """The documents of one set, its questions by id, and their grades by document."""

    documents: Sequence[Document]
    questions: dict[str, str]
    grades: dict[str, dict[str, int]]


def load(data: Path, name: str) -> Judged:
    """One set; only questions that have a document are kept."""
    documents = []
    for row in _rows(data / name / "corpus.jsonl"):
        title = row["title"] or ""
        revision = content_version(title, row["text"], {})
        documents.append(Document(name, row["id"], revision, title, row["text"], (row["id"],)))
    grades: dict[str, dict[str, int]] = {}
    with (data / name / "qrels.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            if int(row["score"]) > 0:
                grades.setdefault(row["query-id"], {})[row["corpus-id"]] = int(row["score"])
    questions = {row["id"]: row["text"] for row in _rows(data / name / "queries.jsonl")}
    return Judged(documents, {key: questions[key] for key in grades}, grades)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)


def exact_settings(folder: Path) -> Settings:
    """Settings whose data folder holds the exact graph where the int8 one would lie."""
    settings = load_settings().model_copy(update={"data_dir": folder})
    models = folder / "models"
    PackagedEmbedder(models)
    [graph] = models.glob("*.onnx")
    write_graph(model_dir(), "fp32", graph)
    return settings


def measure_speed(
    ways: dict[str, Embed], passages: Sequence[Passage], tokens: int, documents: int, repeats: int
) -> dict[str, dict[str, float]]:
    """Medians, by way: of wall seconds, and of the CPU's, which other programs disturb less."""
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for embed in ways.values():
        embed(passages)  # also takes memory, and prepares what depends on the lengths
    for _ in range(repeats):
        for name, embed in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            embed(passages)
            seconds[name].append((time.perf_counter() - wall, time.process_time() - cpu))
            print(name, seconds[name][-1], file=sys.stderr)
    figures = {}
    for name, taken in seconds.items():
        wall, cpu = (statistics.median(column) for column in zip(*taken, strict=True))
        figures[name] = {
            "seconds": round(wall, 2),
            "cpu_seconds": round(cpu, 2),
            "tokens_per_s": round(tokens / wall),
            "tokens_per_cpu_s": round(tokens / cpu),
            "documents_per_s": round(documents / wall, 1),
        }
    return figures


async def measure_quality(application: Application, judged: Judged) -> dict[str, float]:
    """nDCG@10 of dense retrieval and of the default, after ingesting the documents."""
    name = judged.documents[0].collection
    await application.ingestion.ingest_documents(list(judged.documents), name)
    dense = HybridRetriever(
        application.ingestion.parts.embedder,
        application.store,
        application.manifest,
        CANDIDATES,
        dense_share=1,
    )
    searches = {"dense": dense.retrieve, "default": application.pipeline.search}
    return {way: await _ndcg(search, judged) for way, search in searches.items()}


async def _ndcg(search: Search, judged: Judged) -> float:
    scores = []
    for key, text in judged.questions.items():
        hits = await search(Question(text, judged.documents[0].collection), CANDIDATES)
        ranked = best_per_document(source for hit in hits for source in hit.chunk.sources)
        scores.append(ndcg_at_10(ranked, judged.grades[key]))
    return round(statistics.mean(scores), 5)


async def measure_all_quality(settings: Settings, data: Path) -> dict[str, dict[str, float]]:
    """By set, and their mean."""
    application = build(settings)
    found = {}
    for name in SETS:
        found[name] = await measure_quality(application, load(data, name))
        print(name, found[name], file=sys.stderr)
    await application.close()
    found["mean"] = {
        way: round(statistics.mean(figures[way] for figures in found.values()), 5)
        for way in ("dense", "default")
    }
    return found


def published_way() -> Embed:
    """The packaged weights in sentence-transformers, as it comes."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_dir()), device="cpu")
    return lambda passages: model.encode([p.text for p in passages], normalize_embeddings=True)


def our_way(settings: Settings) -> Embed:
    """Our embedder over the graph that lies in the data folder."""
    embedder = PackagedEmbedder(settings.data_dir / "models")
    return lambda passages: asyncio.run(embedder.embed(passages))


def some_passages(data: Path, documents: int) -> list[Passage]:
    """What the service embeds of scifact's first documents."""
    chunker = StructuralChunker(PackagedTokenizer(), CHUNK_TOKENS)
    chosen = load(data, "scifact").documents[:documents]
    return [passage_of(chunk) for document in chosen for chunk in chunker.chunk(document)]


def main() -> None:
    """Measure speed, then quality; write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        ours = load_settings().model_copy(update={"data_dir": Path(scratch) / "ours"})
        exact = exact_settings(Path(scratch) / "exact")
        ways = {PUBLISHED: published_way(), EXACT: our_way(exact), OURS: our_way(ours)}
        passages = some_passages(arguments.data, arguments.documents)
        encodings = PackagedTokenizer().encode([passage.text for passage in passages])
        tokens = sum(len(encoding.ids) for encoding in encodings)
        speed = measure_speed(ways, passages, tokens, arguments.documents, arguments.repeats)
        quality = {
            name: asyncio.run(measure_all_quality(settings, arguments.data))
            for name, settings in {EXACT: exact, OURS: ours}.items()
        }
    figures = {
        "versions": {name: version(name) for name in ("onnxruntime", "torch")},
        "documents": arguments.documents,
        "passages": len(passages),
        "tokens": tokens,
        "repeats": arguments.repeats,
        "speed": speed,
        "ndcg_at_10": quality,
        "lost_on_the_mean": {
            way: round(quality[EXACT]["mean"][way] - quality[OURS]["mean"][way], 5)
            for way in ("dense", "default")
        },
    }
    write_result("embedding", figures)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
