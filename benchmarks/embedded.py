"""Embedded chunks to measure the store with: real ones, and generated ones beyond them.

Real chunks are cut and embedded as ingestion does it. Generated ones lie around them: the vector of
a real chunk with noise added, half of its words and as many of others, so that words are as
frequent as in real text, and one word in each that grows the vocabulary.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from indexing.chunking import CHUNK_TOKENS, StructuralChunker, passage_of
from indexing.embedding.packaged import PackagedTokenizer
from indexing.identity import content_version
from rag.ports import Embedder
from rag.types import Document, EmbeddedChunk, Embedding, Passage, Span, Vector

REVISION = "r1"
_BATCH = 512
_NOISE = 0.8
"""The length of the noise beside a vector of length 1: its cosine to the real one is .78."""


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question with its vector, and the documents that answer it (none: it cannot be)."""

    text: str
    vector: Vector
    gold: frozenset[str]


@dataclass(frozen=True, slots=True)
class EmbeddedSet:
    """A question set, cut and embedded."""

    name: str
    chunks: list[EmbeddedChunk]
    questions: list[AskedQuestion]


async def embedded_set(
    data: Path, name: str, embedder: Embedder, cache: Path | None = None
) -> EmbeddedSet:
    """A question set with its vectors; in the folder `cache` they are kept for the next time."""
    chunker = StructuralChunker(PackagedTokenizer(), CHUNK_TOKENS)
    recipe = f"{embedder.fingerprint}/{chunker.fingerprint}/{name}"
    kept = cache and cache / f"{hashlib.sha256(recipe.encode()).hexdigest()[:16]}.pickle"
    if kept and kept.exists():
        made: EmbeddedSet = pickle.loads(kept.read_bytes())
        return made
    chunks = await embedded_chunks(_documents(data / name), embedder)
    gold = _gold(data / name)
    asked = _rows(data / name / "queries.jsonl")
    vectors = await embedder.embed([Passage(row["text"], "question") for row in asked])
    questions = [
        AskedQuestion(row["text"], embedding.vector, frozenset(gold.get(row["id"], ())))
        for row, embedding in zip(asked, vectors, strict=True)
    ]
    made = EmbeddedSet(name, chunks, questions)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(pickle.dumps(made))
    return made


async def embedded_chunks(documents: Iterable[Document], embedder: Embedder) -> list[EmbeddedChunk]:
    """The chunks of documents with their vectors, all of one revision."""
    chunker = StructuralChunker(PackagedTokenizer(), CHUNK_TOKENS)
    cut = [chunk for document in documents for chunk in chunker.chunk(document)]
    chunks: list[EmbeddedChunk] = []
    for first in range(0, len(cut), _BATCH):
        part = [replace(chunk, revision=REVISION) for chunk in cut[first : first + _BATCH]]
        chunks += map(EmbeddedChunk, part, await embedder.embed([passage_of(one) for one in part]))
    return chunks


def generated(
    real: Sequence[EmbeddedChunk], count: int, collection: str, seed: int
) -> Iterator[EmbeddedChunk]:
    """`count` chunks around the real ones, the same for the same seed."""
    rng = np.random.default_rng(seed)
    words = [one.chunk.text.split() for one in real]
    every = np.array([word for text in words for word in text])
    for number in range(count):
        chosen = int(rng.integers(len(real)))
        own = words[chosen]
        half = len(own) // 2
        text = " ".join(
            [own[at] for at in rng.integers(len(own), size=half)]
            + every[rng.integers(len(every), size=len(own) - half)].tolist()
            + [f"w{rng.integers(2 * count)}"]
        )
        model = real[chosen].embedding
        noise = rng.standard_normal(len(model.vector)) * _NOISE / np.sqrt(len(model.vector))
        vector = model.vector + noise.astype(np.float32)
        chunk = replace(
            real[chosen].chunk,
            chunk_id=str(uuid.UUID(bytes=rng.bytes(16))),
            collection=collection,
            document_id=f"generated_{number // 3}",
            revision=REVISION,
            content=f"generated_{seed}_{number}",
            start=0,
            end=len(text),
            text=text,
            sentences=_cut(len(text), len(model.span_vectors)),
            page_breaks=(),
        )
        yield EmbeddedChunk(chunk, Embedding(vector / np.linalg.norm(vector), model.span_vectors))


def _documents(folder: Path) -> Iterator[Document]:
    for row in _rows(folder / "corpus.jsonl"):
        title, text = row.get("title") or "", row["text"]
        version = content_version(title, text, {})
        yield Document(folder.name, row["id"], version, title, text, (row["id"],))


def _gold(folder: Path) -> dict[str, set[str]]:
    gold: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        question_id, document_id, grade = line.split("\t")
        if int(grade) > 0:
            gold.setdefault(question_id, set()).add(document_id)
    return gold


def _rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]


def _cut(length: int, parts: int) -> tuple[Span, ...]:
    ends = np.linspace(0, length, parts + 1).astype(int).tolist()
    return tuple(map(Span, ends[:-1], ends[1:]))
