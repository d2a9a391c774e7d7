"""Chunks, questions and stores for the tests of the stores."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from fakes import HashingEmbedder
from qdrant_client import AsyncQdrantClient

from indexing.stores.qdrant_server_layout import ServerLayout
from indexing.stores.qdrant_server_store import QdrantServerStore
from rag.ports import ChunkStore
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
)

DIMENSION = 8
Open = Callable[..., ChunkStore]


class LocalQdrant(AsyncQdrantClient):
    """Qdrant's in-process mode, in memory. As with a server, what it holds outlives who closes.

    It has no payload indexes: `indexes` notes those that it is asked for. It forgets how a
    collection is laid out: `layout` notes what one is made with.
    """

    def __init__(self) -> None:
        super().__init__(location=":memory:")
        self.indexes: dict[str, Any] = {}
        self.layout: dict[str, Any] = {}

    async def close(self, *_: Any, **__: Any) -> None:
        pass

    async def create_collection(self, collection_name: str, *args: Any, **layout: Any) -> bool:
        self.layout = layout
        return await super().create_collection(collection_name, *args, **layout)

    async def create_payload_index(
        self, collection_name: str, field_name: str, field_schema: Any = None, **_: Any
    ) -> Any:
        self.indexes[field_name] = field_schema


def server_store(
    client: AsyncQdrantClient, fingerprint: str = "test", dimension: int = DIMENSION
) -> QdrantServerStore:
    return QdrantServerStore(client, ServerLayout(), fingerprint, dimension)


def connected_store(
    url: str, api_key: str | None = None, fingerprint: str = "test", dimension: int = DIMENSION
) -> QdrantServerStore:
    return QdrantServerStore.connect(
        url, api_key, layout=ServerLayout(), fingerprint=fingerprint, dimension=dimension
    )


def chunk_id(number: int) -> str:
    return str(uuid.UUID(int=number))


def chunk(number: int, text: str = "Some text here.", **fields: Any) -> Chunk:
    made = Chunk(
        chunk_id=chunk_id(number),
        collection="help",
        document_id="doc_1",
        version="v1",
        revision="r1",
        content=f"content of {text}",
        title="Guide",
        sources=("guide.md",),
        headings=("Install", "Linux"),
        prefix="Guide > Install > Linux",
        start=100,
        end=100 + len(text),
        text=text,
        sentences=(Span(100, 100 + len(text)),),
        page=3,
        page_breaks=(105, 110),
        metadata={},
        dated="2024-05-01",
        family="fam_1",
    )
    return replace(made, **fields)


def document(one: Chunk, **fields: Any) -> Document:
    """The document that a chunk is of, as far as a store wants to know it."""
    made = Document(
        collection=one.collection,
        document_id=one.document_id,
        version=one.version,
        title=one.title,
        text=one.text,
        sources=one.sources,
        metadata=one.metadata,
        dated=one.dated,
        family=one.family,
    )
    return replace(made, **fields)


def direction(*numbers: float) -> Any:
    vector = np.zeros(DIMENSION, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


def embedded(made: Chunk, vector: Any = None) -> EmbeddedChunk:
    vector = direction(1) if vector is None else vector
    spans = np.tile(vector, (len(made.sentences), 1)).astype(np.float32)
    return EmbeddedChunk(made, Embedding(vector, spans))


async def hashed(chunks: Sequence[Chunk], dimension: int = DIMENSION) -> list[EmbeddedChunk]:
    """With vectors that depend on the texts."""
    embeddings = await HashingEmbedder(dimension).embed(
        [
            Passage(
                one.text,
                "document",
                tuple(Span(s.start - one.start, s.end - one.start) for s in one.sentences),
            )
            for one in chunks
        ]
    )
    return list(map(EmbeddedChunk, chunks, embeddings))


def query(text: str = "text", vector: Any = None, **fields: Any) -> StoreQuery:
    vector = direction(1) if vector is None else vector
    return replace(StoreQuery(vector, text, "help", {}, 10), **fields)


async def found(store: ChunkStore, **filters: tuple[Scalar, ...]) -> list[int]:
    candidates = await store.search(query(filters=filters))
    return [uuid.UUID(candidate.chunk_id).int for candidate in candidates]


async def state_of(store: ChunkStore) -> tuple[list[str], list[StoredChunk], list[Candidate]]:
    ids = await store.chunk_ids("help", "doc_1")
    return ids, await store.fetch(ids), await store.search(query("zebra", direction(1, 1)))


def same_state(left: Any, right: Any) -> bool:
    chunks = [[one.chunk for one in stored] for _, stored, _ in (left, right)]
    vectors = [[one.sentence_vectors.tolist() for one in stored] for _, stored, _ in (left, right)]
    return (left[0], left[2], chunks[0], vectors[0]) == (right[0], right[2], chunks[1], vectors[1])
