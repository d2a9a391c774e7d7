"""Contexts made of Markdown by the real chunker and compressor, with sentence scores given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compression.budget import BudgetCompressor
from compression.tokens import TiktokenCounter
from compression.usefulness import Usefulness
from indexing.chunking import StructuralChunker
from indexing.embedding.packaged import PackagedTokenizer
from rag.types import Chunk, Context, Document, Hit, Question

COUNTER = TiktokenCounter()
_TOKENIZER = PackagedTokenizer()


def question(text: str) -> Question:
    return Question(text, "help")


def chunks_of(
    text: str,
    document_id: str = "doc",
    title: str = "Help",
    page_starts: tuple[int, ...] = (),
    chunk_tokens: int = 254,
) -> list[Chunk]:
    document = Document(
        "help", document_id, "v1", title, text, (f"{document_id}.md",), page_starts=page_starts
    )
    return StructuralChunker(_TOKENIZER, chunk_tokens).chunk(document)


def hits_of(
    chunks: Sequence[Chunk],
    scores: Mapping[str, float],
    hit_scores: Sequence[float] | None = None,
    dense_score: float = 0.6,
    sparse_scores: Sequence[float] | None = None,
) -> list[Hit]:
    """The chunks as hits; a sentence's cosine is that of the first key it begins with, else .1."""
    return [
        Hit(
            chunk=chunk,
            score=hit_scores[number] if hit_scores else 1.0 - 0.1 * number,
            dense_score=dense_score - 0.05 * number,
            sparse_score=sparse_scores[number] if sparse_scores else 0.4,
            sentence_scores=tuple(
                next((s for key, s in scores.items() if chunk.slice(span).startswith(key)), 0.1)
                for span in chunk.sentences
            ),
        )
        for number, chunk in enumerate(chunks)
    ]


def context_of(hits: Sequence[Hit], max_tokens: int = 2_000) -> Context:
    """All that fits, the most useful first."""
    compressor = BudgetCompressor(COUNTER, Usefulness.bundled(), min_usefulness=0)
    return compressor.compress(question("anything"), hits, max_tokens)
