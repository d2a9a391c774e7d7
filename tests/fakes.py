"""Fakes of the ports, and words that the fixtures and the tests share.

Each fake keeps the contract that the tests hold the real adapters to.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
from sqlalchemy import Engine

from indexing.embedding.packaged import MODEL_TOKENS, SPECIAL_TOKENS
from indexing.ingesting.pipeline import IngestionPipeline
from indexing.loading.discovery import discover
from indexing.manifest.manifest import Manifest
from indexing.readers.by_extension import ReadLimits, read_file
from indexing.stores.payload import description
from indexing.stores.qdrant_edge_store import QdrantEdgeStore
from rag.errors import (
    DocumentError,
    FilterError,
    GoneError,
    StoreError,
    StoreLockedError,
    StoreMismatchError,
)
from rag.ports import ChunkStore, Embedder, Reader
from rag.sources import Found, Loaded, ReadResult
from rag.types import (
    Candidate,
    Chunk,
    Document,
    EmbeddedChunk,
    Embedding,
    Passage,
    Scalar,
    Span,
    StoredChunk,
    StoreQuery,
    Vector,
)

CHUNK_TOKENS = MODEL_TOKENS - SPECIAL_TOKENS
"""The most that the packaged model reads."""

FindData = Callable[[str], Path]
OpenStore = Callable[..., QdrantEdgeStore]
MakeIndexing = Callable[..., "Indexing"]


@dataclass(frozen=True)
class Indexing:
    """The documents path, put together as the application does, with its parts in reach."""

    pipeline: IngestionPipeline
    store: ChunkStore
    manifest: Manifest
    embedder: CountingEmbedder
    state: Engine


_WORD = re.compile(r"\w+")
_STOP_WORDS = set("a after and are be by can for in is it not of or our that the until was".split())


def bm25_words(text: str) -> list[str]:
    """The words that BM25 counts: without stop words and the -s of a plural."""
    words = (word for word in _WORD.findall(text.lower()) if word not in _STOP_WORDS)
    return [word.removesuffix("s") for word in words]


class WordTokenizer:
    """A Tokenizer: a token is a run of letters and digits, or another visible character."""

    def token_spans(self, text: str) -> list[Span]:
        return [Span(*match.span()) for match in re.finditer(r"\w+|[^\w\s]", text)]


class HashingEmbedder:
    """An Embedder without a model: the sum of a random direction for each word."""

    fingerprint = "hashing"

    def __init__(self, dimension: int = 32) -> None:
        self.dimension = dimension

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        return [self._embed_one(passage) for passage in passages]

    def _embed_one(self, passage: Passage) -> Embedding:
        parts = [passage.text, *(passage.text[s.start : s.end] for s in passage.spans)]
        vectors = np.stack([self._vector(part) for part in parts])
        return Embedding(vectors[0], vectors[1:])

    def _vector(self, text: str) -> Vector:
        total = np.full(self.dimension, 1e-3, np.float32)
        for word in _WORD.findall(text.lower()):
            total += _direction_of(word, self.dimension)
        unit: Vector = total / np.linalg.norm(total)
        return unit


@cache
def _direction_of(word: str, dimension: int) -> Vector:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:8])
    return np.random.default_rng(seed).standard_normal(dimension, np.float32)


class CountingEmbedder:
    """An Embedder that keeps the texts it passes on."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.texts: list[str] = []

    @property
    def fingerprint(self) -> str:
        return self._embedder.fingerprint

    @property
    def dimension(self) -> int:
        return self._embedder.dimension

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        self.texts += [passage.text for passage in passages]
        return await self._embedder.embed(passages)

    def forget(self) -> None:
        """Count from nothing again."""
        self.texts.clear()


class GatedEmbedder(HashingEmbedder):
    """An Embedder whose calls wait until `gate` is set; `calls` holds the texts of each.

    A call with a text in `poison` fails with the error that is there for it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.called = asyncio.Event()
        self.calls: list[list[str]] = []
        self.poison: dict[str, Exception] = {}

    async def embed(self, passages: Sequence[Passage]) -> list[Embedding]:
        self.calls.append([passage.text for passage in passages])
        self.called.set()
        await self.gate.wait()
        for passage in passages:
            if passage.text in self.poison:
                raise self.poison[passage.text]
        return await super().embed(passages)


class ThreadReader:
    """A Reader that needs no process of its own."""

    async def read(self, path: Path, collection: str, source: str) -> ReadResult:
        return await asyncio.to_thread(read_file, path, collection, source, ReadLimits())


class FileLoader:
    """A Loader of files: its mark is the hash of their bytes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def discover(self, places: Sequence[str]) -> Found:
        return discover(places)

    async def load(self, source: str, collection: str, known: str | None) -> Loaded:
        path = Path(source)
        try:
            content = await asyncio.to_thread(path.read_bytes)
            mark = hashlib.sha256(content).hexdigest()
        except FileNotFoundError:
            raise GoneError(f"{source} is gone: leave it out") from None
        except OSError as error:
            raise DocumentError(f"{source} cannot be read: {error}") from error
        if mark == known:
            return Loaded(mark, None)
        return Loaded(mark, await self._reader.read(path, collection, source))


@dataclass
class Disk:
    """What outlives a `MemoryStore`."""

    made_for: tuple[str, int] | None = None
    held: bool = False
    points: dict[str, tuple[Chunk, Vector, Vector]] = field(default_factory=dict)


class MemoryStore:
    """A ChunkStore in memory: exact cosine, and BM25 with the collection's own IDF."""

    def __init__(self, disk: Disk, fingerprint: str, dimension: int) -> None:
        if disk.made_for not in (None, (fingerprint, dimension)):
            raise StoreMismatchError(
                f"the store was made for {disk.made_for}, the settings ask for "
                f"{(fingerprint, dimension)}: set them back, or ingest again elsewhere"
            )
        if disk.held:
            raise StoreLockedError("another holds the store: wait for it or end it")
        disk.made_for, disk.held = (fingerprint, dimension), True
        self._disk = disk
        self._dimension = dimension

    async def search(self, query: StoreQuery) -> list[Candidate]:
        points = self._points()
        self._check(query.vector)
        here = {key: p for key, p in points.items() if p[0].collection == query.collection}
        chosen = {key: p for key, p in here.items() if _matches(p[0], query.filters)}
        dense = {key: float(point[1] @ query.vector) for key, point in chosen.items()}
        sparse = _bm25(query.text, here, chosen)
        best = _best(dense, query.candidates) | _best(
            {key: score for key, score in sparse.items() if score > 0}, query.candidates
        )
        return [Candidate(key, dense[key], sparse[key]) for key in sorted(best)]

    async def fetch(self, chunk_ids: Sequence[str]) -> list[StoredChunk]:
        points = self._points()
        return [StoredChunk(points[key][0], points[key][2]) for key in chunk_ids if key in points]

    async def upsert(self, chunks: Sequence[EmbeddedChunk]) -> None:
        points = self._points()
        for one in chunks:
            self._check(one.embedding.vector)
            _check_finite(one.chunk)
        for one in chunks:
            vectors = one.embedding
            points[one.chunk.chunk_id] = (one.chunk, vectors.vector, vectors.span_vectors)

    async def describe(self, document: Document) -> None:
        points = self._points()
        said = description(document) | {"sources": document.sources}
        for key in await self.chunk_ids(document.collection, document.document_id):
            points[key] = (replace(points[key][0], **said), *points[key][1:])

    async def delete(self, collection: str, document_id: str) -> None:
        for key in await self.chunk_ids(collection, document_id):
            del self._points()[key]

    async def delete_stale(self, collection: str, document_id: str, revision: str) -> None:
        for key in await self.chunk_ids(collection, document_id):
            if self._points()[key][0].revision != revision:
                del self._points()[key]

    async def embeddings(self, collection: str, contents: Sequence[str]) -> dict[str, Embedding]:
        return {
            chunk.content: Embedding(vector, spans)
            for chunk, vector, spans in self._points().values()
            if chunk.collection == collection and chunk.content in contents
        }

    async def scan(self, after: str | None, limit: int) -> list[EmbeddedChunk]:
        keys = sorted(key for key in self._points() if after is None or key > after)
        return [
            EmbeddedChunk(chunk, Embedding(vector, spans))
            for chunk, vector, spans in map(self._points().__getitem__, keys[:limit])
        ]

    async def chunk_ids(self, collection: str, document_id: str) -> list[str]:
        return sorted(
            key
            for key, (chunk, _, _) in self._points().items()
            if (chunk.collection, chunk.document_id) == (collection, document_id)
        )

    async def count(self, collection: str) -> int:
        return sum(chunk.collection == collection for chunk, _, _ in self._points().values())

    async def optimize(self) -> None:
        self._points()

    async def close(self) -> None:
        self._points()
        self._disk.held = False

    def _points(self) -> dict[str, tuple[Chunk, Vector, Vector]]:
        if not self._disk.held:
            raise StoreError("the store is closed: open it again")
        return self._disk.points

    def _check(self, vector: Vector) -> None:
        if vector.shape != (self._dimension,):
            raise StoreError(f"a vector has shape {vector.shape}, the store's {self._dimension}")


def _check_finite(chunk: Chunk) -> None:
    for value in chunk.metadata.values():
        if isinstance(value, float) and not math.isfinite(value):
            raise StoreError(f"the metadata hold {value}: give a finite number")


def _best(scores: Mapping[str, float], count: int) -> set[str]:
    return set(sorted(scores, key=lambda key: (-scores[key], key))[:count])


def _matches(chunk: Chunk, filters: Mapping[str, tuple[Scalar, ...]]) -> bool:
    for name, allowed in filters.items():
        if not name or not allowed or '"' in name or "\\" in name:
            raise FilterError(f"{name!r} is no field to filter by, or has no values")
        if any(isinstance(one, int) and one.bit_length() > 63 for one in allowed):
            raise FilterError(f"a value of {name!r} does not fit into 64 bits: give a smaller one")
        values: Sequence[object] = [chunk.metadata.get(name)]
        if name in ("document_id", "title", "family"):
            values = [getattr(chunk, name)]
        elif name == "source":
            values = chunk.sources
        if not any(
            _kind(value) == _kind(one) and value == one for value in values for one in allowed
        ):
            return False
    return True


def _kind(value: object) -> type:
    """Whole and broken numbers compare; neither compares with true and false."""
    return float if type(value) is int else type(value)


def _bm25(
    text: str,
    corpus: Mapping[str, tuple[Chunk, Vector, Vector]],
    chosen: Mapping[str, tuple[Chunk, Vector, Vector]],
) -> dict[str, float]:
    counts = {key: Counter(bm25_words(f"{p[0].prefix}\n{p[0].text}")) for key, p in corpus.items()}
    scores = dict.fromkeys(chosen, 0.0)
    tops = []
    for word in set(bm25_words(text)):
        having = sum(word in count for count in counts.values())
        idf = math.log(1 + (len(corpus) - having + 0.5) / (having + 0.5))
        weights = {
            key: idf * count[word] * 2.2 / (count[word] + 1.2 * (0.25 + 0.75 * count.total() / 100))
            for key, count in counts.items()
        }
        tops.append(max(weights.values(), default=0.0))
        for key in chosen:
            scores[key] += weights[key]
    most = sum(top or max(tops) for top in tops)
    return {key: score / most if most else 0.0 for key, score in scores.items()}
